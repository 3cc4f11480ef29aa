package controlplane_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// edge is a real feed and a real presence, as an edge has them.
func (in *installation) edge(name string) (stop func()) {
	in.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	var mu sync.Mutex
	var revision int64
	news, first := make(chan struct{}, 1), make(chan struct{})
	running.Go(func() {
		in.store.Feed(ctx, etcdstore.RoutesPrefix, func(b etcdstore.Batch) {
			if !b.Full && len(b.Events) == 0 {
				return
			}
			mu.Lock()
			revision = b.Revision
			mu.Unlock()
			if b.Full {
				close(first)
			}
			select {
			case news <- struct{}{}:
			default:
			}
		})
	})
	running.Go(func() {
		<-first
		in.store.Present(ctx, etcdstore.Presence{Key: etcdstore.EdgeKey(name), Changed: news, Value: func() any {
			mu.Lock()
			defer mu.Unlock()
			return controlplane.Edge{Name: name, Revision: revision}
		}})
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	in.Cleanup(stop)
	for end := time.Now().Add(time.Minute); ; {
		list, err := in.AwaitEdges(in.Context(), ada, 0, 0)
		if err != nil {
			in.Fatal(err)
		}
		if strings.Contains(","+strings.Join(names(list, nil), ",")+",", ","+name+",") {
			return stop
		}
		if time.Now().After(end) {
			in.Fatalf("edge %s is not there: %v", name, list)
		}
	}
}

// names are those of the edges that keep says yes to; nil to all.
func names(list controlplane.EdgeList, keep func(controlplane.EdgeState) bool) []string {
	out := []string{}
	for _, e := range list.Items {
		if keep == nil || keep(e) {
			out = append(out, e.Name)
		}
	}
	return out
}

func TestAwaitEdges(t *testing.T) {
	in := install(t)
	stopA := in.edge("a")
	in.edge("b")
	await := func(revision int64, wait time.Duration) controlplane.EdgeList {
		t.Helper()
		list, err := in.AwaitEdges(t.Context(), ada, revision, wait)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	created, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales"})
	if err != nil {
		t.Fatal(err)
	}
	if list := await(created.ChangedAt, 30*time.Second); !list.All || len(list.Items) != 2 {
		t.Errorf("after a change: %+v", list)
	}
	// Nothing among the routes changes: without a mark no edge would come to it.
	var touched int64
	if touched, err = in.store.Update(t.Context(), func(tx controlplane.Tx) error {
		return tx.Put(&controlplane.Token{Hash: "x", User: "y"})
	}); err != nil {
		t.Fatal(err)
	}
	if list := await(touched, 0); list.All {
		t.Errorf("edges have a revision that no route has: %+v", list)
	}
	if list := await(touched, 30*time.Second); !list.All {
		t.Errorf("after a change of no route: %+v", list)
	}
	if _, err := in.AwaitEdges(t.Context(), ada, touched+1000, time.Second); controlplane.CodeOf(err) != controlplane.CodeInvalid {
		t.Errorf("a revision to come gives %v", err)
	}
	// One that does not follow is named; gone, nobody waits for it.
	stopA()
	ctx, cancel := context.WithCancel(context.Background())
	var stuck sync.WaitGroup
	stuck.Go(func() {
		in.store.Present(ctx, etcdstore.Presence{Key: etcdstore.EdgeKey("stuck"), Value: func() any { return controlplane.Edge{Revision: 1} }})
	})
	t.Cleanup(func() { cancel(); stuck.Wait() })
	for len(names(await(0, 0), nil)) != 2 {
		time.Sleep(time.Millisecond)
	}
	if created, err = in.AssignAlias(t.Context(), admin, "sales", "", false); err != nil {
		t.Fatal(err)
	}
	list := await(created.ChangedAt, 200*time.Millisecond)
	lags := names(list, func(e controlplane.EdgeState) bool { return !e.Applied })
	if diff := cmp.Diff([]string{"stuck"}, lags); diff != "" || list.All {
		t.Errorf("edges that lag (-want +got):\n%s", diff)
	}
	cancel()
	stuck.Wait()
	if list = await(created.ChangedAt, 30*time.Second); !list.All || len(list.Items) != 1 {
		t.Errorf("after its end: %+v", list)
	}
}

func TestAnEdgeThatEndsReleasesThoseWhoWait(t *testing.T) {
	in := install(t)
	ctx, cancel := context.WithCancel(context.Background())
	var stuck sync.WaitGroup
	stuck.Go(func() {
		in.store.Present(ctx, etcdstore.Presence{Key: etcdstore.EdgeKey("stuck"), Value: func() any { return controlplane.Edge{} }})
	})
	t.Cleanup(func() { cancel(); stuck.Wait() })
	for {
		list, err := in.AwaitEdges(t.Context(), ada, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) == 1 {
			break
		}
	}
	created, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales"})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(150*time.Millisecond, cancel)
	if list, err := in.AwaitEdges(t.Context(), ada, created.ChangedAt, 30*time.Second); err != nil || !list.All {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestChangesTellTheLag(t *testing.T) {
	var c controlplane.Changes
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	wants := func(revision int64, ms int) {
		t.Helper()
		got, behind := c.After(revision)
		if behind != (ms >= 0) || behind && !got.Equal(at(ms)) {
			t.Errorf("after %d: %v, %v; want %d ms", revision, got.UnixMilli(), behind, ms)
		}
	}
	wants(0, -1)
	c.Note(10, at(100))
	c.Note(20, at(200))
	wants(9, 100)
	wants(10, 200)
	wants(19, 200)
	wants(20, -1)
	for i := range 5000 {
		c.Note(int64(100+i), at(1000+2*i))
	}
	wants(5098, 1000+2*4999)
	if _, behind := c.After(1); !behind {
		t.Error("what is forgotten counts as no change")
	}
	c.Note(5, at(20000)) // a restored backup
	wants(4, 20000)
	wants(5, -1)
	if _, behind := (*controlplane.Changes)(nil).After(0); behind {
		t.Error("nil knows a change")
	}
}
