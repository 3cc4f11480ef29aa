package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// SecretScope says among which secrets a name is meant. The zero value is the
// caller's own for one secret, and all that they may know of for a list.
type SecretScope struct {
	Visibility string // PRIVATE, ALL_USERS or APP
	Parent     string // of an APP one: app: and the app's name
}

func (s SecretScope) query(q url.Values) url.Values {
	if s.Visibility != "" {
		q.Set("visibility", s.Visibility)
	}
	if s.Parent != "" {
		q.Set("parent", s.Parent)
	}
	return q
}

// CreateSecret creates a secret.
func (c *Client) CreateSecret(ctx context.Context, r v1.SecretRequest) (*v1.Secret, error) {
	return send[v1.Secret](ctx, c, call{method: http.MethodPost, path: []string{"secrets"}, body: r})
}

// Secrets is one page of the secrets.
func (c *Client) Secrets(ctx context.Context, s SecretScope, p Page) (*v1.List[v1.Secret], error) {
	return get[v1.List[v1.Secret]](ctx, c, s.query(p.query()), "secrets")
}

// AllSecrets yields the secrets of all pages.
func (c *Client) AllSecrets(ctx context.Context, s SecretScope) iter.Seq2[v1.Secret, error] {
	return all(func(p Page) (*v1.List[v1.Secret], error) { return c.Secrets(ctx, s, p) })
}

// Secret is one secret, without its values.
func (c *Client) Secret(ctx context.Context, name string, s SecretScope) (*v1.RevealedSecret, error) {
	return get[v1.RevealedSecret](ctx, c, s.query(url.Values{}), "secrets", name)
}

// RevealSecret is one secret with its values, for its owner.
func (c *Client) RevealSecret(ctx context.Context, name string, s SecretScope) (*v1.RevealedSecret, error) {
	return get[v1.RevealedSecret](ctx, c, s.query(url.Values{"reveal": {"true"}}), "secrets", name)
}

// UpdateSecret replaces all values of a secret.
func (c *Client) UpdateSecret(ctx context.Context, name string, s SecretScope, v v1.SecretValues) (*v1.Secret, error) {
	return send[v1.Secret](ctx, c, call{method: http.MethodPut, path: []string{"secrets", name}, query: s.query(url.Values{}), body: v})
}

// DeleteSecret deletes a secret.
func (c *Client) DeleteSecret(ctx context.Context, name string, s SecretScope) error {
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"secrets", name}, query: s.query(url.Values{})}, nil)
}

// RotateSecrets seals all secrets with the newest key.
func (c *Client) RotateSecrets(ctx context.Context) (*v1.Rotation, error) {
	return send[v1.Rotation](ctx, c, call{method: http.MethodPost, path: []string{"secrets", "rotate"}})
}
