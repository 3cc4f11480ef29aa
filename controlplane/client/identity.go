package client

import (
	"context"
	"net/http"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Me is who the token belongs to.
func (c *Client) Me(ctx context.Context) (*v1.Me, error) {
	return get[v1.Me](ctx, c, nil, "me")
}

// Explain says what an edge would answer to a request, and why.
func (c *Client) Explain(ctx context.Context, r v1.ExplainRequest) (*v1.Explanation, error) {
	return send[v1.Explanation](ctx, c, call{method: http.MethodPost, path: []string{"explain"}, body: r})
}
