package routes_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// script is a source that tells what the test says.
type script struct {
	config etcdstore.FeedConfig
	sink   func(etcdstore.Batch)
	ready  chan struct{}
	once   sync.Once
	newer  func(revision int64) bool // nil: nothing is
	listAt func(revision int64) ([]etcdstore.Event, error)
}

func (s *script) Follow(ctx context.Context, _ string, c etcdstore.FeedConfig, sink func(etcdstore.Batch)) {
	s.config, s.sink = c, sink
	s.once.Do(func() { close(s.ready) })
	<-ctx.Done()
}

func (s *script) Newer(_ context.Context, _ string, revision int64) (bool, error) {
	return s.newer != nil && s.newer(revision), nil
}

func (s *script) ListAt(_ context.Context, _ string, revision int64, page func([]etcdstore.Event) error) error {
	events, err := s.listAt(revision)
	if err == nil {
		err = page(events)
	}
	return err
}

// yard is a live table that is fed by hand.
type yard struct {
	*testing.T
	*routes.Live
	*script
	logs *observer.ObservedLogs
	stop func()

	mu      sync.Mutex
	changed []routing.ID
}

func newYard(t *testing.T, c routes.Config) *yard {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	y := &yard{T: t, logs: logs, script: &script{ready: make(chan struct{})}}
	y.Live = routes.New(zap.New(core), func(news routes.Changes) {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.changed = append(y.changed, news.Instances...)
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); y.Live.Run(ctx, y.script, c) }()
	y.stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(y.stop)
	<-y.ready
	return y
}

func (y *yard) list(revision int64, reason etcdstore.Reason, events ...etcdstore.Event) {
	y.sink(etcdstore.Batch{Revision: revision, Full: true, First: true, Reason: reason, Cluster: 1, Events: events})
}

func (y *yard) watch(revision int64, events ...etcdstore.Event) {
	y.sink(etcdstore.Batch{Revision: revision, Events: events})
}

func (y *yard) took() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := len(y.changed)
	y.changed = nil
	return n
}

func (y *yard) wantLen(instances, aliases int) {
	y.Helper()
	if n, m := y.Table().Len(); n != instances || m != aliases {
		y.Errorf("%d instances and %d aliases, want %d and %d", n, m, instances, aliases)
	}
}

func (y *yard) eventually(what string, done func() bool) { y.Helper(); eventually(y.T, what, done) }

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func id(n int) routing.ID {
	id, _ := routing.ParseID(fmt.Sprintf("%08x-1111-4222-8333-444444444444", n))
	return id
}

func record(owner string) string {
	return `{"v":1,"app":"a","mode":"DOMAIN","status":"DEPLOYED","endpoint":"127.0.0.1:80","generation":1,` +
		`"visibility":"PUBLIC","owner":"` + owner + `","wake":"visitors"}`
}

func put(n int, owner string, revision int64) etcdstore.Event {
	return etcdstore.Event{Key: etcdstore.InstanceRouteKey(id(n)), Value: []byte(record(owner)), Revision: revision}
}

func poison(n int, revision int64) etcdstore.Event {
	return etcdstore.Event{Key: etcdstore.InstanceRouteKey(id(n)), Value: []byte("{"), Revision: revision}
}

func gone(n int, revision int64) etcdstore.Event {
	return etcdstore.Event{Key: etcdstore.InstanceRouteKey(id(n)), Revision: revision}
}

func alias(name string, n int, revision int64) etcdstore.Event {
	return etcdstore.Event{Key: etcdstore.AliasRouteKey(name), Value: []byte(`{"v":1,"instance_id":"` + id(n).String() + `"}`), Revision: revision}
}

func policy(n int, owner string, revision int64) etcdstore.Event {
	value := fmt.Sprintf(`{"v":1,"owner":%q,"lifecycle":"MANAGED","visibility":"ALL_USERS","visitor_roles":["a","b"],"title":"T","identity":true}`, owner)
	return etcdstore.Event{Key: etcdstore.PolicyRouteKey(fmt.Sprint(n % 3)), Value: []byte(value), Revision: revision}
}

func revoked(n int, revision int64) etcdstore.Event {
	key := etcdstore.RecordRouteKey(etcdstore.RecordOfUser(fmt.Sprint(n % 3)))
	return etcdstore.Event{Key: key, Value: fmt.Appendf(nil, `{"v":1,"epoch":%d}`, n), Revision: revision}
}

func puts(from, to int, owner string, revision int64) (events []etcdstore.Event) {
	for n := from; n < to; n++ {
		events = append(events, put(n, owner, revision))
	}
	return events
}
