package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// ByUser is the path of a user; see ByID.
type ByUser struct {
	Name string `path:"name" maxLength:"100"`
}

func (s *server) registerUsers(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-users", Method: http.MethodGet, Path: "/api/v1/users", Tags: []string{"users"}, Summary: "List who has signed in, for admins",
	}, func(ctx context.Context, in *struct{ PageQuery }) (*page[v1.User], error) {
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		users, err := s.Service.Users(ctx, actorOf(ctx), p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &page[v1.User]{listOf(users, s.userView)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-user", Method: http.MethodGet, Path: "/api/v1/users/{name}", Tags: []string{"users"}, Summary: "Get a user, for admins",
	}, func(ctx context.Context, in *ByUser) (*one[v1.User], error) {
		user, err := s.Service.User(ctx, actorOf(ctx), in.Name)
		return s.oneUser(ctx, user, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "change-user", Method: http.MethodPatch, Path: "/api/v1/users/{name}", Tags: []string{"users"}, Summary: "Disable a user, or take that back, for admins",
	}, func(ctx context.Context, in *struct {
		ByUser
		Body v1.UserPatch
	}) (*one[v1.User], error) {
		if in.Body.Disabled == nil {
			user, err := s.Service.User(ctx, actorOf(ctx), in.Name)
			return s.oneUser(ctx, user, err)
		}
		user, err := s.Service.DisableUser(ctx, actorOf(ctx), in.Name, *in.Body.Disabled)
		return s.oneUser(ctx, user, err)
	})
}

func (s *server) oneUser(ctx context.Context, user *controlplane.User, err error) (*one[v1.User], error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &one[v1.User]{ETag: etag(user.Revision), Revision: revision(user.Revision), Body: s.userView(user)}, nil
}

func (s *server) userView(u *controlplane.User) v1.User {
	actor := s.Service.Rights.Actor(u)
	return v1.User{
		Name: u.Name, DisplayName: u.DisplayName, Email: u.Email, Issuer: optional(u.Issuer), Roles: texts(u.Roles),
		Admin: actor.Admin, FullAccess: actor.Full, Disabled: u.Disabled, CreatedAt: u.CreatedAt, SignedInAt: optional(u.SignedInAt),
	}
}
