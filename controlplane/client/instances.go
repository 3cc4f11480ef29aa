package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Run starts a new instance of an app, and answers before it is ready.
func (c *Client) Run(ctx context.Context, r v1.RunRequest) (*v1.Instance, error) {
	return send[v1.Instance](ctx, c, call{method: http.MethodPost, path: []string{"instances"}, body: r})
}

// Instances is one page of the instances.
func (c *Client) Instances(ctx context.Context, p Page) (*v1.List[v1.Instance], error) {
	return get[v1.List[v1.Instance]](ctx, c, p.query(), "instances")
}

// AllInstances yields the instances of all pages.
func (c *Client) AllInstances(ctx context.Context) iter.Seq2[v1.Instance, error] {
	return c.FindInstances(ctx, nil)
}

// Instance is one instance.
func (c *Client) Instance(ctx context.Context, id string) (*v1.Instance, error) {
	return get[v1.Instance](ctx, c, nil, "instances", id)
}

// UpdateInstance changes an instance.
func (c *Client) UpdateInstance(ctx context.Context, id string, p v1.InstancePatch) (*v1.Instance, error) {
	return send[v1.Instance](ctx, c, call{method: http.MethodPatch, path: []string{"instances", id}, body: p})
}

// Suspend puts an instance to sleep; one that sleeps stays as it is.
func (c *Client) Suspend(ctx context.Context, id string) (*v1.Instance, error) {
	return send[v1.Instance](ctx, c, call{method: http.MethodPost, path: []string{"instances", id, "suspend"}})
}

// Resume starts an instance again; one that runs stays as it is.
func (c *Client) Resume(ctx context.Context, id string) (*v1.Instance, error) {
	return send[v1.Instance](ctx, c, call{method: http.MethodPost, path: []string{"instances", id, "resume"}})
}

// Restart starts an instance anew; one that sleeps is started.
func (c *Client) Restart(ctx context.Context, id string) (*v1.Instance, error) {
	return send[v1.Instance](ctx, c, call{method: http.MethodPost, path: []string{"instances", id, "restart"}})
}

// InstanceStatus is how far an instance is.
func (c *Client) InstanceStatus(ctx context.Context, id string) (*v1.InstanceStatus, error) {
	return get[v1.InstanceStatus](ctx, c, nil, "instances", id, "status")
}

// Why is why an instance is awake or asleep.
func (c *Client) Why(ctx context.Context, id string) (*v1.Why, error) {
	return get[v1.Why](ctx, c, nil, "instances", id, "why")
}

// Events are the last events of an instance, the newest last.
func (c *Client) Events(ctx context.Context, id string) ([]v1.Event, error) {
	list, err := get[v1.Events](ctx, c, nil, "instances", id, "events")
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// FollowEvents yields the last events of an instance and then each new one,
// until ctx ends. When the instance is gone the error is CodeNotFound. A stream
// that breaks off is resumed where it was; a server that is not there to begin
// with, or stays away for about a minute, is an error.
func (c *Client) FollowEvents(ctx context.Context, id string) iter.Seq2[v1.Event, error] {
	k := call{method: http.MethodGet, path: []string{"instances", id, "events"}, query: url.Values{"follow": {"true"}}}
	return follow[v1.Event](ctx, c, following{call: k, event: "instance"})
}

// Terminate ends an instance for good. It answers while the instance is still
// TERMINATING; after that there is none.
func (c *Client) Terminate(ctx context.Context, id string) (*v1.Instance, error) {
	out := &v1.Instance{ID: id, Status: string(controlplane.Terminating)}
	if err := c.do(ctx, call{method: http.MethodDelete, path: []string{"instances", id}}, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Logs chooses what to read of an instance's output.
type Logs struct {
	Follow   bool // go on with what comes, until the context ends
	Previous bool // of the process before the present one
}

// InstanceLogs streams an instance's output as it is, control sequences of
// terminals included. The caller closes it.
func (c *Client) InstanceLogs(ctx context.Context, id string, l Logs) (io.ReadCloser, error) {
	q := url.Values{}
	if l.Follow {
		q.Set("follow", "true")
	}
	if l.Previous {
		q.Set("previous", "true")
	}
	k := call{method: http.MethodGet, path: []string{"instances", id, "logs"}, query: q}
	req, err := c.request(ctx, k, nil, http.Header{"Accept": {"text/plain, application/problem+json"}})
	if err != nil {
		return nil, err
	}
	res, err := c.send(req) //nolint:bodyclose // the caller closes the stream, and that the body
	if err != nil {
		return nil, err
	}
	return &stream{c: c, ctx: ctx, body: res.Body}, nil
}

// stream gives the errors of a body the form of all others.
type stream struct {
	c    *Client
	ctx  context.Context
	body io.ReadCloser
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.c.unreachable(s.ctx, err)
	}
	return n, err
}

func (s *stream) Close() error { return s.body.Close() }
