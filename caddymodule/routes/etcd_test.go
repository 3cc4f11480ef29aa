package routes_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// farm is a real etcd with a live table.
type farm struct {
	*testing.T
	server *etcdtest.Server
	prefix string
	client *clientv3.Client
	config routes.Config
	live   *routes.Live
	logs   *observer.ObservedLogs
	stop   func()
}

func newFarm(t *testing.T, server *etcdtest.Server, c routes.Config) *farm {
	t.Helper()
	f := &farm{T: t, server: server, prefix: etcdtest.Prefix(t), config: c}
	f.client = server.Client(t)
	f.config.Prefix = f.prefix
	if c.Rand == nil {
		f.config.Rand = func() float64 { return 0.02 } // of the jitter
	}
	return f
}

// run starts an edge's table and waits for it.
func (f *farm) run() {
	f.Helper()
	f.begin()
	select {
	case <-f.live.First():
	case <-time.After(time.Minute):
		f.Fatal("no table")
	}
}

func (f *farm) begin() {
	f.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{f.server.Endpoint()}, Prefix: f.prefix})
	if err != nil {
		f.Fatal(err)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	f.logs = logs
	f.live = routes.New(zap.New(core), func(routes.Changes) {})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.live.Run(ctx, store, f.config) }()
	f.stop = sync.OnceFunc(func() { cancel(); <-done; store.Close() })
	f.Cleanup(f.stop)
}

func (f *farm) txn(ops ...clientv3.Op) int64 {
	f.Helper()
	resp, err := f.client.Txn(f.Context()).Then(ops...).Commit()
	if err != nil {
		f.Fatal(err)
	}
	return resp.Header.Revision
}

func (f *farm) opPut(e etcdstore.Event) clientv3.Op {
	return clientv3.OpPut(f.prefix+e.Key, string(e.Value))
}

func (f *farm) opGone(n int) clientv3.Op {
	return clientv3.OpDelete(f.prefix + etcdstore.InstanceRouteKey(id(n)))
}

func (f *farm) owner(n int) string {
	if in := f.live.Table().Instance(id(n)); in != nil {
		return in.Owner
	}
	return ""
}

func (f *farm) wantOwner(n int, owner string) {
	f.Helper()
	eventually(f.T, fmt.Sprintf("instance %d of %q", n, owner), func() bool { return f.owner(n) == owner })
}

// wantConverged compares the table with the store.
func (f *farm) wantConverged() {
	f.Helper()
	eventually(f.T, "the table to be as the store", func() bool {
		resp, err := f.client.Get(f.Context(), f.prefix+"routes/", clientv3.WithPrefix())
		if err != nil {
			f.Fatal(err)
		}
		n, m := f.live.Table().Len()
		if n+m != len(resp.Kvs) {
			return false
		}
		for _, kv := range resp.Kvs {
			c, _, err := etcdstore.RouteChange(etcdstore.Event{Key: string(kv.Key)[len(f.prefix):], Value: kv.Value})
			if err != nil || !f.live.Table().Has(c) {
				return false
			}
		}
		return true
	})
}

