package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// Refused counts the connections that somebody else answered.
func (rt *Runtime) Refused() int64 { return rt.checker.Refused() }

// RuntimesInUse are the runtimes of the configurations that are loaded.
func RuntimesInUse() (all []*Runtime) {
	runtimes.Range(func(_, value any) bool {
		all = append(all, value.(*Runtime))
		return true
	})
	return all
}

// Explain is what the control plane asks.
func (rt *Runtime) Explain(q controlplane.ExplainRequest) (*controlplane.Explanation, error) {
	return rt.explain(q)
}

// Connections is how many this edge would report.
func (rt *Runtime) Connections() int64 { return rt.edge.connections.Load() }

// Remote passes requests on to one address; the function returns the status of
// its own page, or 0.
func Remote(t *testing.T, client *ControlClient, to etcdstore.ControlAddress) func(http.ResponseWriter, *http.Request) int {
	t.Helper()
	c, err := newRemoteControl(client, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.idle.CloseIdleConnections)
	raw, err := json.Marshal(to)
	if err != nil {
		t.Fatal(err)
	}
	c.take(etcdstore.Batch{Full: true, Events: []etcdstore.Event{{Key: "control/one", Value: raw}}})
	return func(w http.ResponseWriter, r *http.Request) int {
		p, _ := c.forward(w, r, trustedProxies(nil).forwarded(r), trustedProxies(nil).client(r))
		return p.status
	}
}

// Stays is how many requests and WebSockets are under way.
func (rt *Runtime) Stays() int { return rt.stays.Len() }

// ReportEvery makes edges that start from now on tell of activity so often.
func ReportEvery(t *testing.T, every time.Duration) {
	t.Helper()
	was := activityEvery
	activityEvery = every
	t.Cleanup(func() { activityEvery = was })
}

// Waiters is how many requests wait.
func (rt *Runtime) Waiters() int64 { return rt.room.Waiters() }

// ServeBy serves requests that were decided by this table, however the present
// one is: those that are slower than a change of their instance.
func (rt *Runtime) ServeBy(table *routing.Table) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, v := rt.explains.Load(), visit{began: time.Now()}
		d := table.Decide(h.site, requestOf(r))
		v.decided(table, &d)
		v.admission = h.admit(table, d.Instance, r, false)
		_ = h.serve(w, r, d, &v, false)
	})
}

// Icons are what an edge keeps of apps' icons.
type Icons = icons

// Of is of.
func (i *icons) Of(ctx context.Context, digest string, fetch func(context.Context) ([]byte, error)) []byte {
	return i.of(ctx, digest, fetch)
}

// Len is how many are kept.
func (i *icons) Len() int { return len(i.kept) }
