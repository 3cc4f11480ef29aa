package scale

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// The figures that must hold, with a thousand instances.
const (
	mostMemory = 300 // MB, of the control plane
	mostAsked  = 10  // requests to the API server for a wake
	mostTime   = time.Minute
)

var instances = flag.Int("instances", 1000, "how many instances sleep; a tenth of them is woken at once")

// TestManyAtOnce has a thousand instances started and suspended, then wakes a
// hundred of them by visits at the same moment.
func TestManyAtOnce(t *testing.T) {
	meter := newMeter(t, clustertest.Config(t))
	h := newHouse(t, meter.kubeconfig, func(space string) string { return fmt.Sprintf(placedHere, space) })
	s := newNodes(t, h, 10)
	app := h.imports(t, slipwaytest.App{Name: "many", Runtime: container("slipway.test/many:1", s.port)})
	meter.take()

	began := time.Now()
	ids := h.runAll(t, app, *instances)
	t.Logf("%d run after %s; %s", len(ids), time.Since(began).Round(time.Second), perInstance(meter.take(), len(ids)))
	began = time.Now()
	h.sleepAll(t, ids)
	t.Logf("they sleep after %s; %s", time.Since(began).Round(time.Second), perInstance(meter.take(), len(ids)))
	t.Log(h.memories(t))

	n := max(1, len(ids)/10)
	took := h.wakeAll(t, ids[:n])
	time.Sleep(2 * time.Second) // that they are ready is noted afterwards
	asked := meter.take()
	t.Logf("%d wakes at once: median %s, last %s; %s", n, took[n/2].Round(time.Millisecond), took[n-1].Round(time.Millisecond), perInstance(asked, n))
	t.Log(h.memories(t))
	if n := asked.lists(); n > 0 {
		t.Errorf("wakes made %d calls for whole lists: %s", n, asked)
	}
	if asked.sum() > mostAsked*n {
		t.Errorf("%d wakes made %d requests, want at most %d each: %s", n, asked.sum(), mostAsked, asked)
	}
	if took[n-1] > mostTime {
		t.Errorf("the last of %d visitors was served after %s, want at most %s", n, took[n-1], mostTime)
	}
	if most := memory(t, h.process.PID, "VmHWM"); most > mostMemory {
		t.Errorf("the control plane took %.0f MB, want at most %d", most, mostMemory)
	}
}

func (h *house) memories(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("memory of control plane and edge: %.0f MB, at most %.0f MB", memory(t, h.process.PID, "VmRSS"), memory(t, h.process.PID, "VmHWM"))
}

func perInstance(a asked, n int) string {
	return fmt.Sprintf("%.2f requests each (%s)", float64(a.sum())/float64(n), a)
}

// together does something for each of n, 40 at a time, and says how far it is.
func together(t *testing.T, what string, n int, do func(i int) error) {
	t.Helper()
	var all errgroup.Group
	var done atomic.Int64
	all.SetLimit(40)
	for i := range n {
		all.Go(func() error {
			if err := do(i); err != nil {
				return err
			}
			if d := done.Add(1); d%100 == 0 {
				t.Logf("%d %s", d, what)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (h *house) runAll(t *testing.T, app string, n int) []string {
	t.Helper()
	ids := make([]string, n)
	together(t, "run", n, func(i int) (err error) {
		ids[i], err = h.run(t.Context(), app)
		return err
	})
	return ids
}

func (h *house) sleepAll(t *testing.T, ids []string) {
	t.Helper()
	together(t, "sleep", len(ids), func(i int) error { return h.sleep(t.Context(), ids[i]) })
}

// wakeAll visits all instances at once, and returns how long each visitor
// waited, the shortest first.
func (h *house) wakeAll(t *testing.T, ids []string) []time.Duration {
	t.Helper()
	took := make([]time.Duration, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			began := time.Now()
			status, body, err := h.visit(t.Context(), hostOf(id), "/")
			took[i] = time.Since(began)
			if err != nil || status != http.StatusOK {
				t.Errorf("a visit of %s: %d, %v, %.200s", id, status, err, body)
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return took
}
