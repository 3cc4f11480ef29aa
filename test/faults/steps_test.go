package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestEveryStepIsHit: while the control plane is right before or right after each
// step of a start, a suspend, a wake, a restart and a termination, its leader, an
// edge or etcd is killed, stopped or cut off. What was begun comes to its end,
// there is at most one live process of an instance at any time, every route
// leads to an instance that runs or sleeps, and nothing is left over after 30 s.
//
// A fault hits as many instances as there are steps, each at one of them. In a
// soak it hits each alone as well.
func TestEveryStepIsHit(t *testing.T) {
	for _, victim := range []string{"leader", "edge", "store"} {
		t.Run(victim, func(t *testing.T) {
			slow(t)
			s := newSteps(t)
			for _, f := range whatHits(victim) {
				hits := map[string][]moment{"at all steps": allMoments()}
				if soaking {
					for _, m := range allMoments() {
						hits[m.String()] = []moment{m}
					}
				}
				for name, at := range hits {
					if !t.Run(f.name+" "+name, func(t *testing.T) { s.hit(t, f, at) }) {
						t.FailNow() // the fleet is as the fault has left it
					}
				}
			}
		})
	}
}

// moment is right before or right after the control plane takes a step of an
// operation.
type moment struct{ operation, place string }

func (m moment) String() string { return m.operation + " " + m.place }

func allMoments() (all []moment) {
	for _, o := range [...]struct {
		operation string
		steps     []string
	}{
		{"run", []string{"start", "deployed"}},
		{"suspend", []string{"stopping", "suspend"}},
		{"wake", []string{"wake", "start", "deployed"}},
		{"crash", []string{"restart"}},
		{"restart", []string{"start"}},
		{"terminate", []string{"remove"}},
	} {
		for _, step := range o.steps {
			all = append(all, moment{o.operation, "before-" + step}, moment{o.operation, "after-" + step})
		}
	}
	return all
}

// fault is what happens to a victim of a fleet, and its end.
type fault struct {
	victim, name string
	begin, end   func(f *fleet, leader *edge)
}

// whatHits are all that can happen to a victim.
func whatHits(victim string) []fault {
	if victim == "store" {
		each := func(do func(*edge)) func(*fleet, *edge) {
			return func(f *fleet, _ *edge) {
				for _, e := range f.all() {
					do(e)
				}
			}
		}
		return []fault{
			{victim, "killed", func(f *fleet, _ *edge) { f.store.Kill() }, func(f *fleet, _ *edge) { f.store.start() }},
			{victim, "stopped", func(f *fleet, _ *edge) { f.store.Freeze() }, func(f *fleet, _ *edge) { f.store.Thaw() }},
			{victim, "cut off", each(cut), each(mend)},
		}
	}
	of := func(do func(*edge)) func(*fleet, *edge) {
		return func(f *fleet, leader *edge) {
			if victim == "edge" {
				do(f.edges[0])
				return
			}
			do(leader)
		}
	}
	return []fault{
		{victim, "killed", of((*edge).Kill), of((*edge).start)},
		{victim, "stopped", of((*edge).Freeze), of((*edge).Thaw)},
		{victim, "cut off", of(cut), of(mend)},
		{victim, "not heard", of(func(e *edge) { e.line.Hold() }), of(mend)},
	}
}

func cut(e *edge)  { e.line.Cut() }
func mend(e *edge) { e.line.Mend() }

// steps is a fleet whose control planes have failpoints.
type steps struct {
	*fleet
	armed string // the folder of the failpoints
	awake string // an instance that nobody touches
	pid   int    // its process, from first to last
}

func newSteps(t *testing.T) *steps {
	t.Helper()
	program, err := slipwaytest.Breakable()
	if err != nil {
		t.Fatal(err)
	}
	s := &steps{fleet: buildFleet(t, 2, 2, "28s")}
	s.armed = filepath.Join(s.dir, "failpoints")
	if err := os.Mkdir(s.armed, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.controls {
		c.program, c.env = program, []string{"SLIPWAY_FAILPOINTS=" + s.armed}
	}
	for _, e := range s.all() {
		e.start()
	}
	s.withApp()
	s.awake = s.run()
	s.pid = s.processes(s.awake)[0]
	return s
}

// stepping is an instance that is held at a moment.
type stepping struct {
	moment
	id      string
	visited []chan answer // by who wakes it
}

// ends is the status in which the operation ends, and how many processes there are
// then. Empty is that there is no record.
func (c *stepping) ends() (status string, processes int) {
	switch c.operation {
	case "suspend":
		return "SUSPENDED", 0
	case "terminate":
		return "", 0
	}
	return "DEPLOYED", 1
}

// storeAway is longer than a leader leads without the store.
const storeAway = 8 * time.Second

// hit brings an instance to each of the moments, and then the fault about.
func (s *steps) hit(t *testing.T, f fault, at []moment) {
	var leader *edge
	eventually(t, "one leads", func() bool { leader = s.leader(); return leader != nil })
	follower := s.controls[(slices.Index(s.controls, leader)+1)%2]
	cases := s.prepare(t, follower, at)
	looked := s.watch(t)
	held := filepath.Join(s.armed, "held")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		s.bring(t, c, leader, follower)
	}
	began := time.Now()
	f.begin(s.fleet, leader)
	for _, c := range cases {
		if c.operation == "wake" {
			c.visit(s.edges[1])
		}
	}
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	switch f.victim {
	case "leader": // the other one goes on without it
		eventually(t, "the other one leads", func() bool { return s.leader() == follower })
		figure(t, "leader %s: another leads after %s", f.name, time.Since(began).Round(10*time.Millisecond))
		s.settled(t, cases)
	case "edge": // nobody waits for it for long
		cases = append(cases, s.meanwhile(t, follower))
		s.settled(t, cases)
	case "store":
		time.Sleep(storeAway)
	}
	settled := time.Since(began)
	f.end(s.fleet, leader)
	if f.victim == "store" {
		settled = s.settled(t, cases)
	}
	time.Sleep(time.Second) // in which who was stopped does what it was about to
	s.settled(t, cases)
	s.wantVisitorsServed(t, f, cases)
	if pids := s.processes(s.awake); len(pids) != 1 || pids[0] != s.pid {
		t.Errorf("who runs all the while has the processes %v, had %d", pids, s.pid)
	}
	var ids []string
	for _, c := range cases {
		ids = append(ids, c.id)
	}
	s.wantNothingLeft(t, ids)
	looked()
	figure(t, "%s %s at %d steps: all is done %s later", f.victim, f.name, len(at), settled.Round(10*time.Millisecond))
	s.wantUsable(t, cases)
	s.terminate(t, cases)
}

