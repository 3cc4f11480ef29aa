package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/activity"
	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream/identity"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// runtimes holds what outlives configurations, by the settings that it cannot
// take over from another one.
var runtimes = caddy.NewUsagePool()

// Runtime is what outlives configurations: the connection to the store, the
// route table, and the requests that wait.
type Runtime struct {
	log  *zap.Logger
	live *routes.Live
	room *hold.Room
	edge *reporter
	// meters know which instances are in use.
	meters *activity.Meters
	// upstream keeps the connections to instances, and the WebSockets.
	upstream *upstream.Client
	// checker asks whose the endpoints are that are dialled.
	checker *identity.Checker
	metrics metrics
	// visitors says who visitors are, and stays are their requests that
	// are under way.
	visitors *session.Checker
	stays    session.Stays
	icons    icons

	startOnce sync.Once
	startErr  error
	opened    atomic.Bool // start has succeeded
	store     *etcdstore.Store
	cancel    context.CancelFunc
	feed      sync.WaitGroup
	// control is nil on a pure edge. Requests may come before it is there: Caddy
	// starts its apps in no order.
	control atomic.Pointer[ControlPlane]
	serving *controlServer // of that to other edges; nil where not configured
	// remote is what a pure edge has in its place.
	remote atomic.Pointer[remoteControl]
	// explains is the present configuration's handler: whom the control plane
	// of this process asks what the edge would do.
	explains atomic.Pointer[Handler]
}

func newRuntime(log *zap.Logger) *Runtime {
	rt := &Runtime{log: log, checker: identity.New(log)}
	rt.upstream = upstream.New(upstream.Config{Check: rt.checker.Check})
	rt.live = routes.New(log, rt.changed)
	rt.visitors = session.New()
	rt.meters = activity.New(func() { rt.edge.tell() })
	rt.edge = newReporter(rt)
	rt.metrics.prepare(rt)
	rt.room = hold.New(house{rt})
	return rt
}

// changed is called when a new table is visible, with what is otherwise in it.
func (rt *Runtime) changed(news routes.Changes) {
	rt.meters.Changed(news.Revision, news.Instances, rt.Table().Instance)
	rt.edge.applied(news.Revision)
	rt.room.Changed(news.Instances)
	rt.room.Told(news.Progress)
	if len(news.Limits) > 0 {
		rt.room.Limited(affectedBy(news.Limits))
	}
	rt.upstream.Changed(news.Instances, rt.Table().Instance)
}

// Table is the present route table; nil before the first was loaded.
func (rt *Runtime) Table() *routing.Table { return rt.live.Table() }

// Routes is the state of the route table.
func (rt *Runtime) Routes() routes.Status { return rt.live.Status() }

// firstTable is how long a request waits for the first table: longer, and the
// store is away.
const firstTable = 5 * time.Second

// awaitTable returns the present table, and waits for the first; nil if that
// does not come.
func (rt *Runtime) awaitTable(ctx context.Context) *routing.Table {
	select {
	case <-rt.live.First():
	case <-time.After(firstTable):
	case <-ctx.Done():
	}
	return rt.Table()
}

// start opens the store and begins to feed the table, once.
func (rt *Runtime) start(app *App) error {
	rt.explains.Store(app.edge)
	rt.room.SetLimits(hold.Limits{Instance: app.WaitersPerInstance, Source: app.WaitersPerSource, Edge: app.WaitersPerEdge})
	rt.startOnce.Do(func() {
		rt.startErr = rt.open(app)
		rt.opened.Store(rt.startErr == nil)
	})
	return rt.startErr
}

// alone refuses a reload that needs another store or control plane than the one
// at work, which goes on: two of them would start the same instances. It is
// asked before any app is started, so that no connection comes to the listener
// of a configuration that fails.
func (rt *Runtime) alone() (err error) {
	runtimes.Range(func(_, value any) bool {
		if other := value.(*Runtime); other != rt && other.opened.Load() {
			err = errors.New("the settings of etcd or the control plane have changed: they need a restart")
		}
		return err == nil
	})
	return err
}

func (rt *Runtime) open(app *App) error {
	store, err := etcdstore.Open(app.Etcd.config(rt.log))
	if err != nil {
		return err
	}
	rt.store = store
	ctx, cancel := context.WithCancel(context.Background())
	rt.cancel = cancel
	rt.edge.start(store, app.EdgeName, rt.live.First())
	// The control plane compares the records with what runs before the first
	// route is read: until then a route may name a port that is a stranger's.
	if err := rt.startControl(ctx, app); err != nil {
		return err
	}
	config := routes.Config{Prefix: store.Prefix(), Spread: rt.metrics.propagation.observe}
	if app.controlPlane == nil {
		config.Snapshot = app.snapshotFolder()
	}
	rt.feed.Go(func() { rt.live.Run(ctx, store, config) })
	rt.feed.Go(func() { rt.visitors.Watch(ctx, &rt.stays, rt.Table, rt.live.Fresh) })
	return nil
}

func (rt *Runtime) startControl(ctx context.Context, app *App) error {
	if app.controlPlane == nil {
		remote, err := newRemoteControl(app.ControlClient, rt.log.Named("control_plane"))
		if err != nil {
			return err
		}
		rt.remote.Store(remote)
		rt.feed.Go(func() { rt.store.Feed(ctx, etcdstore.ControlPrefix, remote.take) })
		return nil
	}
	control, err := app.controlPlane.StartControlPlane(ctx, ControlPlaneDeps{
		Store: rt.store, Name: rt.edge.name, Address: app.ControlListener.known(), Site: app.site, Explain: rt.explain, Settings: app.Settings, Changes: &rt.edge.changes, Log: rt.log,
	})
	if err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	rt.control.Store(&control)
	if app.ControlListener != nil {
		rt.serving, err = startControlServer(app.ControlListener, rt, app.site, control)
	}
	return err
}

// Destruct implements caddy.Destructor: the last configuration that used the
// runtime is gone.
func (rt *Runtime) Destruct() error {
	var err error
	rt.edge.stop() // it serves no more, and nobody is to wait for it
	rt.upstream.Close()
	rt.visitors.Close()
	if rt.serving != nil {
		rt.serving.stop()
	}
	if control := rt.control.Load(); control != nil {
		err = (*control).Close()
	}
	if rt.cancel != nil {
		rt.cancel()
		rt.feed.Wait()
	}
	if remote := rt.remote.Load(); remote != nil {
		remote.idle.CloseIdleConnections()
	}
	if rt.store != nil {
		err = errors.Join(err, rt.store.Close())
	}
	rt.checker.Close()
	return err
}

// ready reports whether requests are answered by what the store says.
func (rt *Runtime) ready() bool { return rt.Table() != nil }

// api and consoleSite are the control plane's handlers, nil on a pure edge and
// while it starts.
func (rt *Runtime) api() http.Handler {
	if control := rt.control.Load(); control != nil {
		return (*control).API()
	}
	return nil
}

func (rt *Runtime) consoleSite() http.Handler {
	if control := rt.control.Load(); control != nil {
		return (*control).Console()
	}
	return nil
}
