package faults

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// newCouncil is three control planes and a pure edge.
func newCouncil(t *testing.T) *fleet {
	t.Helper()
	return newFleet(t, 3, 1, "2s").withApp()
}

// wantOne wants that an instance has exactly one process, this one unless it is 0,
// and that every edge in service leads to it.
func (f *fleet) wantOne(id string, pid int, edges ...*edge) {
	f.t.Helper()
	running := f.processes(id)
	if len(running) != 1 || pid != 0 && running[0] != pid {
		f.t.Errorf("%s has the processes %v, want one, %d", id, running, pid)
		return
	}
	for _, e := range edges {
		eventually(f.t, "the instance answers at "+e.name, func() bool { return f.answers(e, id) == running[0] })
	}
}

// TestALeaderIsLost: of three control planes the one that leads is killed,
// frozen, cut off from the store or stopped. What runs goes on as the same
// process, a visit at any edge wakes what sleeps, once, and whoever comes back
// changes nothing.
func TestALeaderIsLost(t *testing.T) {
	for name, fault := range map[string]struct {
		begin, end func(leader *edge)
		serves     bool // the leader's own edge serves all the while
		hands      bool // the leader hands over, before its lease could end
	}{
		"killed": {
			begin: (*edge).Kill,
			end:   (*edge).start,
		},
		"frozen": {
			begin: (*edge).Freeze,
			end:   (*edge).Thaw,
		},
		"cut off": {
			begin:  func(e *edge) { e.line.Cut() },
			end:    func(e *edge) { e.line.Mend() },
			serves: true,
		},
		"stopped": {
			begin: func(e *edge) { e.Stop(e.t) },
			end:   (*edge).start,
			hands: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			c := newCouncil(t)
			awake, asleep, later := c.run(), c.run(), c.run()
			pid := c.processes(awake)[0]
			leader, epoch := c.leads()
			if leader == nil {
				t.Fatal("nobody leads")
			}
			others := c.others(leader)
			c.suspend(others[0], asleep)
			c.suspend(others[1], later)

			began := time.Now()
			fault.begin(leader)
			if now, _ := c.leads(); fault.hands && now == leader {
				t.Error("it has ended, and the others wait for its lease")
			}
			eventually(t, "another leads", func() bool { now, e := c.leads(); return now != nil && now != leader && e > epoch })
			took := time.Since(began)
			c.wantOne(awake, pid, others...)
			if fault.serves {
				c.wantOne(awake, pid, leader)
			}
			eventually(t, "a visit wakes who sleeps", func() bool { return c.answers(others[1], asleep) > 0 })
			woke := time.Since(began)
			c.wantOne(asleep, 0, others...)
			woken := c.processes(asleep)[0]

			fault.end(leader)
			eventually(t, "the one that came back serves", func() bool { return c.answers(leader, awake) == pid })
			eventually(t, "it answers people", func() bool {
				_, err := c.api(leader).Me(t.Context())
				return err == nil
			})
			eventually(t, "a visit there wakes who sleeps", func() bool { return c.answers(leader, later) > 0 })
			c.wantOne(later, 0, c.all()...)
			c.wantOne(awake, pid, c.all()...)
			c.wantOne(asleep, woken, c.all()...)
			figure(t, "the leader %s: another leads after %s; a sleeping instance answers after %s", name,
				took.Round(10*time.Millisecond), woke.Round(10*time.Millisecond))
		})
	}
}

// TestAControlPlaneElsewhereDoesNotLead: one with another folder of processes
// answers people, says why it does not lead, and leads when the folder of the
// others has no instance any more.
func TestAControlPlaneElsewhereDoesNotLead(t *testing.T) {
	slow(t)
	c := newCouncil(t)
	id := c.run()
	pid := c.processes(id)[0]
	other := newEdge(t, "elsewhere", c.store.endpoint())
	other.more = controlPlane(t, c.dir, other.dir)
	t.Cleanup(func() {
		other.Kill()
		slipwaytest.KillApps(other.dir)
	})
	other.start()
	eventually(t, "it says why", func() bool {
		return strings.Contains(other.Stderr.String(), "this control plane answers people and does not lead")
	})
	if _, err := c.api(other).Me(t.Context()); err != nil {
		t.Errorf("it does not answer people: %v", err)
	}
	for _, m := range c.controls {
		m.Kill()
	}
	time.Sleep(8 * time.Second) // longer than the last leader's lease
	if resp, err := c.store.client.Get(t.Context(), etcdstore.DefaultPrefix+"leader/current"); err != nil || len(resp.Kvs) > 0 {
		t.Errorf("it leads, and the instance is elsewhere: %v %v", resp, err)
	}
	c.wantOne(id, pid, c.edges[0])
	if there, _ := filepath.Glob(other.dir + "/processes/instances/*"); len(there) > 0 {
		t.Errorf("it has started %v", there)
	}
	c.controls[0].start()
	eventually(t, "one of the others leads again", func() bool { return c.leader() == c.controls[0] })
	if _, err := c.api(c.controls[0]).Terminate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance is gone", func() bool {
		resp, err := c.store.client.Get(t.Context(), etcdstore.DefaultPrefix+"instances/"+id)
		return err == nil && len(resp.Kvs) == 0
	})
	c.controls[0].Stop(t)
	eventually(t, "the place may change", func() bool {
		resp, err := c.store.client.Get(t.Context(), etcdstore.DefaultPrefix+"leader/current")
		return err == nil && len(resp.Kvs) == 1 && strings.Contains(string(resp.Kvs[0].Value), `"elsewhere"`)
	})
}

// TestAControlPlaneStartsWithoutTheStore: it says so, and takes its part when the
// store is there.
func TestAControlPlaneStartsWithoutTheStore(t *testing.T) {
	slow(t)
	h := newHouse(t)
	id := h.run()
	pid := h.who(id).Pid
	h.control.Kill()
	h.store.Kill()
	h.control.launch()
	eventually(t, "it answers that it is not available", func() bool {
		a := h.control.get("localhost", "/api/v1/me")
		return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
	})
	h.store.start()
	eventually(t, "the API answers", func() bool {
		_, err := h.api(h.control).Me(t.Context())
		return err == nil
	})
	eventually(t, "the instance answers there", func() bool {
		a := h.control.get(id+".localhost", "/")
		return a.status == http.StatusOK
	})
	eventually(t, "it leads", func() bool {
		return strings.Contains(h.control.Stderr.String(), "this control plane leads")
	})
	if now := h.who(id).Pid; now != pid || len(h.processes(id)) != 1 {
		t.Errorf("process %d answers, was %d; there are %v", now, pid, h.processes(id))
	}
}
