package client

import (
	"context"
	"iter"
	"net/http"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Users is one page of those who have signed in, for admins.
func (c *Client) Users(ctx context.Context, p Page) (*v1.List[v1.User], error) {
	return get[v1.List[v1.User]](ctx, c, p.query(), "users")
}

// AllUsers yields the users of all pages.
func (c *Client) AllUsers(ctx context.Context) iter.Seq2[v1.User, error] {
	return all(func(p Page) (*v1.List[v1.User], error) { return c.Users(ctx, p) })
}

// User is one user, by name.
func (c *Client) User(ctx context.Context, name string) (*v1.User, error) {
	return get[v1.User](ctx, c, nil, "users", name)
}

// UpdateUser changes a user.
func (c *Client) UpdateUser(ctx context.Context, name string, p v1.UserPatch) (*v1.User, error) {
	return send[v1.User](ctx, c, call{method: http.MethodPatch, path: []string{"users", name}, body: p})
}
