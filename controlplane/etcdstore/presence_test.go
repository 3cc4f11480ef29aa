package etcdstore_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// edge is an edge that keeps its key until the test's end.
type edge struct {
	revision atomic.Int64
	news     chan struct{}
	stop     func()
}

func (w *world) edge(name string, revision int64) *edge {
	w.Helper()
	e := &edge{news: make(chan struct{}, 1)}
	e.revision.Store(revision)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx, awaited by stop
		defer close(done)
		w.Present(ctx, etcdstore.Presence{
			Key: etcdstore.EdgeKey(name), Changed: e.news, Apart: 15 * time.Millisecond,
			Value: func() any { return controlplane.Edge{Name: name, Revision: e.revision.Load()} },
		})
	}()
	e.stop = func() { cancel(); <-done }
	w.Cleanup(e.stop)
	return e
}

func (e *edge) apply(revision int64) {
	e.revision.Store(revision)
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// edgeRevision is what a key says, -1 where there is none.
func (w *world) edgeRevision(name string) int64 {
	w.Helper()
	raw := w.raw("edges/" + name)
	if raw == "" {
		return -1
	}
	var v controlplane.Edge
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		w.Fatal(err)
	}
	return v.Revision
}

func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("waited in vain: %s", what)
		}
	}
}

func (w *world) says(name string, revision int64) {
	w.Helper()
	w.eventually("the key of "+name, func() bool { return w.edgeRevision(name) == revision })
}

func TestAPresenceIsThereWhileItsProcessLives(t *testing.T) {
	w := newWorld(t)
	e := w.edge("one", 1)
	w.says("one", 1)
	e.apply(2)
	w.says("one", 2)
	e.stop()
	if w.raw("edges/one") != "" {
		t.Error("the key is left after a clean end")
	}
}

func TestAThousandChangesAreFewWrites(t *testing.T) {
	w := newWorld(t)
	e := w.edge("one", 0)
	w.says("one", 0)
	begin := time.Now()
	for i := range int64(1000) {
		e.apply(i + 1)
		time.Sleep(100 * time.Microsecond)
	}
	w.says("one", 1000)
	took := time.Since(begin)
	resp, err := w.client.Get(t.Context(), w.prefix+"edges/one")
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(took/(15*time.Millisecond)) + 3; resp.Kvs[0].Version > most {
		t.Errorf("%d writes in %s, want at most %d", resp.Kvs[0].Version, took, most)
	}
}

func TestALostLeaseIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	e := w.edge("one", 7)
	w.says("one", 7)
	resp, err := w.client.Get(t.Context(), w.prefix+"edges/one")
	if err != nil {
		t.Fatal(err)
	}
	lost := resp.Kvs[0].Lease
	if _, err := w.client.Revoke(t.Context(), clientv3.LeaseID(lost)); err != nil {
		t.Fatal(err)
	}
	w.says("one", -1)
	e.apply(8) // the write finds the key gone
	w.says("one", 8)
	if resp, err = w.client.Get(t.Context(), w.prefix+"edges/one"); err != nil || resp.Kvs[0].Lease == lost || resp.Kvs[0].Lease == 0 {
		t.Errorf("the key has lease %d (%v)", resp.Kvs[0].Lease, err)
	}
}

func TestANameIsOneProcessesAtATime(t *testing.T) {
	w := newWorld(t)
	first := w.edge("one", 1)
	w.says("one", 1)
	second := w.edge("one", 2)
	for i := range int64(5) {
		second.apply(100 + i)
		first.apply(10 + i)
		w.says("one", 10+i)
	}
	first.stop()
	w.says("one", 104)
}

func TestWatchEdges(t *testing.T) {
	w := newWorld(t)
	w.rawPut("edges/broken", "{")
	w.rawPut("edges/newer", `{"v":99}`)
	a := w.edge("a", 5)
	w.says("a", 5)
	batches := make(chan controlplane.EdgeBatch, 16)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.WatchEdges(ctx, func(b controlplane.EdgeBatch) { batches <- b }) }()
	t.Cleanup(func() { cancel(); <-done })
	first := <-batches
	same(t, "the first batch", first.Put, []controlplane.Edge{{Name: "a", Revision: 5}, {Name: "broken"}, {Name: "newer"}})
	if !first.Full || first.Revision == 0 {
		t.Errorf("full %v at %d", first.Full, first.Revision)
	}
	a.apply(6)
	same(t, "a change", (<-batches).Put, []controlplane.Edge{{Name: "a", Revision: 6}})
	a.stop()
	same(t, "an end", (<-batches).Gone, []string{"a"})
}

func TestAMarkIsWrittenOnceForARevision(t *testing.T) {
	w := newWorld(t)
	rev := w.put(newApp("x"))
	for range 3 {
		if err := w.MarkRoutes(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := w.client.Get(t.Context(), w.prefix+"routes/mark")
	if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].Version != 1 || resp.Kvs[0].ModRevision <= rev {
		t.Fatalf("the mark is %v (%v)", resp, err)
	}
	if err := w.MarkRoutes(t.Context(), resp.Kvs[0].ModRevision+1); err != nil {
		t.Fatal(err)
	}
	if got := w.changedAt(resp.Header.Revision + 1); len(got) != 1 || got[0] != "routes/mark" {
		t.Errorf("the next revision changed %v", got)
	}
}
