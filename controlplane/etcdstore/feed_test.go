package etcdstore_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// follow runs a feed until the test ends, and has its batches.
func (w *world) follow(prefix string) <-chan etcdstore.Batch {
	return w.followWith(prefix, func(etcdstore.Batch) {})
}

// followWith calls hook from within the sink.
func (w *world) followWith(prefix string, hook func(etcdstore.Batch)) <-chan etcdstore.Batch {
	batches := make(chan etcdstore.Batch, 10_000)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Feed(ctx, prefix, func(b etcdstore.Batch) {
			hook(b)
			batches <- b
		})
	}()
	w.Cleanup(func() { cancel(); <-done })
	return batches
}

func (w *world) next(batches <-chan etcdstore.Batch) etcdstore.Batch {
	w.Helper()
	for {
		select {
		case b := <-batches:
			if !b.Full && len(b.Events) == 0 {
				continue // progress
			}
			return b
		case <-time.After(time.Minute):
			w.Fatal("the feed tells nothing")
		}
	}
}

func TestAFeedListsThenWatches(t *testing.T) {
	w := newWorld(t)
	w.rawPut("routes/a", "1")
	w.rawPut("other/b", "1")
	batches := w.follow("routes/")
	first := w.next(batches)
	if !first.Full || len(first.Events) != 1 || first.Events[0].Key != "routes/a" || string(first.Events[0].Value) != "1" {
		t.Fatalf("first batch %+v", first)
	}
	w.rawPut("other/b", "2")
	resp, err := w.client.Txn(t.Context()).Then(
		clientv3.OpPut(w.prefix+"routes/b", "1"),
		clientv3.OpPut(w.prefix+"routes/c", "1"),
		clientv3.OpDelete(w.prefix+"routes/a"),
	).Commit()
	if err != nil {
		t.Fatal(err)
	}
	b := w.next(batches)
	if b.Full || b.Revision != resp.Header.Revision || len(b.Events) != 3 {
		t.Fatalf("one revision came as %+v", b)
	}
	for _, e := range b.Events {
		if deleted := e.Key == "routes/a"; deleted != (e.Value == nil) || e.Revision != b.Revision {
			t.Errorf("event %+v", e)
		}
	}
}

func TestAnInstanceAndItsRouteComeInOneBatch(t *testing.T) {
	w := newWorld(t)
	batches := w.follow("")
	w.next(batches)
	in := newInstance(newApp("demo"))
	rev := w.put(in)
	b := w.next(batches)
	if b.Revision != rev || len(b.Events) != 4 {
		t.Errorf("batch %+v", b)
	}
}

// etcd sends a watcher that catches up a thousand revisions at a time, each
// time under the revision of the whole store.
func TestABatchIsEverythingUpToItsRevision(t *testing.T) {
	w := newWorld(t)
	const n = 2500
	var last int64
	batches := w.followWith("routes/", func(b etcdstore.Batch) {
		if !b.Full {
			return
		}
		for i := range n {
			resp, err := w.client.Put(context.Background(), w.prefix+"routes/a", fmt.Sprint(i))
			if err != nil {
				t.Error(err)
				return
			}
			last = resp.Header.Revision
		}
	})
	seen := w.next(batches).Revision
	for count := 0; count < n; {
		b := w.next(batches)
		for _, e := range b.Events {
			if e.Revision <= seen || e.Revision > b.Revision {
				t.Fatalf("an event of revision %d in the batch from %d to %d", e.Revision, seen, b.Revision)
			}
		}
		count += len(b.Events)
		seen = b.Revision
	}
	if seen != last {
		t.Errorf("ended at revision %d, want %d", seen, last)
	}
}

func TestALongListComesInOneBatch(t *testing.T) {
	w := newWorld(t)
	const n = 5050 // more than a page
	for i := 0; i < n; i += 101 {
		var ops []clientv3.Op
		for j := range 101 {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("%sroutes/%05d", w.prefix, i+j), "x"))
		}
		if _, err := w.client.Txn(t.Context()).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	b := w.next(w.follow("routes/"))
	keys := map[string]bool{}
	for _, e := range b.Events {
		keys[e.Key] = true
	}
	if !b.Full || len(b.Events) != n || len(keys) != n {
		t.Errorf("full %v, %d events of %d keys, want %d", b.Full, len(b.Events), len(keys), n)
	}
}

func TestAFeedListsAgainAfterCompaction(t *testing.T) {
	w := newWorld(t)
	fulls := 0
	batches := w.followWith("routes/", func(b etcdstore.Batch) {
		if fulls++; fulls > 1 {
			return
		}
		// While the sink is at work the revision to watch from goes.
		w.rawPut("routes/b", "1")
		if _, err := w.client.Delete(t.Context(), w.prefix+"routes/a"); err != nil {
			t.Error(err)
		}
		w.rawPut("routes/c", "1")
		resp, err := w.client.Get(t.Context(), "x")
		if err == nil {
			_, err = w.client.Compact(t.Context(), resp.Header.Revision)
		}
		if err != nil {
			t.Error(err)
		}
	})
	w.next(batches)
	again := w.next(batches)
	keys := []string{}
	for _, e := range again.Events {
		keys = append(keys, e.Key)
	}
	if !again.Full {
		t.Errorf("batch %+v", again)
	}
	same(t, "keys", keys, []string{"routes/b", "routes/c"})
	w.rawPut("routes/d", "1")
	if b := w.next(batches); b.Full || len(b.Events) != 1 {
		t.Errorf("batch %+v", b)
	}
}

