package routes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

func TestASnapshotIsServedOnlyWithoutAStore(t *testing.T) {
	dir := t.TempDir()
	c := routes.Config{Snapshot: dir, Prefix: "/p/", FirstWait: 20 * time.Millisecond, ListWait: time.Hour}
	y := newYard(t, c)
	y.list(5, etcdstore.AtStart, puts(0, 100, "ann", 5)...)
	y.stop()

	t.Run("the store is away", func(t *testing.T) {
		y := newYard(t, c)
		y.config.Heard(false)
		<-y.First()
		y.wantLen(100, 0)
		if s := y.Status(); s.Origin != routes.FromSnapshot || s.Revision != 5 || s.Silence >= 0 || !s.Away || s.Cluster != 1 {
			t.Errorf("status %+v", s)
		}
		before := y.Table().Instance(id(1))
		y.list(7, etcdstore.AtStart, puts(0, 10, "ann", 5)...)
		if s := y.Status(); s.Origin != routes.FromStore || s.Held != 90 || y.Table().Instance(id(1)) != before {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("another prefix", func(t *testing.T) {
		other := c
		other.Prefix = "/q/"
		y := newYard(t, other)
		y.eventually("a word on it", func() bool { return y.logs.FilterMessageSnippet("no snapshot").Len() == 1 })
		if y.Table() != nil {
			t.Error("served from another store's snapshot")
		}
	})
	t.Run("the store answers", func(t *testing.T) {
		y := newYard(t, c)
		y.config.Heard(true)
		time.Sleep(60 * time.Millisecond) // longer than FirstWait; shorter proves nothing but does not fail
		if y.Table() != nil {
			t.Fatal("served from the snapshot")
		}
		y.list(7, etcdstore.AtStart, puts(0, 10, "ann", 5)...)
		y.wantLen(10, 0) // what nobody was served from is not held
	})
}

func TestTheSnapshotOfAnotherClusterLendsNothing(t *testing.T) {
	dir := t.TempDir()
	c := routes.Config{Snapshot: dir, Prefix: "/p/", FirstWait: time.Hour}
	y := newYard(t, c)
	y.list(5, etcdstore.AtStart, puts(0, 10, "ann", 5)...)
	y.stop()
	y = newYard(t, c)
	y.sink(etcdstore.Batch{Revision: 3, Full: true, First: true, Cluster: 2, Events: []etcdstore.Event{poison(1, 3), put(2, "bob", 3)}})
	y.wantLen(1, 0)
}

func TestEveryCorruptSnapshotIsSurvived(t *testing.T) {
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := newFarm(t, server, routes.Config{Snapshot: dir, SaveEvery: time.Millisecond, FirstWait: 10 * time.Millisecond})
	f.txn(f.opPut(put(1, "one", 0)))
	f.run()
	f.stop()
	f.txn(f.opPut(put(1, "two", 0)))
	f.run()
	f.stop()
	server.Stop()
	f.begin()
	f.wantOwner(1, "two")
	f.stop()
	newest := filepath.Join(dir, "routes.snap")
	raw, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 16 { // cut at each sixteenth
		if err := os.WriteFile(newest, raw[:len(raw)*i/16], 0o600); err != nil {
			t.Fatal(err)
		}
		f.begin()
		f.wantOwner(1, "one")
		f.stop()
		if f.logs.FilterMessageSnippet("the one before it is").Len() != 1 {
			t.Fatalf("cut at %d/16: nothing is said of it", i)
		}
	}
	if err := os.Remove(filepath.Join(dir, "routes.snap.1")); err != nil {
		t.Fatal(err)
	}
	f.begin()
	eventually(t, "a word on it", func() bool { return f.logs.FilterMessageSnippet("no snapshot of the routes").Len() == 1 })
	if f.live.Table() != nil {
		t.Error("a table out of nothing")
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantOwner(1, "two")
	f.stop()
}

func TestADiskThatTakesNothingStopsNothing(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFarm(t, etcdtest.Shared(t), routes.Config{Snapshot: filepath.Join(blocked, "below"), SaveEvery: time.Millisecond})
	f.run()
	for i := range 20 {
		f.txn(f.opPut(put(1, fmt.Sprint(i), 0)))
		f.wantOwner(1, fmt.Sprint(i))
	}
	eventually(t, "a warning", func() bool { return f.logs.FilterMessageSnippet("cannot be saved").Len() > 0 })
	f.stop()
	if n := f.logs.FilterMessageSnippet("cannot be saved").Len(); n != 1 {
		t.Errorf("warned %d times in a minute", n)
	}
}
