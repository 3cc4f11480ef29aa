package faults

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestNobodyNoticesThatTheStoreIsAway: etcd is killed, stands still, or cannot
// be reached, for ten minutes. Who runs is served as before, who sleeps cannot
// be woken, and nobody's connection is closed, then or when it is back.
func TestNobodyNoticesThatTheStoreIsAway(t *testing.T) {
	for name, fault := range map[string]struct {
		begin, end func(*store, []*edge)
	}{
		"killed": {
			func(s *store, _ []*edge) { s.Kill() },
			func(s *store, _ []*edge) { s.start() },
		},
		"frozen": {
			func(s *store, _ []*edge) { s.Freeze() },
			func(s *store, _ []*edge) { s.Thaw() },
		},
		"cut off": {
			func(_ *store, edges []*edge) {
				for _, e := range edges {
					e.line.Cut()
				}
			},
			func(_ *store, edges []*edge) {
				for _, e := range edges {
					e.line.Mend()
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			const asleep, late = 90, 91
			s, endpoints := newStore(t), apps(t, 4)
			targets := []int{0, 1, 2, 3}
			for i, endpoint := range endpoints {
				s.write(running(i, endpoint))
			}
			s.write(sleeping(asleep))
			var edges []*edge
			for _, name := range []string{"edge-1", "edge-2"} {
				e := newEdge(t, name, s.endpoint())
				e.start()
				edges = append(edges, e)
			}
			var crowds []*crowd
			var held []*streams
			for _, e := range edges {
				crowds = append(crowds, visit(t, 16, targets, e))
				held = append(held, open(t, 10, 10, targets, e))
			}
			time.Sleep(time.Second) // of the usual
			fault.begin(s, edges)
			began := time.Now()
			var refusals []time.Duration
			for over := began.Add(lasting(15*time.Second, 10*time.Minute)); time.Now().Before(over); time.Sleep(time.Second) {
				for _, e := range edges {
					refusals = append(refusals, e.wants503(host(asleep), patience).took)
					if got := e.status("localhost", "/readyz"); got != http.StatusOK {
						t.Errorf("%s is not ready any more: %d", e.name, got)
					}
				}
			}
			away := time.Since(began)
			if stale := edges[0].metric("slipway_edge_stale_seconds"); stale < away.Seconds()/2 {
				t.Errorf("after %s it says that the store is away for %.0f s", away, stale)
			}
			fault.end(s, edges)
			back := time.Now()
			s.write(running(late, endpoints[0]))
			for _, e := range edges {
				eventually(t, "a change of after arrives", func() bool { return e.get(host(late), "/").body == "app 0" })
			}
			healed := time.Since(back)
			if healed > 10*time.Second {
				t.Errorf("changes arrive %s after the store is back", healed)
			}
			for _, c := range held {
				c.leave()
				c.wantNone(t)
			}
			var (
				total, failed int64
				lost          []time.Duration
			)
			for _, c := range crowds {
				c.leave()
				total, failed, lost = total+c.total.Load(), failed+c.failed.Load(), append(lost, c.lostAfter(began)...)
				c.wantNone(t)
			}
			if len(lost) > 0 {
				t.Errorf("the edges ended connections of visitors after %v", lost)
			}
			slices.Sort(refusals)
			middle, slowest := refusals[len(refusals)/2], refusals[len(refusals)-1]
			// About a second: not the slowest, since the machine may be busy.
			if middle > 1500*time.Millisecond {
				t.Errorf("who sleeps is refused after %s", middle)
			}
			figure(t, "etcd %s for %s: %d failed of %d requests over 32 connections, 20 WebSockets and 20 event streams; 503 for who sleeps after %s, at most %s; changes arrive %s after it is back",
				name, away.Round(time.Second), failed, total, middle.Round(time.Millisecond), slowest.Round(time.Millisecond), healed.Round(time.Millisecond))
		})
	}
}