// prepare makes the instances that the operations are done to.
func (s *steps) prepare(t *testing.T, by *edge, at []moment) (cases []*stepping) {
	t.Helper()
	var asleep []*stepping
	for _, m := range at {
		c := &stepping{moment: m}
		cases = append(cases, c)
		if m.operation == "run" {
			continue
		}
		if c.id = s.create(by, s.app); m.operation == "wake" {
			asleep = append(asleep, c)
		}
	}
	s.wantStatus(t, cases, "DEPLOYED")
	for _, c := range asleep {
		if _, err := s.api(by).Suspend(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
	}
	s.wantStatus(t, asleep, "SUSPENDED")
	return cases
}

// wantStatus waits until all that there are have this status.
func (s *steps) wantStatus(t *testing.T, cases []*stepping, status string) {
	t.Helper()
	eventuallyNone(t, "they are "+status, func() (wrong []string) {
		records := s.records(t)
		for _, c := range cases {
			if got := records[c.id]; c.id != "" && got != status {
				wrong = append(wrong, c.id+" is "+got)
			}
		}
		return wrong
	})
}

// bring begins an operation, and waits until the leader has come to the place.
func (s *steps) bring(t *testing.T, c *stepping, leader, by *edge) {
	t.Helper()
	place := filepath.Join(s.armed, c.place)
	if err := os.WriteFile(place, []byte("held"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	switch c.operation {
	case "run":
		c.id = s.create(by, s.app)
	case "suspend":
		_, err = s.api(by).Suspend(t.Context(), c.id)
	case "wake":
		c.visit(s.edges[0])
	case "crash":
		for _, pid := range s.processes(c.id) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	case "restart":
		_, err = s.api(by).Restart(t.Context(), c.id)
	case "terminate":
		_, err = s.api(by).Terminate(t.Context(), c.id)
	}
	if err != nil {
		t.Fatal(err)
	}
	var came string
	eventually(t, "the leader comes to "+c.String(), func() bool {
		raw, err := os.ReadFile(place + ".hit")
		came = string(raw)
		return err == nil
	})
	if came != strconv.Itoa(leader.PID) {
		t.Fatalf("process %s came there, and %d leads", came, leader.PID)
	}
	if err := os.Remove(place + ".hit"); err != nil {
		t.Fatal(err)
	}
}

// meanwhile lets an instance run, sleep and wake while an edge cannot be told of it.
func (s *steps) meanwhile(t *testing.T, by *edge) *stepping {
	t.Helper()
	c := &stepping{moment: moment{"wake", "meanwhile"}, id: s.create(by, s.app)}
	s.wantStatus(t, []*stepping{c}, "DEPLOYED")
	if _, err := s.api(by).Suspend(t.Context(), c.id); err != nil {
		t.Fatal(err)
	}
	s.wantStatus(t, []*stepping{c}, "SUSPENDED")
	if got := s.answers(s.edges[1], c.id); got == 0 {
		t.Errorf("a visit at another edge does not wake %s", c.id)
	}
	return c
}

// visit lets somebody come who waits for the answer.
func (c *stepping) visit(e *edge) {
	got := make(chan answer, 1)
	c.visited = append(c.visited, got)
	go func() { got <- e.get(c.id+".localhost", "/") }()
}

// wantVisitorsServed wants that all who woke an instance were served, also those
// whose edge lost the store while they waited. Who came when it was away is told
// that nobody can be woken, and who waited at an edge that was killed is told
// nothing.
func (s *steps) wantVisitorsServed(t *testing.T, f fault, cases []*stepping) {
	t.Helper()
	for _, c := range cases {
		for i, visited := range c.visited {
			a := <-visited
			ok := a.status == http.StatusOK ||
				i > 0 && f.victim == "store" && a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "wake_unavailable") ||
				i == 0 && f.victim == "edge" && f.name == "killed"
			if !ok {
				t.Errorf("%s: visitor %d got %d %v after %s: %.200s", c.moment, i, a.status, a.err, a.took, a.body)
			}
		}
	}
}
