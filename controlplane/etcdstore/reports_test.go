package etcdstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// reporting is an edge that has something to tell when a test says so.
type reporting struct {
	*world
	*edge
	name string

	mu      sync.Mutex
	values  []any
	asked   int
	written int
}

func (w *world) reporting(name string) *reporting {
	w.Helper()
	r := &reporting{world: w, name: name, edge: &edge{news: make(chan struct{}, 1)}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with ctx, awaited by stop
		defer close(done)
		w.Present(ctx, etcdstore.Presence{
			Key: etcdstore.EdgeKey(name), Changed: r.news, Apart: 15 * time.Millisecond,
			Value:   func() any { return controlplane.Edge{Name: name, Revision: r.edge.revision.Load()} },
			Reports: &etcdstore.Reports{Prefix: etcdstore.ActivityKeys(name), Every: 20 * time.Millisecond, Next: r.next},
		})
	}()
	r.stop = func() { cancel(); <-done }
	w.Cleanup(r.stop)
	return r
}

func (r *reporting) next() ([]any, func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	values := r.values
	return values, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.values, r.written = nil, r.written+1
	}
}

// tell leaves one value for each ID, and waits until they are written.
func (r *reporting) tell(ids ...string) {
	r.Helper()
	r.leave(ids...)
	r.eventually("the report", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.values == nil
	})
}

func (r *reporting) leave(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.values = append(r.values, controlplane.ActivityReport{Items: []controlplane.Activity{{InstanceID: id}}})
	}
}

// quiet waits for a few reports without news.
func (r *reporting) quiet() {
	r.Helper()
	r.mu.Lock()
	until := r.asked + 3
	r.mu.Unlock()
	r.eventually("reports without news", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.asked >= until
	})
}

func (r *reporting) keysOfReports() (keys []string) {
	for _, key := range r.keys() {
		if strings.HasPrefix(key, "activity/") {
			keys = append(keys, key)
		}
	}
	return keys
}

// heard collects what WatchActivity tells.
func (w *world) heard() func() []string {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var ids []string
	var running sync.WaitGroup
	running.Go(func() {
		w.WatchActivity(ctx, func(b controlplane.ActivityBatch) {
			mu.Lock()
			defer mu.Unlock()
			for _, a := range b.Items {
				ids = append(ids, a.InstanceID)
			}
		})
	})
	w.Cleanup(func() { cancel(); running.Wait() })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(ids)
	}
}

func (r *reporting) live() {
	r.Helper()
	r.says(r.name, 0)
}

func TestAReportIsOverwrittenOrDeletedByTheNext(t *testing.T) {
	w := newWorld(t)
	r := w.reporting("one")
	r.live()
	heard := w.heard()
	var many []string
	for i := range 21 {
		many = append(many, fmt.Sprint("a", i))
	}
	r.tell(many...)
	w.eventually("all of it at the watcher", func() bool { return len(heard()) == len(many) })
	same(t, "what the watcher has", heard(), many)
	resp, err := w.client.Get(t.Context(), w.prefix+"edges/one")
	if err != nil {
		t.Fatal(err)
	}
	lease := resp.Kvs[0].Lease
	reports, err := w.client.Get(t.Context(), w.prefix+"activity/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range reports.Kvs {
		if kv.Lease != lease {
			t.Errorf("%s has another lease than the edge", kv.Key)
		}
	}
	r.quiet()
	same(t, "keys when nothing is new", r.keysOfReports(), []string(nil))

	before := w.put(newApp("x"))
	r.quiet()
	if after := w.put(newApp("y")); after != before+1 {
		t.Errorf("without news there were %d changes", after-before-1)
	}

	// The lease's end takes what there is, and so does the end of the edge.
	r.leave("b0", "b1")
	r.stop()
	w.eventually("the last report", func() bool { return slices.Contains(heard(), "b1") })
	same(t, "keys after the end", r.keysOfReports(), []string(nil))
}

func TestAReportThatWasNotWrittenIsToldLater(t *testing.T) {
	w := newWorld(t)
	r := w.reporting("one")
	r.live()
	heard := w.heard()
	r.tell("first")
	resp, err := w.client.Get(t.Context(), w.prefix+"edges/one")
	if err != nil {
		t.Fatal(err)
	}
	// Another process has the name: nothing of ours may be told.
	if _, err := w.client.Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
	}
	w.rawPut("edges/one", `{"v":1,"revision":77}`)
	r.leave("second")
	time.Sleep(200 * time.Millisecond) // ten reports are due
	if slices.Contains(heard(), "second") {
		t.Error("it was told under another's name")
	}
	if _, err := w.client.Delete(t.Context(), w.prefix+"edges/one"); err != nil {
		t.Fatal(err)
	}
	w.eventually("the report", func() bool { return slices.Contains(heard(), "second") })
}
