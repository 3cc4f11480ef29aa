package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Filter picks from a list: the parameters of its operation, by name. Nil picks
// all.
type Filter map[string]string

func (f Filter) query() url.Values {
	q := url.Values{}
	for name, value := range f {
		q.Set(name, value)
	}
	return q
}

// FindApps yields the apps of all pages that the filter picks.
func (c *Client) FindApps(ctx context.Context, f Filter) iter.Seq2[v1.App, error] {
	return items(walk[v1.App](ctx, c, f.query(), "apps"))
}

// AppRows are what FindApps yields, with the JSON of each.
func (c *Client) AppRows(ctx context.Context, f Filter) ([]Row[v1.App], error) {
	return rows(walk[v1.App](ctx, c, f.query(), "apps"))
}

// FindInstances yields the instances of all pages that the filter picks.
func (c *Client) FindInstances(ctx context.Context, f Filter) iter.Seq2[v1.Instance, error] {
	return items(walk[v1.Instance](ctx, c, f.query(), "instances"))
}

// InstanceRows are what FindInstances yields, with the JSON of each.
func (c *Client) InstanceRows(ctx context.Context, f Filter) ([]Row[v1.Instance], error) {
	return rows(walk[v1.Instance](ctx, c, f.query(), "instances"))
}

// AppMeta is what the bundle of an app says of itself.
func (c *Client) AppMeta(ctx context.Context, id string) (*v1.AppMeta, error) {
	return get[v1.AppMeta](ctx, c, nil, "apps", id, "meta")
}

// RefreshApp checks at once whether an app can be run.
func (c *Client) RefreshApp(ctx context.Context, id string) (*v1.App, error) {
	return send[v1.App](ctx, c, call{method: http.MethodPost, path: []string{"apps", id, "preconditions"}})
}

// RefreshApps checks at once whether each app can be run.
func (c *Client) RefreshApps(ctx context.Context) (*v1.Refreshed, error) {
	return send[v1.Refreshed](ctx, c, call{method: http.MethodPost, path: []string{"preconditions"}})
}

// Redeploy has an instance take what the settings and its app say now.
func (c *Client) Redeploy(ctx context.Context, id string) (*v1.Instance, error) {
	return send[v1.Instance](ctx, c, call{method: http.MethodPost, path: []string{"instances", id, "redeploy"}})
}

// RuntimeVersions are the names that Runtime.RuntimeVersion may have.
func (c *Client) RuntimeVersions(ctx context.Context) ([]v1.RuntimeVersion, error) {
	list, err := get[v1.Items[v1.RuntimeVersion]](ctx, c, nil, "runtime-versions")
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// LaunchProfiles are what apps can have and instances can be started with.
func (c *Client) LaunchProfiles(ctx context.Context) ([]v1.LaunchProfile, error) {
	list, err := get[v1.Items[v1.LaunchProfile]](ctx, c, nil, "launch-profiles")
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}
