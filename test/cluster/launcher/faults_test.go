package launcher_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

const id = launchertest.ID

// Each write of a start, a stop and a removal is done and its answer lost.
func TestAnswersAreLost(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	w := &wire{}
	l := y.lead(t, w.over)
	lose := func() {
		lost := map[string]bool{}
		var turn atomic.Bool
		w.happens(nil, func(r *http.Request) error {
			for !turn.CompareAndSwap(false, true) {
				time.Sleep(time.Millisecond)
			}
			defer turn.Store(false)
			if key := r.Method + resource(r); writes(r) && !lost[key] {
				lost[key] = true
				return errCut
			}
			return nil
		})
	}
	o := launchertest.Observe(t, l)
	lose()
	start(t, l, y.workload(id, 1, launchertest.Serves))
	ready := o.Ready(id, 1)
	if !answers(ready.Endpoint) {
		t.Error("it does not answer")
	}
	lose()
	if err := l.Stop(t.Context(), id, 1, time.Second); err != nil {
		t.Fatal(err)
	}
	lose()
	start(t, l, y.workload(id, 2, launchertest.Serves))
	o.Ready(id, 2)
	lose()
	if err := l.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	y.nothingLeft(t)
}

// The API server is away while an instance runs, and while one starts.
func TestTheAPIServerIsAway(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	w := &wire{}
	l := y.lead(t, w.over)
	o := launchertest.Observe(t, l)
	start(t, l, y.workload(id, 1, launchertest.Serves))
	ready := o.Ready(id, 1)
	w.happens(func(*http.Request) error { return errCut }, nil)
	began := make(chan error, 1)
	go func() { began <- l.Start(t.Context(), y.workload("other", 1, launchertest.Serves)) }()
	time.Sleep(2 * time.Second)
	if now := launchertest.Observe(t, l).Initial()[id]; now.State != launcher.Ready || now.Endpoint != ready.Endpoint {
		t.Errorf("while the API server is away the instance is %+v", now)
	}
	w.happens(nil, nil)
	if err := <-began; err != nil {
		t.Fatal(err)
	}
	o.Ready("other", 1)
}

// A leader is held up at each of its writes in turn, and goes on once another
// one leads and has started what it likes.
func TestALeaderThatWasHeldUpChangesNothing(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	for _, c := range []struct {
		name  string
		fresh bool
	}{
		{"as it starts a new instance", true},
		{"as it wakes one", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t)
			for n := 1; ; n++ {
				at := y.holdUp(t, int32(n), int64(2*n))
				if at == "" {
					if n < 6 {
						t.Errorf("a start has %d writes", n-1)
					}
					return
				}
				t.Logf("write %d is %s", n, at)
				if !c.fresh {
					continue
				}
				l := y.lead(t)
				if err := l.Remove(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				l.Resign()
			}
		})
	}
}

// holdUp holds a leader up at the write with that number of a start, has another
// one lead and start the next generation, and lets the first go on. It says which
// write that is; empty: there are not so many.
func (y *yard) holdUp(t *testing.T, n int32, generation int64) (at string) {
	t.Helper()
	w := &wire{}
	first, second := y.lead(t, w.over), y.open(t)
	defer func() {
		if err := second.Close(context.Background(), false, 0); err != nil {
			t.Error(err)
		}
	}()
	var count atomic.Int32
	held, release := make(chan string, 1), make(chan struct{})
	w.happens(func(r *http.Request) error {
		if writes(r) && count.Add(1) == n {
			held <- r.Method + " " + resource(r)
			<-release
		}
		return nil
	}, nil)
	began := make(chan error, 1)
	go func() { began <- first.Start(t.Context(), y.workload(id, generation, launchertest.Serves)) }()
	select {
	case at = <-held:
	case <-time.After(5 * time.Second):
	}
	if err := second.Lead(t.Context(), y.epochs.Add(1)); err != nil {
		t.Fatal(err)
	}
	o := launchertest.Observe(t, second)
	start(t, second, y.workload(id, generation+1, launchertest.Serves))
	ready := o.Ready(id, generation+1)
	close(release)
	if err := <-began; err != nil && !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("held up at %s, the start says %v", at, err)
	}
	if err := first.Start(t.Context(), y.workload(id, generation+9, launchertest.Serves)); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("held up at %s, another start says %v", at, err)
	}
	time.Sleep(time.Second)
	if now := launchertest.Observe(t, second).Initial()[id]; now.State != launcher.Ready || now.Endpoint != ready.Endpoint || now.Generation != generation+1 {
		t.Errorf("held up at %s, it makes of %+v: %+v", at, ready, now)
	}
	if pods := y.pods(t); len(pods) != 1 || objects.Generation(pods[0].Labels) != generation+1 {
		t.Errorf("held up at %s, there are %d pods", at, len(pods))
	}
	for _, o := range y.census.Overlaps() {
		t.Errorf("held up at %s, two at a time: %s", at, o)
	}
	return at
}
