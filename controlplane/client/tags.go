package client

import (
	"context"
	"iter"
	"net/http"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// CreateTag creates a tag.
func (c *Client) CreateTag(ctx context.Context, r v1.TagRequest) (*v1.Tag, error) {
	return send[v1.Tag](ctx, c, call{method: http.MethodPost, path: []string{"tags"}, body: r})
}

// Tags is one page of the tags.
func (c *Client) Tags(ctx context.Context, p Page) (*v1.List[v1.Tag], error) {
	return get[v1.List[v1.Tag]](ctx, c, p.query(), "tags")
}

// AllTags yields the tags of all pages.
func (c *Client) AllTags(ctx context.Context) iter.Seq2[v1.Tag, error] {
	return all(func(p Page) (*v1.List[v1.Tag], error) { return c.Tags(ctx, p) })
}

// Tag is one tag, by name.
func (c *Client) Tag(ctx context.Context, name string) (*v1.Tag, error) {
	return get[v1.Tag](ctx, c, nil, "tags", name)
}

// UpdateTag changes a tag.
func (c *Client) UpdateTag(ctx context.Context, name string, p v1.TagPatch) (*v1.Tag, error) {
	return send[v1.Tag](ctx, c, call{method: http.MethodPatch, path: []string{"tags", name}, body: p})
}

// DeleteTag deletes a tag.
func (c *Client) DeleteTag(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"tags", name}}, nil)
}
