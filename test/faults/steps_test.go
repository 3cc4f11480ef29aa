package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestTheLeaderEndsAtEveryStep: of two control planes the one that leads is
// killed or stopped right before and right after each step of a start, a
// suspend, a wake, a restart and a termination. The other one goes on from
// there; who was stopped goes on later, and changes nothing. There is at most one
// live process at any time, and the instance ends up as it should.
func TestTheLeaderEndsAtEveryStep(t *testing.T) {
	for _, fault := range []string{"kill", "stop"} {
		t.Run(fault, func(t *testing.T) {
			slow(t)
			s := newSteps(t, fault)
			for _, c := range [...]struct {
				operation string
				steps     []string
			}{
				{"run", []string{"start", "deployed"}},
				{"suspend", []string{"stopping", "suspend"}},
				{"wake", []string{"wake", "start", "deployed"}},
				{"crash", []string{"restart"}},
				{"terminate", []string{"remove"}},
			} {
				for _, step := range c.steps {
					for _, when := range []string{"before", "after"} {
						t.Run(c.operation+" "+when+" "+step, func(t *testing.T) { s.run(t, c.operation, when+"-"+step) })
					}
				}
			}
		})
	}
}

// steps is a fleet whose control planes have failpoints.
type steps struct {
	*fleet
	fault string
	armed string // the folder of the failpoints
	log   string // START_LOG
	app   string
}

func newSteps(t *testing.T, fault string) *steps {
	t.Helper()
	program, err := slipwaytest.Breakable()
	if err != nil {
		t.Fatal(err)
	}
	s := &steps{fleet: buildFleet(t, 2, "40s"), fault: fault}
	s.armed, s.log = filepath.Join(s.dir, "failpoints"), filepath.Join(s.dir, "starts")
	if err := os.Mkdir(s.armed, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.controls {
		c.program, c.env = program, []string{"SLIPWAY_FAILPOINTS=" + s.armed}
		c.start()
	}
	s.edges[0].start()
	first := s.fleet.run(slipwaytest.App{Name: "stepper", Env: map[string]string{"START_LOG": s.log}})
	in, err := s.api(s.controls[0]).Instance(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	s.app = in.AppID
	return s
}

// create is a new instance of the app.
func (s *steps) create(t *testing.T, by *edge) string {
	t.Helper()
	public := "PUBLIC"
	in, err := s.api(by).Run(t.Context(), v1.RunRequest{AppID: s.app, Visibility: &public})
	if err != nil {
		t.Fatal(err)
	}
	return in.ID
}

func (s *steps) run(t *testing.T, operation, place string) {
	var leader *edge
	eventually(t, "one leads", func() bool { leader = s.leader(); return leader != nil })
	follower := s.controls[(slices.Index(s.controls, leader)+1)%2]
	id := ""
	if operation != "run" {
		id = s.create(t, follower)
		s.await(id, "DEPLOYED")
	}
	if operation == "wake" {
		s.sleep(id)
	}
	if err := os.WriteFile(filepath.Join(s.armed, place), []byte(s.fault), 0o600); err != nil {
		t.Fatal(err)
	}
	if operation == "run" {
		id = s.create(t, follower)
	}
	watch := s.watch(t, id)
	visited := make(chan answer, 1)
	switch operation {
	case "suspend":
		if _, err := s.api(follower).Suspend(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	case "wake":
		go func() { visited <- s.edges[0].get(id+".localhost", "/") }()
	case "crash":
		for _, pid := range slipwaytest.AppPIDs(s.dir, id) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	case "terminate":
		if _, err := s.api(follower).Terminate(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	hit := filepath.Join(s.armed, place+".hit")
	eventually(t, "the leader comes to "+place, func() bool { _, err := os.Stat(hit); return err == nil })
	if raw, err := os.ReadFile(hit); err != nil || strings.TrimSpace(string(raw)) != strconv.Itoa(leader.PID) {
		t.Fatalf("process %s came there, and %d leads: %v", raw, leader.PID, err)
	}
	began := time.Now()
	eventually(t, "the other one leads", func() bool { return s.leader() == follower })
	over := time.Since(began)
	s.settled(t, operation, id)
	if s.fault == "stop" {
		leader.Signal(syscall.SIGCONT)
		time.Sleep(time.Second) // in which it does what it was about to
		s.settled(t, operation, id)
	}
	if operation == "wake" {
		if a := <-visited; a.status != http.StatusOK {
			t.Errorf("the visitor got %d %v", a.status, a.err)
		}
	}
	watch()
	if err := os.Remove(hit); err != nil {
		t.Fatal(err)
	}
	if s.fault == "kill" {
		leader.start()
	}
	if operation != "terminate" {
		s.usable(t, follower, id)
	}
	t.Logf("figure: %s, %s: another leads after %s", place, s.fault, over.Round(10*time.Millisecond))
}

// settled waits until the operation has come to its end.
func (s *steps) settled(t *testing.T, operation, id string) {
	t.Helper()
	want, processes := "DEPLOYED", 1
	switch operation {
	case "suspend":
		want, processes = "SUSPENDED", 0
	case "terminate":
		want, processes = "", 0
	}
	eventually(t, fmt.Sprintf("%s is %q with %d processes", id, want, processes), func() bool {
		return s.status(id) == want && len(slipwaytest.AppPIDs(s.dir, id)) == processes
	})
}

// usable reports an instance that does not answer, wherever it is now, and then
// ends it.
func (s *steps) usable(t *testing.T, by *edge, id string) {
	t.Helper()
	if a := s.edges[0].get(id+".localhost", "/"); a.status != http.StatusOK || !strings.Contains(a.body, id) {
		t.Errorf("a visit gives %d %v %.200s", a.status, a.err, a.body)
	}
	if _, err := s.api(by).Terminate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing of it is left", func() bool {
		_, err := s.api(by).Instance(t.Context(), id)
		return client.CodeOf(err) == "not_found" && len(slipwaytest.AppPIDs(s.dir, id)) == 0
	})
}

// watch looks at the processes of an instance until the function it returns is
// called. Two that are there for longer than a restart takes to hand over are
// one too many.
func (s *steps) watch(t *testing.T, id string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for twice := 0; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			pids := slipwaytest.AppPIDs(s.dir, id)
			if twice++; len(pids) < 2 {
				twice = 0
			}
			if twice == 5 {
				t.Errorf("%s has the processes %v", id, pids)
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}