func TestAFeedSurvivesARestartOfEtcd(t *testing.T) {
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, server)
	w.rawPut("routes/a", "1")
	batches := w.follow("routes/")
	w.next(batches)
	for range 2 {
		server.Stop()
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.rawPut("routes/b", "1")
		found := false
		for !found {
			for _, e := range w.next(batches).Events {
				found = found || e.Key == "routes/b"
			}
		}
	}
}

func TestAFeedWaitsForAnEtcdThatIsAway(t *testing.T) {
	server := etcdtest.New(t)
	w := worldOn(t, server)
	batches := w.follow("routes/")
	time.Sleep(100 * time.Millisecond)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b := w.next(batches); !b.Full {
		t.Errorf("batch %+v", b)
	}
}

func TestWakeIsRegisteredOnceAndExpires(t *testing.T) {
	w := newWorld(t)
	in := newInstance(newApp("demo"))
	before := w.leases()
	for _, edge := range []string{"one", "two"} {
		if err := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: edge}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := w.client.Get(t.Context(), w.prefix+"wake/"+in.ID)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("intents %v, %v", resp, err)
	}
	kv := resp.Kvs[0]
	if kv.Version != 1 || kv.Lease == 0 {
		t.Errorf("written %d times, lease %d; want once, and a lease", kv.Version, kv.Lease)
	}
	for id := range w.leases() {
		if id != clientv3.LeaseID(kv.Lease) && !before[id] {
			t.Error("there is a lease that is not the intent's")
		}
	}
	in = newInstance(newApp("demo"))
	if err := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: "one"}, time.Second); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); w.raw("wake/"+in.ID) != ""; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the intent does not expire")
		}
	}
	if err := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: "one"}, time.Minute); err != nil || w.raw("wake/"+in.ID) == "" {
		t.Errorf("no intent after the first expired: %v", err)
	}
	revision := w.revision("wake/" + in.ID)
	w.update(func(tx controlplane.Tx) error { tx.ClearWake(in.ID, revision-1); return nil })
	if w.raw("wake/"+in.ID) == "" {
		t.Error("clearing an older intent took this one")
	}
	w.update(func(tx controlplane.Tx) error { tx.ClearWake(in.ID, revision); return nil })
	if raw := w.raw("wake/" + in.ID); raw != "" {
		t.Errorf("the intent is still there: %s", raw)
	}
}

// leases are those of the whole etcd.
func (w *world) leases() map[clientv3.LeaseID]bool {
	w.Helper()
	resp, err := w.client.Leases(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	ids := map[clientv3.LeaseID]bool{}
	for _, l := range resp.Leases {
		ids[l.ID] = true
	}
	return ids
}

func TestTheWatchersOfTheControlPlane(t *testing.T) {
	w := newWorld(t)
	in := newInstance(newApp("demo"))
	w.put(in)
	w.rawPut("instances/broken", `{"v":1,"id":7}`)
	instances, wakes := make(chan controlplane.InstanceBatch, 9), make(chan controlplane.WakeBatch, 9)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() {
		w.WatchInstances(ctx, func(b controlplane.InstanceBatch) { instances <- b })
		done <- struct{}{}
	}()
	go func() { w.WatchWakes(ctx, func(b controlplane.WakeBatch) { wakes <- b }); done <- struct{}{} }()
	defer func() { cancel(); <-done; <-done }()
	same(t, "first instances", <-instances, controlplane.InstanceBatch{Full: true, Put: []*controlplane.Instance{in}, Unread: []string{"broken"}})
	same(t, "first wakes", <-wakes, controlplane.WakeBatch{Full: true})
	if err := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: "edge"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if b := <-wakes; len(b.Put) != 1 || b.Put[0].InstanceID != in.ID || b.Put[0].Edge != "edge" || b.Put[0].Revision == 0 {
		t.Fatalf("a wake: %+v", b)
	}
	for name, forged := range map[string]string{
		"an intent that does not parse":    `{"v":1,"edge":7}`,
		"one that would fill every record": `{"v":1,"edge":"edge","user":"ada","kind":"` + strings.Repeat("k", 5000) + `"}`,
	} {
		w.rawPut("wake/"+in.ID, forged)
		if b := <-wakes; len(b.Put) != 1 || b.Put[0].InstanceID != in.ID || b.Put[0].Edge+b.Put[0].Kind+b.Put[0].User != "" {
			t.Fatalf("%s: %+v", name, b)
		}
	}
	w.update(func(tx controlplane.Tx) error { return tx.Delete(in) })
	same(t, "the wake gone", <-wakes, controlplane.WakeBatch{Gone: []string{in.ID}})
	same(t, "the instance gone", <-instances, controlplane.InstanceBatch{Gone: []string{in.ID}})
}
