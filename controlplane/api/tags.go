package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// ByTag is the path of one tag; see ByID.
type ByTag struct {
	Name string `path:"name" doc:"a tag's name" maxLength:"64"`
}

type oneTag = one[v1.Tag]

func (s *server) registerTags(api huma.API) {
	const one, all = "/api/v1/tags/{name}", "/api/v1/tags"
	tags := []string{"tags"}
	huma.Register(api, huma.Operation{
		OperationID: "create-tag", Method: http.MethodPost, Path: all, Tags: tags, Summary: "Create a tag",
		Description: "Apps get it by PATCH /apps/{id}.", DefaultStatus: http.StatusCreated,
	}, func(ctx context.Context, in *struct{ Body v1.TagRequest }) (*oneTag, error) {
		tag, err := s.Service.CreateTag(ctx, actorOf(ctx), in.Body.Name, controlplane.TagChange{
			Title: &in.Body.Title, Description: &in.Body.Description, Color: &in.Body.Color, IsCategory: &in.Body.IsCategory,
			VisitorRoles: &in.Body.VisitorRoles, AdminRoles: &in.Body.AdminRoles,
		})
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &oneTag{ETag: etag(tag.Revision), Revision: revision(tag.Revision), Body: s.tagView(tag)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "list-tags", Method: http.MethodGet, Path: all, Tags: tags, Summary: "List tags",
	}, func(ctx context.Context, in *struct{ PageQuery }) (*page[v1.Tag], error) {
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		list, err := s.Service.Tags(ctx, actorOf(ctx), p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &page[v1.Tag]{listOf(list, s.tagView)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-tag", Method: http.MethodGet, Path: one, Tags: tags, Summary: "Get a tag",
	}, func(ctx context.Context, in *ByTag) (*oneTag, error) {
		tag, err := s.Service.Tag(ctx, actorOf(ctx), in.Name)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &oneTag{ETag: etag(tag.Revision), Revision: revision(tag.Revision), Body: s.tagView(tag)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "update-tag", Method: http.MethodPatch, Path: one, Tags: tags, Summary: "Change a tag",
		Description: "It needs one of the tag's admin roles, or full access where it has none. The admin roles are the admins' to change.",
	}, func(ctx context.Context, in *struct {
		ByTag
		Body v1.TagPatch
	}) (*oneTag, error) {
		tag, changed, err := s.Service.UpdateTag(ctx, actorOf(ctx), in.Name, controlplane.TagChange(in.Body))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &oneTag{ETag: etag(tag.Revision), Revision: revision(max(tag.Revision, changed)), Body: s.tagView(tag)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "delete-tag", Method: http.MethodDelete, Path: one, Tags: tags, Summary: "Delete a tag, and take it from all apps",
	}, func(ctx context.Context, in *ByTag) (*none, error) {
		changed, err := s.Service.DeleteTag(ctx, actorOf(ctx), in.Name)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &none{revision(changed)}, nil
	})
}

func (s *server) tagView(t *controlplane.Tag) v1.Tag {
	out := v1.Tag{
		Name: t.Name, Title: t.Title, Description: t.Description, Color: t.Color, IsCategory: t.IsCategory,
		VisitorRoles: append([]string{}, t.VisitorRoles...), AdminRoles: append([]string{}, t.AdminRoles...),
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
	}
	for _, kind := range s.Service.TagKinds(t) {
		out.Kinds = append(out.Kinds, string(kind))
	}
	return out
}
