package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// ByName is the path of one alias; see ByID.
type ByName struct {
	Name string `path:"alias" doc:"an alias's name or ID" maxLength:"64"`
}

func (s *server) registerAliases(api huma.API) {
	const one, all = "/api/v1/aliases/{alias}", "/api/v1/aliases"
	tags := []string{"aliases"}
	huma.Register(api, huma.Operation{
		OperationID: "create-alias", Method: http.MethodPost, Path: all, Tags: tags, Summary: "Create an alias", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *struct{ Body v1.AliasRequest }) (*oneAlias, error) {
		a, err := s.Service.CreateAlias(ctx, actorOf(ctx), controlplane.NewAlias{
			Name: in.Body.Name, InstanceID: value(in.Body.InstanceID), Primary: value(in.Body.Primary),
		})
		return s.oneAlias(ctx, a, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "list-aliases", Method: http.MethodGet, Path: all, Tags: tags, Summary: "List aliases",
	}, func(ctx context.Context, in *struct{ PageQuery }) (*page[v1.Alias], error) {
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		aliases, err := s.Service.Aliases(ctx, actorOf(ctx), p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &page[v1.Alias]{listOf(aliases, s.alias)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-alias", Method: http.MethodGet, Path: one, Tags: tags, Summary: "Get an alias",
	}, func(ctx context.Context, in *ByName) (*oneAlias, error) {
		a, err := s.Service.Alias(ctx, actorOf(ctx), in.Name)
		return s.oneAlias(ctx, a, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "assign-alias", Method: http.MethodPut, Path: one + "/assignment", Tags: tags,
		Summary: "Move an alias to an instance, or away from all",
	}, func(ctx context.Context, in *struct {
		ByName
		Body v1.AssignRequest
	}) (*oneAlias, error) {
		a, err := s.Service.AssignAlias(ctx, actorOf(ctx), in.Name, value(in.Body.InstanceID), value(in.Body.Primary))
		return s.oneAlias(ctx, a, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "promote-alias", Method: http.MethodPost, Path: one + "/promote", Tags: tags,
		Summary: "Make an alias the primary one of its instance",
	}, func(ctx context.Context, in *ByName) (*oneAlias, error) {
		a, err := s.Service.PromoteAlias(ctx, actorOf(ctx), in.Name)
		return s.oneAlias(ctx, a, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "delete-alias", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Delete an alias",
	}, func(ctx context.Context, in *ByName) (*none, error) {
		rev, err := s.Service.DeleteAlias(ctx, actorOf(ctx), in.Name)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &none{revision(rev)}, nil
	})
}

type oneAlias = one[v1.Alias]

func (s *server) oneAlias(ctx context.Context, a *controlplane.AliasState, err error) (*oneAlias, error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &oneAlias{ETag: etag(a.Revision), Revision: revision(a.ChangedAt), Body: s.alias(a)}, nil
}
