package launcher_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

const id = launchertest.ID

// live starts an instance, stops it, starts it again and removes it, each after
// before, and holds that one workload ran at a time and nothing is left.
func (y *yard) live(t *testing.T, l launcher.Launcher, before func()) {
	t.Helper()
	o := launchertest.Observe(t, l)
	begin := func(generation int64) {
		t.Helper()
		w := y.workload(id, generation, launchertest.Serves)
		w.App.Manifest.Runtime.VolumeMount, w.App.Manifest.Runtime.VolumeSize = "/kept", "1Mi"
		before()
		start(t, l, w)
		if f := o.Ready(id, generation); !answers(f.Endpoint) {
			t.Errorf("nothing answers at %s", f.Endpoint)
		}
	}
	begin(1)
	before()
	if err := l.Stop(t.Context(), id, 1, time.Second); err != nil {
		t.Fatal(err)
	}
	if f := o.Ended(id, 1); f.Reason != nil {
		t.Errorf("it was stopped on purpose, and ended for %s", f.Reason)
	}
	begin(2)
	before()
	if err := l.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if over := y.census.Overlaps(); len(over) > 0 {
		t.Error(over)
	}
	y.nothingLeft(t)
}

// Of each start, stop and removal the first two answers to every kind of write
// are lost. What such a call made is adopted.
func TestAnswersAreLost(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	t.Parallel()
	y, w := newYard(t), &wire{}
	l := y.lead(t, w.over)
	var mu sync.Mutex
	ever := map[string]bool{}
	y.live(t, l, func() {
		lost := map[string]int{}
		w.happens(nil, func(r *http.Request) error {
			mu.Lock()
			defer mu.Unlock()
			call := r.Method + " " + resource(r)
			if !writes(r) || lost[call] == 2 {
				return nil
			}
			lost[call]++
			ever[call] = true
			return errCut
		})
	})
	mu.Lock()
	defer mu.Unlock()
	for _, call := range []string{
		"POST configmaps", "POST secrets", "POST persistentvolumeclaims", "PATCH services", "POST deployments", "PATCH deployments",
		"PUT configmaps", "PATCH pods", "DELETE pods", "DELETE configmaps", "DELETE secrets",
	} {
		if !ever[call] {
			t.Errorf("no answer to %s was lost; there were %v", call, ever)
		}
	}
}

// All answers come late.
func TestAnswersAreLate(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	t.Parallel()
	y, w := newYard(t), &wire{}
	l := y.lead(t, w.over)
	w.happens(nil, func(r *http.Request) error {
		if !streams(r) {
			time.Sleep(300 * time.Millisecond)
		}
		return nil
	})
	y.live(t, l, func() {})
}

// A leader is held up at each of its writes in turn, and goes on once another
// one leads and has started what it likes.
func TestALeaderThatWasHeldUpChangesNothing(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	for _, c := range []struct {
		name string
		then func(*testing.T, launcher.Launcher, int64) error // between two writes
	}{
		{"as it starts a new instance", func(t *testing.T, l launcher.Launcher, _ int64) error { return l.Remove(t.Context(), id) }},
		{"as it wakes one that sleeps", func(t *testing.T, l launcher.Launcher, generation int64) error {
			return l.Stop(t.Context(), id, generation, time.Second)
		}},
		{"as it starts one that runs anew", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t)
			for n := 1; ; n++ {
				at := y.holdUp(t, func(_ string, count int) bool { return count == n }, int64(2*n))
				if at == "" {
					if n < 6 {
						t.Errorf("a start has %d writes", n-1)
					}
					return
				}
				t.Logf("write %d is %s", n, at)
				if c.then == nil {
					continue
				}
				l := y.lead(t)
				if err := c.then(t, l, int64(2*n+1)); err != nil {
					t.Fatal(err)
				}
				l.Resign()
			}
		})
	}
}

// A wake writes its record and applies its Deployment at the same time: a leader
// is held up at one of them, and the other comes to be.
func TestALeaderIsHeldUpBetweenRecordAndDeployment(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	generation := int64(1)
	for _, call := range []string{"", "PATCH deployments", "PUT configmaps"} {
		at := y.holdUp(t, func(now string, _ int) bool { return now == call }, generation)
		if at != call {
			t.Fatalf("it was held up at %q, want %q", at, call)
		}
		l := y.lead(t)
		if err := l.Stop(t.Context(), id, generation+1, time.Second); err != nil {
			t.Fatal(err)
		}
		l.Resign()
		generation += 2
	}
}

// A leader is cut off once the record and the Deployment of a wake are there, and its
// Secret is not. The next one is asked for the same start.
func TestALeaderDiesBeforeTheSecretOfAWake(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	t.Parallel()
	y, w := newYard(t), &wire{}
	first := y.lead(t, w.over)
	o := launchertest.Observe(t, first)
	start(t, first, y.workload(id, 1, launchertest.Serves))
	o.Ready(id, 1)
	if err := first.Stop(t.Context(), id, 1, time.Second); err != nil {
		t.Fatal(err)
	}
	cut := make(chan struct{})
	once := sync.OnceFunc(func() { close(cut) })
	w.happens(func(r *http.Request) error {
		if r.Method == http.MethodPost && resource(r) == "secrets" {
			once()
			return errCut
		}
		return nil
	}, nil)
	began := make(chan error, 1)
	go func() { began <- first.Start(t.Context(), y.workload(id, 2, launchertest.Serves)) }()
	<-cut
	second := y.lead(t)
	o = launchertest.Observe(t, second)
	start(t, second, y.workload(id, 2, launchertest.Serves))
	if f := o.Ready(id, 2); !answers(f.Endpoint) {
		t.Errorf("nothing answers at %s", f.Endpoint)
	}
	if err := <-began; !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("the start that was cut off says %v", err)
	}
	if over := y.census.Overlaps(); len(over) > 0 {
		t.Error(over)
	}
}

// holdUp holds a leader up at the first write of a start that is such a one, by its
// name and number, has another one lead and start the next generation, and lets
// the first go on. It says which write that is; empty: there is none.
func (y *yard) holdUp(t *testing.T, such func(call string, count int) bool, generation int64) (at string) {
	t.Helper()
	w := &wire{}
	first, second := y.lead(t, w.over), y.open(t)
	defer func() {
		if err := second.Close(context.Background(), false, 0); err != nil {
			t.Error(err)
		}
	}()
	var (
		mu    sync.Mutex
		count int
		once  bool
	)
	held, release := make(chan string, 1), make(chan struct{})
	w.happens(func(r *http.Request) error {
		if !writes(r) {
			return nil
		}
		call := r.Method + " " + resource(r)
		mu.Lock()
		count++
		hold := !once && such(call, count)
		once = once || hold
		mu.Unlock()
		if hold {
			held <- call
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