func TestARestoredBackupIsNoticedWithoutAnyChange(t *testing.T) {
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newFarm(t, server, routes.Config{})
	f.txn(f.opPut(put(1, "old", 0)), f.opPut(put(2, "kept", 0)))
	server.Stop()
	restore := server.Backup(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.run()
	f.txn(f.opPut(put(1, "new", 0)), f.opPut(put(3, "lost", 0)))
	f.txn(f.opPut(put(4, "lost", 0)))
	f.wantOwner(4, "lost")
	kept := f.live.Table().Instance(id(2))
	server.Stop()
	restore()
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantOwner(1, "old")
	f.wantConverged()
	if f.live.Table().Instance(id(2)) != kept {
		t.Error("a record that is as before was made anew")
	}
	if s := f.live.Status(); s.Lists[etcdstore.Restored] != 1 || s.Away || s.Silence < 0 {
		t.Errorf("status %+v", s)
	}
	f.txn(f.opPut(put(5, "after", 0)))
	f.wantOwner(5, "after")
}

func TestAnotherClusterAtTheSameAddressIsNoticed(t *testing.T) {
	first, second := etcdtest.New(t), etcdtest.New(t)
	for _, server := range []*etcdtest.Server{first, second} {
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f := newFarm(t, first, routes.Config{})
	f.txn(f.opPut(put(1, "first", 0)))
	f.run()
	was := f.live.Status().Cluster
	there := newFarm(t, second, routes.Config{})
	for range 20 { // its revision is above the first one's
		there.txn(there.opPut(put(1, "second", 0)))
	}
	first.Stop()
	first.Yield(t, second)
	f.wantOwner(1, "second")
	eventually(t, "the list to be counted", func() bool {
		s := f.live.Status()
		return s.Lists[etcdstore.Replaced] == 1 && s.Cluster != was && s.Cluster != 0
	})
}

// The watch is cut while the store forgets what it would go on from.
func TestCompactionWhileTheWatchIsCutEndsInAList(t *testing.T) {
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newFarm(t, server, routes.Config{Heartbeat: time.Hour})
	f.txn(f.opPut(put(1, "one", 0)), f.opPut(put(2, "two", 0)), f.opPut(put(3, "three", 0)))
	f.run()
	server.Stop()
	moved := etcdtest.New(t)
	server.Move(t, moved)
	if err := moved.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	there := newFarm(t, moved, routes.Config{})
	there.txn(there.opPut(put(1, "changed", 0)), there.opGone(2))
	revision := there.txn(there.opPut(put(4, "four", 0)))
	if _, err := there.client.Compact(t.Context(), revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	moved.Stop()
	moved.Move(t, server)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantOwner(1, "changed")
	f.wantConverged()
	eventually(t, "the list to be counted", func() bool { return f.live.Status().Lists[etcdstore.Compacted] == 1 })
}

// Two aliases change places in one transaction, again and again.
func TestARevisionIsNeverSeenHalf(t *testing.T) {
	f := newFarm(t, etcdtest.Shared(t), routes.Config{})
	f.txn(f.opPut(alias("a", 1, 0)), f.opPut(alias("b", 2, 0)))
	f.run()
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				table := f.live.Table()
				if a, b := table.Alias("a"), table.Alias("b"); a == nil || b == nil || a.Instance == b.Instance {
					t.Errorf("half a revision at %d: %v %v", table.Revision(), a, b)
					return
				}
			}
		})
	}
	var last int64
	for i := range 300 {
		last = f.txn(f.opPut(alias("a", 1+i%2, 0)), f.opPut(alias("b", 2-i%2, 0)))
		if i == 150 {
			if _, err := f.client.Compact(t.Context(), last); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the last revision", func() bool { return f.live.Table().Revision() >= last })
}

// Whatever happens, the table ends as the store is.
func TestAnyHistoryEndsWithTheStoresTable(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newFarm(t, server, routes.Config{
		Snapshot: t.TempDir(), SaveEvery: 5 * time.Millisecond, HoldRemovals: 20 * time.Millisecond,
		VerifyEvery: 30 * time.Millisecond, Heartbeat: 50 * time.Millisecond,
	})
	f.run()
	for range 120 {
		switch n := random.IntN(100); {
		case n < 70:
			ops := map[int]clientv3.Op{}
			for range 1 + random.IntN(8) {
				n := random.IntN(40)
				if ops[n] = f.opPut(put(n, fmt.Sprint(random.IntN(1000)), 0)); random.IntN(3) == 0 {
					ops[n] = f.opGone(n)
				}
			}
			var list []clientv3.Op
			for _, op := range ops {
				list = append(list, op)
			}
			f.txn(append(list, f.opPut(alias(fmt.Sprintf("a%d", random.IntN(9)), random.IntN(40), 0)))...)
		case n < 80:
			f.txn(clientv3.OpDelete(f.prefix+"routes/", clientv3.WithPrefix()))
		case n < 88:
			revision := f.txn(f.opPut(put(0, "compacted", 0)))
			if _, err := f.client.Compact(t.Context(), revision); err != nil {
				t.Fatal(err)
			}
		case n < 96:
			f.stop()
			f.run()
		default:
			server.Stop()
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.wantConverged()
	if s := f.live.Status(); s.Drift != 0 {
		t.Errorf("drift: %+v", s)
	}
}
