package controlmodule

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	zaplogs "go.uber.org/zap/zaptest/observer"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/facts"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// patience bounds what a test waits for.
const patience = 20 * time.Second

// yard is a launcher that runs nothing, at a place.
type yard struct {
	place string
	lost  error // of Place
	fails error // of Lead
	hangs bool  // so does Lead

	mu      sync.Mutex
	hub     *facts.Hub // nil: it does not lead
	epochs  []int64
	resigns int
	closes  []bool // stopWorkloads of each
}

func (y *yard) Place(context.Context) (string, error) { return y.place, y.lost }

func (y *yard) Lead(ctx context.Context, epoch int64) error {
	if y.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.epochs = append(y.epochs, epoch)
	if y.fails == nil {
		y.hub = facts.New()
	}
	return y.fails
}

func (y *yard) Resign() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.resigns++
	if y.hub != nil {
		y.hub.Close()
		y.hub = nil
	}
}

func (y *yard) Observe(ctx context.Context) <-chan launcher.Fact {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.hub.Observe(ctx)
}

func (y *yard) Close(_ context.Context, stopWorkloads bool, _ time.Duration) error {
	y.mu.Lock()
	y.closes = append(y.closes, stopWorkloads)
	y.mu.Unlock()
	y.Resign()
	return nil
}

func (*yard) Check(*controlplane.App) []controlplane.Reason            { return nil }
func (*yard) Start(context.Context, launcher.Workload) error           { return errors.New("it starts nothing") }
func (*yard) Stop(context.Context, string, int64, time.Duration) error { return nil }
func (*yard) Remove(context.Context, string) error                     { return nil }
func (*yard) Logs(context.Context, string, launcher.LogOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

// module is yard's.
type module struct {
	stopsOnExit bool
	modes       []controlplane.AppMode // nil: Python
}

func (module) Open(*zap.Logger) (launcher.Launcher, error) { return nil, errors.New("not by a test") }
func (m module) StopOnExit() bool                          { return m.stopsOnExit }
func (m module) Modes() []controlplane.AppMode {
	if m.modes == nil {
		return []controlplane.AppMode{controlplane.Python}
	}
	return m.modes
}

// house is a control plane over the test's store, before it does anything.
type house struct {
	*candidate
	yard *yard
	logs *zaplogs.ObservedLogs
}

func newHouse(t *testing.T, name, place string) *house {
	t.Helper()
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://localhost:8080"})
	if err != nil {
		t.Fatal(err)
	}
	folder, err := blobs.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	core, logs := zaplogs.New(zapcore.InfoLevel)
	y := &yard{place: place}
	store := etcdtest.Shared(t).Open(t)
	r := &running{
		ControlPlaneDeps: caddymodule.ControlPlaneDeps{
			Store: store, Name: name, Address: name + ".example:9000", Site: site, Log: zap.New(core),
			Settings: caddymodule.Settings{BaseURLSharing: new(bool), StartsAtOnce: 20},
		},
		modules: map[string]LauncherModule{"yard": module{}}, launchers: map[string]launcher.Launcher{"yard": y},
		blobs: folder, settled: newLatch(), counts: newMetrics([]string{"yard"}),
	}
	config := controlplane.Config{Store: store, Blobs: folder, Sleep: controlplane.SleepSettings{Timeout: time.Hour, Presence: time.Hour}}
	return &house{candidate: &candidate{running: r, config: config, log: zap.New(core), appsChecked: checkAppsEvery}, yard: y, logs: logs}
}

// run campaigns until the test ends or stop is called, which waits for it.
func (h *house) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.campaign(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// instance is a record of an instance of this launcher.
func instance(t *testing.T, store *etcdstore.Store, launcher string) *controlplane.Instance {
	t.Helper()
	in := &controlplane.Instance{
		ID: uuid.NewString(), AppID: uuid.NewString(), Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Suspended,
		RoutingMode: controlplane.Domain, Launcher: launcher, Generation: 1,
	}
	update(t, store, func(tx controlplane.Tx) error { return tx.Put(in) })
	return in
}

func update(t *testing.T, store controlplane.Store, f func(controlplane.Tx) error) {
	t.Helper()
	if _, err := store.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so in time: %s", what)
		}
	}
}

// opened waits for a latch.
func opened(t *testing.T, l latch) {
	t.Helper()
	select {
	case <-l.done:
	case <-time.After(patience):
		t.Fatal("the edge of this process waits still")
	}
}
