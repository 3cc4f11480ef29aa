package caddymodule

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// Version is the program's, as edges report it. Main sets it; where it is
// empty it is that of this module in the binary.
var Version string

func version() string {
	if Version != "" {
		return Version
	}
	const module = "github.com/seed-dbc68772/slipway"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module {
			return m.Version
		}
	}
	return "unknown"
}

// edgeName is what the setting edge_name may be: a part of a key.
var edgeName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

func checkEdgeName(name string) error {
	if name != "" && !edgeName.MatchString(name) {
		return fmt.Errorf("edge_name is up to 63 letters, digits and inner dots, hyphens and underscores, not %q", name)
	}
	return nil
}

// newEdgeName is the host's name and something that no other process of it has.
func newEdgeName() string {
	host, _ := os.Hostname()
	host = strings.Trim(unsafeInName.ReplaceAllString(host, "-"), "-._")
	if host == "" {
		host = "edge"
	}
	return host[:min(len(host), 54)] + "-" + strings.ToLower(rand.Text()[:8])
}

var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// reportApart is the least time between two reports of an edge: a thousand
// changes in a second become 70 writes.
const reportApart = 15 * time.Millisecond

// connectionsApart is how often a changed number of connections is worth a
// report by itself.
const connectionsApart = 10 * time.Second

// reporter tells the store what this edge has applied. Nothing of it is on a
// request's way: apply leaves a number and goes on, whatever the store does.
type reporter struct {
	name        string
	since       time.Time
	runtime     *Runtime
	connections atomic.Int64
	news        chan struct{} // one is enough: what is written is what is then
	changes     controlplane.Changes

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newReporter(rt *Runtime) *reporter {
	return &reporter{runtime: rt, since: time.Now().UTC().Truncate(time.Millisecond), news: make(chan struct{}, 1)}
}

// applied is called when a table with another route is visible to requests.
// Progress without a change is not told: the report would be a change of the
// store, and so the next progress.
func (r *reporter) applied(revision int64) {
	r.changes.Note(revision, time.Now())
	r.tell()
}

func (r *reporter) tell() {
	select {
	case r.news <- struct{}{}:
	default: // the writer has not taken up the last one
	}
}

// maxDraining is of how many instances that are about to sleep an edge tells each
// by itself: 30 KB.
const maxDraining = 200

// value is what the edge says of itself. The revision is that of the instances
// that are draining, never the table's: between a new table and the news of it,
// one with a mark would say that nothing is open.
func (r *reporter) value() any {
	revision, draining, more := r.runtime.meters.Draining(maxDraining)
	return controlplane.Edge{
		Name: r.name, Revision: revision, Version: version(), Connections: r.connections.Load(), Since: r.since,
		Draining: draining, More: more,
	}
}

// activityEvery is how often the edge tells which instances were used (spec
// instances.md §4).
var activityEvery = 10 * time.Second

// itemsAtOnce is of how many instances one value of a report tells: 60 KB.
const itemsAtOnce = 500

// reports is what the edge has to tell of instances' use.
func (r *reporter) reports() (values []any, written func()) {
	items, written := r.runtime.meters.Report(r.runtime.Table().Instance)
	for chunk := range slices.Chunk(items, itemsAtOnce) {
		values = append(values, controlplane.ActivityReport{Items: chunk})
	}
	return values, written
}

// start makes the edge known as soon as it has its first table.
func (r *reporter) start(store *etcdstore.Store, name string, first <-chan struct{}) {
	if r.name = name; name == "" {
		r.name = newEdgeName()
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.running.Go(func() {
		select {
		case <-first:
			store.Present(ctx, etcdstore.Presence{
				Key: etcdstore.EdgeKey(r.name), Value: r.value, Changed: r.news, Apart: reportApart,
				Reports: &etcdstore.Reports{Prefix: etcdstore.ActivityKeys(r.name), Every: activityEvery, Next: r.reports},
			})
		case <-ctx.Done():
		}
	})
	r.running.Go(func() { r.watchConnections(ctx) })
}

func (r *reporter) watchConnections(ctx context.Context) {
	tick := time.NewTicker(connectionsApart)
	defer tick.Stop()
	for told := int64(0); ; {
		select {
		case <-tick.C:
			if now := r.connections.Load(); now != told {
				told = now
				r.tell()
			}
		case <-ctx.Done():
			return
		}
	}
}

// stop takes the edge out of the store's list.
func (r *reporter) stop() {
	if r.cancel != nil {
		r.cancel()
		r.running.Wait()
	}
}

// countConnections counts those of the HTTP server whose handler is being
// provisioned; once, however many handlers it has.
func (a *App) countConnections(server *caddyhttp.Server) {
	if a.counted[server] {
		return
	}
	a.counted[server] = true
	open := &a.runtime.edge.connections
	server.RegisterConnState(func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateHijacked, http.StateClosed:
			open.Add(-1)
		}
	})
}
