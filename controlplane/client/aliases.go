package client

import (
	"context"
	"iter"
	"net/http"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// CreateAlias creates an alias, assigned and primary if asked for.
func (c *Client) CreateAlias(ctx context.Context, r v1.AliasRequest) (*v1.Alias, error) {
	return send[v1.Alias](ctx, c, call{method: http.MethodPost, path: []string{"aliases"}, body: r})
}

// Aliases is one page of the aliases.
func (c *Client) Aliases(ctx context.Context, p Page) (*v1.List[v1.Alias], error) {
	return get[v1.List[v1.Alias]](ctx, c, p.query(), "aliases")
}

// AllAliases yields the aliases of all pages.
func (c *Client) AllAliases(ctx context.Context) iter.Seq2[v1.Alias, error] {
	return all(func(p Page) (*v1.List[v1.Alias], error) { return c.Aliases(ctx, p) })
}

// Alias is one alias, by name or ID.
func (c *Client) Alias(ctx context.Context, nameOrID string) (*v1.Alias, error) {
	return get[v1.Alias](ctx, c, nil, "aliases", nameOrID)
}

// AssignAlias moves an alias to an instance, or away from all.
func (c *Client) AssignAlias(ctx context.Context, nameOrID string, r v1.AssignRequest) (*v1.Alias, error) {
	return send[v1.Alias](ctx, c, call{method: http.MethodPut, path: []string{"aliases", nameOrID, "assignment"}, body: r})
}

// PromoteAlias makes an alias the primary one of its instance.
func (c *Client) PromoteAlias(ctx context.Context, nameOrID string) (*v1.Alias, error) {
	return send[v1.Alias](ctx, c, call{method: http.MethodPost, path: []string{"aliases", nameOrID, "promote"}})
}

// DeleteAlias deletes an alias.
func (c *Client) DeleteAlias(ctx context.Context, nameOrID string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"aliases", nameOrID}}, nil)
}
