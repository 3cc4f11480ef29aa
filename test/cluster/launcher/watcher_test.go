package launcher_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// watcher keeps the facts that a launcher tells.
type watcher struct {
	mu    sync.Mutex
	facts []launcher.Fact
	news  chan struct{}
}

// watch begins to observe; it ends with the test.
func watch(t *testing.T, l launcher.Launcher) *watcher {
	t.Helper()
	w := &watcher{news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	facts := l.Observe(ctx)
	done.Go(func() {
		for f := range facts {
			w.mu.Lock()
			w.facts = append(w.facts, f)
			w.mu.Unlock()
			select {
			case w.news <- struct{}{}:
			default:
			}
		}
	})
	return w
}

// until returns the first fact of a generation that is so, with the one before it.
func (w *watcher) until(t *testing.T, generation int64, limit time.Duration, so func(launcher.Fact) bool) (f, before launcher.Fact) {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		w.mu.Lock()
		own := slices.DeleteFunc(slices.Clone(w.facts), func(f launcher.Fact) bool { return f.Generation != generation })
		w.mu.Unlock()
		for at, f := range own {
			if so(f) {
				if at > 0 {
					before = own[at-1]
				}
				return f, before
			}
		}
		select {
		case <-w.news:
		case <-timer.C:
			for _, f := range own {
				t.Logf("%+v %v", f, f.Reason)
			}
			t.Fatalf("no such fact of generation %d within %s", generation, limit)
		}
	}
}

func ended(f launcher.Fact) bool { return f.State == launcher.Ended }
func ready(f launcher.Fact) bool { return f.State == launcher.Ready }

func (w *watcher) all() []launcher.Fact {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.facts)
}
