package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// council is three control planes on one store and one folder of processes, each
// with an edge and a line to the store of its own, and a pure edge.
type council struct {
	t        *testing.T
	store    *store
	shared   string // the folder of bundles and processes
	members  []*edge
	lines    []*line
	pure     *edge
	token    string
	app      string
	runCount int
}

func newCouncil(t *testing.T) *council {
	t.Helper()
	c := &council{t: t, store: newStore(t)}
	var err error
	if c.shared, err = os.MkdirTemp(slipwaytest.RuntimeDir, "shared"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(c.shared) })
	for i := range 3 {
		wire := newLine(t, c.store.socket())
		member := newEdge(t, fmt.Sprintf("control-%d", i), wire.path, "control_plane 127.0.0.1:"+freePort(t),
			fmt.Sprintf("blobs %[1]s/bundles\nlauncher process {\n\tdata %[1]s/processes\n}", c.shared))
		c.members, c.lines = append(c.members, member), append(c.lines, wire)
	}
	c.pure = newEdge(t, "edge-1", c.store.socket())
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{"unix://" + c.store.socket()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c.token = etcdtest.Admin(t, db)
	t.Cleanup(func() { // before the members' own end
		for _, m := range c.members {
			m.Kill()
		}
		slipwaytest.KillApps(c.shared)
	})
	for _, m := range c.members {
		m.start()
	}
	c.pure.start()
	bundle := bytes.NewReader(slipwaytest.App{Name: "app"}.Bundle(t))
	app, err := c.api(c.members[0]).ImportBundle(t.Context(), client.Import{Archive: bundle, Visibility: "PUBLIC"})
	if err != nil {
		t.Fatal(err)
	}
	c.app = app.ID
	return c
}

func (c *council) api(by *edge) *client.Client {
	c.t.Helper()
	api, err := client.New(client.Config{Endpoint: "http://localhost:" + by.port, Token: c.token, HTTP: by.visitor})
	if err != nil {
		c.t.Fatal(err)
	}
	return api
}

// edges are all edges, those of the control planes too.
func (c *council) edges() []*edge { return append(append([]*edge(nil), c.members...), c.pure) }

// leads is the index and the epoch of who leads; -1 where nobody does.
func (c *council) leads() (member int, epoch int64) {
	c.t.Helper()
	resp, err := c.store.client.Get(c.t.Context(), etcdstore.DefaultPrefix+"leader/current")
	if err != nil {
		c.t.Fatal(err)
	}
	var l struct {
		Name  string
		Epoch int64
	}
	if len(resp.Kvs) == 0 || json.Unmarshal(resp.Kvs[0].Value, &l) != nil {
		return -1, 0
	}
	for i, m := range c.members {
		if m.name == l.Name {
			return i, l.Epoch
		}
	}
	c.t.Fatalf("a stranger leads: %q", l.Name)
	return -1, 0
}

// run runs an instance by any control plane, to the end of its start.
func (c *council) run() (id string) {
	c.t.Helper()
	public := "PUBLIC"
	by := c.members[c.runCount%len(c.members)] // any of them takes it
	c.runCount++
	in, err := c.api(by).Run(c.t.Context(), v1.RunRequest{AppID: c.app, Visibility: &public})
	if err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "the instance runs", func() bool { return c.answers(c.pure, in.ID) > 0 })
	return in.ID
}

func (c *council) suspend(by *edge, id string) {
	c.t.Helper()
	if _, err := c.api(by).Suspend(c.t.Context(), id); err != nil {
		c.t.Fatal(err)
	}
	eventually(c.t, "it sleeps", func() bool { return len(c.processes(id)) == 0 })
}

// answers is the process that answers a visit at an edge; 0 where none does.
func (c *council) answers(by *edge, id string) int {
	a := by.get(id+".localhost", "/")
	var said struct {
		Instance string
		Pid      int
	}
	if a.status != http.StatusOK || json.Unmarshal([]byte(a.body), &said) != nil {
		return 0
	}
	if said.Instance != id {
		c.t.Errorf("%s answers for %s", said.Instance, id)
	}
	return said.Pid
}

func (c *council) processes(id string) []int { return slipwaytest.AppPIDs(c.shared, id) }

// wantOne wants that an instance has exactly one process, this one unless it is 0,
// and that every edge in service leads to it.
func (c *council) wantOne(id string, pid int, edges ...*edge) {
	c.t.Helper()
	running := c.processes(id)
	if len(running) != 1 || pid != 0 && running[0] != pid {
		c.t.Errorf("%s has the processes %v, want one, %d", id, running, pid)
		return
	}
	for _, e := range edges {
		eventually(c.t, "the instance answers at "+e.name, func() bool { return c.answers(e, id) == running[0] })
	}
}

