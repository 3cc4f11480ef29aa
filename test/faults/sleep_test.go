package faults

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestSuspendingUnderLoadFailsNobody: an instance is put to sleep and woken
// again and again under 200 requests a second at two edges.
func TestSuspendingUnderLoadFailsNobody(t *testing.T) {
	slow(t)
	f := newFleet(t, 2, 2, "60s")
	log := filepath.Join(f.dir, "starts")
	id := f.deploy(slipwaytest.App{Name: "loop", Env: map[string]string{"START_LOG": log}})
	api := f.api(f.controls[0])
	c, ctx := newCrowd(t)
	c.all.Go(func() {
		tick := time.NewTicker(time.Second / 200)
		defer tick.Stop()
		for n := 0; ctx.Err() == nil; n++ { // whoever waits keeps nobody from coming
			e := f.edges[n%2]
			c.all.Go(func() {
				a := e.get(id+".localhost", fmt.Sprintf("/%d", n))
				if c.total.Add(1); a.status != http.StatusOK || a.err != nil {
					c.fail("%s: %d %v after %s: %.200s", e.name, a.status, a.err, a.took, a.body)
				}
			})
			<-tick.C
		}
	})
	rounds := 0
	for over := time.Now().Add(lasting(15*time.Second, time.Minute)); time.Now().Before(over); rounds++ {
		if _, err := api.Suspend(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		was := startsOf(t, log, id)
		eventually(t, "visitors have woken it", func() bool { return startsOf(t, log, id) > was && f.status(id) == "DEPLOYED" })
	}
	c.leave()
	c.wantNone(t)
	if pids := f.processes(id); len(pids) != 1 {
		t.Errorf("the processes are %v", pids)
	}
	figure(t, "%d rounds of suspend and wake: %s requests", rounds, &c.tally)
}

// TestABrokenAppIsLeftAlone: visited 1,000 times a second, an app that cannot
// start is started at most once per step of its back-off, and another instance
// does not feel it.
func TestABrokenAppIsLeftAlone(t *testing.T) {
	slow(t)
	f := newFleet(t, 1, 1, "5s")
	log := filepath.Join(f.dir, "starts")
	good := f.deploy(slipwaytest.App{Name: "good"})
	broken := f.create(f.controls[0], f.imports(slipwaytest.App{Name: "broken", Env: map[string]string{"START_LOG": log, "EXIT_AT_ONCE": "1"}}))
	f.await(broken, "FAILED")
	e := f.edges[0]
	quiet := pace(t, e, good, 20, lasting(5*time.Second, 20*time.Second))
	c, ctx := newCrowd(t)
	for range 50 {
		c.all.Go(func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				a := e.get(broken+".localhost", "/")
				if c.total.Add(1); a.status != http.StatusServiceUnavailable || a.err != nil || a.header.Get("Retry-After") == "" {
					c.fail("%d %v %v", a.status, a.err, a.header)
				}
				<-tick.C
			}
		})
	}
	lasted := lasting(20*time.Second, time.Minute)
	began := time.Now()
	busy := pace(t, e, good, 20, lasted)
	c.leave()
	c.wantNone(t)
	// 5 s, 10 s, 20 s, 40 s: whatever the load.
	most := 1 // the run's own
	for wait, at := 5*time.Second, 5*time.Second; at <= time.Since(began)+5*time.Second; wait, at = 2*wait, at+2*wait {
		most++
	}
	if n := startsOf(t, log, broken); n > most || n < 2 {
		t.Errorf("%d starts, want 2 to %d", n, most)
	}
	figure(t, "a broken app: %s visits in %s, %d starts; another instance answers within %s, and without them within %s",
		&c.tally, lasted, startsOf(t, log, broken), busy, quiet)
}

// pace asks an instance so many times a second, and returns how long its answers
// took.
func pace(t *testing.T, e *edge, id string, perSecond int, lasting time.Duration) latencies {
	t.Helper()
	var took latencies
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for over := time.Now().Add(lasting); time.Now().Before(over); <-tick.C {
		a := e.get(id+".localhost", "/")
		if a.status != http.StatusOK {
			t.Errorf("another instance answers %d %v", a.status, a.err)
		}
		took = append(took, a.took)
	}
	slices.Sort(took)
	return took
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) String() string {
	at := func(percent int) time.Duration { return l[(len(l)-1)*percent/100].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%s (p50), %s (p99)", at(50), at(99))
}
