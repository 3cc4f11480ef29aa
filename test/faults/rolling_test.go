package faults

import (
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestARollingRestartFailsNobody: two of three edges are stopped and started,
// and reloaded, one after another.
func TestARollingRestartFailsNobody(t *testing.T) {
	slow(t)
	s, endpoints := newStore(t), apps(t, 4)
	targets := []int{0, 1, 2, 3}
	for i, endpoint := range endpoints {
		s.write(running(i, endpoint))
	}
	var edges []*edge
	for _, name := range []string{"edge-1", "edge-2", "edge-3"} {
		e := newEdge(t, name, s.endpoint())
		e.start()
		edges = append(edges, e)
	}
	c := visit(t, 32, targets, edges...)
	staying := open(t, 20, 0, targets, edges[2])
	restarts := 0
	for over := time.Now().Add(lasting(15*time.Second, 5*time.Minute)); restarts == 0 || time.Now().Before(over); restarts++ {
		for _, e := range edges[:2] {
			const n = 20
			leaving := open(t, n, 0, targets, e)
			slipwaytest.Reload(t, e.dir)
			time.Sleep(500 * time.Millisecond)
			if got := leaving.closed(); len(got) > 0 {
				t.Errorf("a reload of %s ends WebSockets: %v", e.name, got)
			}
			e.Stop(t)
			eventually(t, "the WebSockets of "+e.name+" end", func() bool {
				ended := 0
				for _, count := range leaving.closed() {
					ended += count
				}
				return ended == n
			})
			if got := leaving.closed(); got[websocket.StatusGoingAway] != n {
				t.Errorf("a stop of %s closes WebSockets by status %v, want %d of 1001; -1 is no close frame", e.name, got, n)
			}
			leaving.leave()
			time.Sleep(200 * time.Millisecond) // nobody can ask it now
			e.start()
		}
		slipwaytest.Reload(t, edges[2].dir)
	}
	c.leave()
	c.wantNone(t)
	staying.leave()
	staying.wantNone(t)
	figure(t, "%d rounds of two restarts and three reloads: %s requests, %d went to another edge; %s WebSockets of the third edge",
		restarts, &c.tally, c.retried.Load(), &staying.tally)
}
