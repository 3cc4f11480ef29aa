package client

import (
	"context"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Import is a bundle to import.
type Import struct {
	Archive    io.Reader // read once, and not closed
	Size       int64     // bytes, where it is known; otherwise 0
	Visibility string    // empty is the server's default, PRIVATE
	Image      string    // of a container app, instead of the manifest's; the admins' to set
	Profile    string    // the launch profile of its instances; empty is the server's
}

// ImportBundle uploads an archive and returns the app that it became, with
// the warnings of its import. A server that refuses the upload is heard before
// the archive is sent, where it says so at once.
func (c *Client) ImportBundle(ctx context.Context, in Import) (*v1.App, error) {
	q := url.Values{}
	for name, value := range map[string]string{"visibility": in.Visibility, "image": in.Image, "launch_profile": in.Profile} {
		if value != "" {
			q.Set(name, value)
		}
	}
	header := http.Header{
		"Accept":       {acceptJSON},
		"Content-Type": {"application/zip"},
		"Expect":       {"100-continue"},
	}
	// NopCloser: the transport closes what it sends, and may read from it
	// after Do returned.
	body := io.NopCloser(in.Archive)
	req, err := c.request(ctx, call{method: http.MethodPost, path: []string{"bundles"}, query: q}, body, header)
	if err != nil {
		return nil, err
	}
	req.ContentLength = -1
	if in.Size > 0 {
		req.ContentLength = in.Size
	}
	out := new(v1.App)
	if err := c.answer(req, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Apps is one page of the apps.
func (c *Client) Apps(ctx context.Context, p Page) (*v1.List[v1.App], error) {
	return get[v1.List[v1.App]](ctx, c, p.query(), "apps")
}

// AllApps yields the apps of all pages.
func (c *Client) AllApps(ctx context.Context) iter.Seq2[v1.App, error] {
	return c.FindApps(ctx, nil)
}

// App is one app.
func (c *Client) App(ctx context.Context, id string) (*v1.App, error) {
	return get[v1.App](ctx, c, nil, "apps", id)
}

// UpdateApp changes an app.
func (c *Client) UpdateApp(ctx context.Context, id string, p v1.AppPatch) (*v1.App, error) {
	return send[v1.App](ctx, c, call{method: http.MethodPatch, path: []string{"apps", id}, body: p})
}

// DownloadBundle streams the archive that an app was imported from. Size is
// in bytes, or -1 where the server does not say. The caller closes it.
func (c *Client) DownloadBundle(ctx context.Context, id string) (archive io.ReadCloser, size int64, err error) {
	k := call{method: http.MethodGet, path: []string{"apps", id, "bundle"}}
	req, err := c.request(ctx, k, nil, http.Header{"Accept": {"application/zip, application/problem+json"}})
	if err != nil {
		return nil, 0, err
	}
	res, err := c.send(req)
	if err != nil {
		return nil, 0, err
	}
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "application/zip" {
		res.Body.Close()
		return nil, 0, c.strange("is %q, not a bundle", res.Header.Get("Content-Type"))
	}
	return &stream{c: c, ctx: ctx, body: res.Body}, res.ContentLength, nil
}

// DeleteApp deletes an app. With force, an admin's right, its instances are
// terminated first: that takes a while, and until they are gone the answer is
// a conflict, so that the caller repeats the call.
func (c *Client) DeleteApp(ctx context.Context, id string, force bool) error {
	q := url.Values{}
	if force {
		q.Set("force", "true")
	}
	return c.do(ctx, call{method: http.MethodDelete, path: []string{"apps", id}, query: q}, nil)
}
