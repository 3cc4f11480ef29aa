package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
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
	log   *zap.Logger
	table atomic.Pointer[routing.Table]
	first chan struct{} // closed when there is one
	room  *hold.Room
	// checker asks whose the endpoints are that are dialled.
	checker *identity.Checker

	startOnce sync.Once
	startErr  error
	opened    atomic.Bool // start has succeeded
	store     *etcdstore.Store
	cancel    context.CancelFunc
	feed      sync.WaitGroup
	// control is nil on a pure edge. Requests may come before it is there: Caddy
	// starts its apps in no order.
	control atomic.Pointer[ControlPlane]
}

func newRuntime(log *zap.Logger) *Runtime {
	rt := &Runtime{log: log, first: make(chan struct{}), checker: identity.New(log)}
	rt.room = hold.New(
		func(id routing.ID) *routing.Instance { return rt.table.Load().Instance(id) },
		rt.wake,
	)
	return rt
}

// Table is the present route table; nil before the first was loaded.
func (rt *Runtime) Table() *routing.Table { return rt.table.Load() }

// firstTable is how long a request waits for the first table: longer, and the
// store is away.
const firstTable = 5 * time.Second

// awaitTable returns the present table, and waits for the first; nil if that
// does not come.
func (rt *Runtime) awaitTable(ctx context.Context) *routing.Table {
	select {
	case <-rt.first:
	case <-time.After(firstTable):
	case <-ctx.Done():
	}
	return rt.Table()
}

// wakeTTL is how long an intent is good for without a control plane to take
// it up: as long as a visitor waits by default.
const wakeTTL = time.Minute

func (rt *Runtime) wake(ctx context.Context, id routing.ID) error {
	host, _ := os.Hostname() // only a note in the intent
	return rt.store.Wake(ctx, id.String(), host, wakeTTL)
}

// start opens the store and begins to feed the table, once.
func (rt *Runtime) start(app *App) error {
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
	// The control plane compares the records with what runs before the first
	// route is read: until then a route may name a port that is a stranger's.
	if err := rt.startControl(ctx, app); err != nil {
		return err
	}
	rt.feed.Go(func() { store.Feed(ctx, etcdstore.RoutesPrefix, rt.apply) })
	return nil
}

func (rt *Runtime) startControl(ctx context.Context, app *App) error {
	if app.controlPlane == nil {
		return nil
	}
	control, err := app.controlPlane.StartControlPlane(ctx, ControlPlaneDeps{
		Store: rt.store, Site: app.site, Table: rt.Table, Settings: app.Settings, Log: rt.log,
	})
	if err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	rt.control.Store(&control)
	return nil
}

// apply takes one batch of the feed into the table. A record that does not
// parse is refused, and the last good one stays.
func (rt *Runtime) apply(b etcdstore.Batch) {
	old := rt.table.Load()
	changes := make([]routing.Change, 0, len(b.Events))
	ids := make([]routing.ID, 0, len(b.Events))
	present := map[string]bool{}
	for _, e := range b.Events {
		if b.Full {
			present[e.Key] = true
		}
		change, ok, err := etcdstore.RouteChange(e)
		if err != nil {
			rt.log.Error("route refused, the last good one stays", zap.Error(err))
			continue
		}
		if !ok {
			continue
		}
		changes = append(changes, change)
		if id, ok := etcdstore.RouteInstance(e.Key); ok {
			ids = append(ids, id)
		}
	}
	if b.Full {
		for in := range old.AllInstances() {
			if !present[etcdstore.InstanceRouteKey(in.ID)] {
				changes, ids = append(changes, routing.DeleteInstance(in.ID)), append(ids, in.ID)
			}
		}
		for alias := range old.AllAliases() {
			if !present[etcdstore.AliasRouteKey(alias.Name)] {
				changes = append(changes, routing.DeleteAlias(alias.Name))
			}
		}
	}
	rt.table.Store(old.Apply(b.Revision, changes))
	if old == nil {
		close(rt.first)
	}
	rt.room.Changed(ids)
}

// Destruct implements caddy.Destructor: the last configuration that used the
// runtime is gone.
func (rt *Runtime) Destruct() error {
	var err error
	if control := rt.control.Load(); control != nil {
		err = (*control).Close()
	}
	if rt.cancel != nil {
		rt.cancel()
		rt.feed.Wait()
	}
	if rt.store != nil {
		err = errors.Join(err, rt.store.Close())
	}
	rt.checker.Close()
	return err
}

// ready reports whether requests are answered by what the store says.
func (rt *Runtime) ready() bool { return rt.table.Load() != nil }

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
