package client

import (
	"context"
	"iter"
	"net/http"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// CurrentToken is the ID of the token that a call is made with.
const CurrentToken = "current"

// Tokens is one page of the caller's personal tokens.
func (c *Client) Tokens(ctx context.Context, p Page) (*v1.List[v1.Token], error) {
	return get[v1.List[v1.Token]](ctx, c, p.query(), "tokens")
}

// AllTokens yields the tokens of all pages.
func (c *Client) AllTokens(ctx context.Context) iter.Seq2[v1.Token, error] {
	return all(func(p Page) (*v1.List[v1.Token], error) { return c.Tokens(ctx, p) })
}

// CreateToken makes a personal token. The answer is the only one that has it.
func (c *Client) CreateToken(ctx context.Context, r v1.TokenRequest) (*v1.NewToken, error) {
	return send[v1.NewToken](ctx, c, call{method: http.MethodPost, path: []string{"tokens"}, body: r})
}

// RevokeToken ends a token, by ID, a unique prefix of it of 6 characters or more
// or CurrentToken, and all that was issued for it.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"tokens", id}}, nil)
}

// Ticket is a bearer that opens one instance, for a few minutes.
func (c *Client) Ticket(ctx context.Context, instanceID string) (*v1.Ticket, error) {
	return send[v1.Ticket](ctx, c, call{method: http.MethodPost, path: []string{"instances", instanceID, "ticket"}})
}