// TestALeaderIsLost: of three control planes the one that leads is killed,
// frozen, cut off from the store or stopped. What runs goes on as the same
// process, a visit at any edge wakes what sleeps, once, and whoever comes back
// changes nothing.
func TestALeaderIsLost(t *testing.T) {
	for name, fault := range map[string]struct {
		begin, end func(c *council, member int)
		serves     bool // the leader's own edge serves all the while
		hands      bool // the leader hands over, before its lease could end
	}{
		"killed": {
			begin: func(c *council, i int) { c.members[i].Kill() },
			end:   func(c *council, i int) { c.members[i].start() },
		},
		"frozen": {
			begin: func(c *council, i int) { c.members[i].Signal(syscall.SIGSTOP) },
			end:   func(c *council, i int) { c.members[i].Signal(syscall.SIGCONT) },
		},
		"cut off": {
			begin:  func(c *council, i int) { c.lines[i].set(true) },
			end:    func(c *council, i int) { c.lines[i].set(false) },
			serves: true,
		},
		"stopped": {
			begin: func(c *council, i int) { c.members[i].Stop(c.t) },
			end:   func(c *council, i int) { c.members[i].start() },
			hands: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			c := newCouncil(t)
			awake, asleep, later := c.run(), c.run(), c.run()
			pid := c.processes(awake)[0]
			leader, epoch := c.leads()
			if leader < 0 {
				t.Fatal("nobody leads")
			}
			c.suspend(c.members[(leader+1)%3], asleep)
			c.suspend(c.members[(leader+2)%3], later)
			others := append([]*edge{c.pure}, c.members[(leader+1)%3], c.members[(leader+2)%3])

			began := time.Now()
			fault.begin(c, leader)
			eventually(t, "another leads", func() bool { now, e := c.leads(); return now >= 0 && now != leader && e > epoch })
			took := time.Since(began)
			if fault.hands && took > 4*time.Second {
				t.Errorf("another leads after %s: it has waited for the lease", took)
			}
			c.wantOne(awake, pid, others...)
			if fault.serves {
				c.wantOne(awake, pid, c.members[leader])
			}
			eventually(t, "a visit wakes who sleeps", func() bool { return c.answers(others[1], asleep) > 0 })
			woke := time.Since(began)
			c.wantOne(asleep, 0, others...)
			woken := c.processes(asleep)[0]

			fault.end(c, leader)
			eventually(t, "the one that came back serves", func() bool { return c.answers(c.members[leader], awake) == pid })
			eventually(t, "it answers people", func() bool {
				_, err := c.api(c.members[leader]).Me(t.Context())
				return err == nil
			})
			eventually(t, "a visit there wakes who sleeps", func() bool { return c.answers(c.members[leader], later) > 0 })
			c.wantOne(later, 0, c.edges()...)
			c.wantOne(awake, pid, c.edges()...)
			c.wantOne(asleep, woken, c.edges()...)
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
	other := newEdge(t, "elsewhere", c.store.socket(), "control_plane 127.0.0.1:"+freePort(t))
	other.more += fmt.Sprintf("\nblobs %s/bundles\nlauncher process {\n\tdata %s/processes\n}", c.shared, other.dir)
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
	for _, m := range c.members {
		m.Kill()
	}
	time.Sleep(8 * time.Second) // longer than the last leader's lease
	if resp, err := c.store.client.Get(t.Context(), etcdstore.DefaultPrefix+"leader/current"); err != nil || len(resp.Kvs) > 0 {
		t.Errorf("it leads, and the instance is elsewhere: %v %v", resp, err)
	}
	c.wantOne(id, pid, c.pure)
	if there, _ := filepath.Glob(other.dir + "/processes/instances/*"); len(there) > 0 {
		t.Errorf("it has started %v", there)
	}
	c.members[0].start()
	eventually(t, "one of the others leads again", func() bool { now, _ := c.leads(); return now == 0 })
	if _, err := c.api(c.members[0]).Terminate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the instance is gone", func() bool {
		resp, err := c.store.client.Get(t.Context(), etcdstore.DefaultPrefix+"instances/"+id)
		return err == nil && len(resp.Kvs) == 0
	})
	c.members[0].Stop(t)
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
