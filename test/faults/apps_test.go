package faults

import (
	"context"
	"encoding/json"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// house is the smallest fleet: a control plane, and a pure edge.
type house struct {
	*fleet
	control, edge *edge
}

func newHouse(t *testing.T, more ...string) *house {
	t.Helper()
	f := newFleet(t, 1, 1, "2s", more...).withApp()
	return &house{f, f.controls[0], f.edges[0]}
}

// who is fleet.who at the edge.
func (h *house) who(id string) said {
	h.t.Helper()
	return h.fleet.who(h.edge, id)
}

func (h *house) signal(id string, sig syscall.Signal) {
	h.t.Helper()
	pids := h.processes(id)
	if len(pids) != 1 {
		h.t.Fatalf("%s has the processes %v", id, pids)
	}
	if err := syscall.Kill(pids[0], sig); err != nil {
		h.t.Fatal(err)
	}
}

// load is visitors of one instance. Each answer is the instance's own, or of a
// status that is allowed.
type load struct {
	*crowd
	byStatus [600]int // under crowd's mu
}

func (h *house) load(n int, id string, allowed ...int) *load {
	c, ctx := newCrowd(h.t)
	l := &load{crowd: c}
	for range n {
		transport := &http.Transport{MaxConnsPerHost: 1, DialContext: h.edge.dial}
		visitor := &http.Client{Transport: transport, Timeout: patience}
		c.all.Go(func() {
			defer transport.CloseIdleConnections()
			for ; ctx.Err() == nil; time.Sleep(pause) {
				l.ask(ctx, visitor, id, allowed)
			}
		})
	}
	return l
}

func (l *load) ask(ctx context.Context, visitor *http.Client, id string, allowed []int) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+id+".localhost/", nil)
	if err != nil {
		panic(err)
	}
	resp, err := visitor.Do(r)
	if ctx.Err() != nil {
		return
	}
	l.total.Add(1)
	if err != nil {
		l.fail("%v", err)
		return
	}
	defer resp.Body.Close()
	var who said
	err = json.NewDecoder(resp.Body).Decode(&who)
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	l.byStatus[resp.StatusCode]++
	l.mu.Unlock()
	for _, status := range allowed {
		if resp.StatusCode == status {
			return
		}
	}
	if resp.StatusCode != http.StatusOK || err != nil || who.Instance != id {
		l.fail("%d of %q (%v), want %s", resp.StatusCode, who.Instance, err, id)
	}
}

// statuses are how many answers had which status.
func (l *load) statuses() map[int]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[int]int{}
	for status, n := range l.byStatus {
		if n > 0 {
			found[status] = n
		}
	}
	return found
}
