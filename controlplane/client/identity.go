package client

import (
	"context"
	"net/url"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Me is who the token belongs to.
func (c *Client) Me(ctx context.Context) (*v1.Me, error) {
	return get[v1.Me](ctx, c, nil, "me")
}

// Request is a request to explain. Nothing of it is sent anywhere.
type Request struct {
	URL       string
	Method    string // empty is GET
	WebSocket bool   // it asks for an upgrade to WebSocket
}

// Explain says what an edge would answer to a request, and why.
func (c *Client) Explain(ctx context.Context, r Request) (*v1.Explanation, error) {
	q := url.Values{"url": {r.URL}}
	if r.Method != "" {
		q.Set("method", r.Method)
	}
	if r.WebSocket {
		q.Set("websocket", "true")
	}
	return get[v1.Explanation](ctx, c, q, "explain")
}
