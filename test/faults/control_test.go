package faults

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestTheControlPlaneIsKilledOrFrozen: who runs is served as before, who sleeps
// waits in vain and learns so, and calls of the API end in good time.
func TestTheControlPlaneIsKilledOrFrozen(t *testing.T) {
	for name, fault := range map[string]struct{ begin, end func(*house) }{
		"killed": {func(h *house) { h.control.Kill() }, func(h *house) { h.control.start() }},
		"frozen": {func(h *house) { h.control.Freeze() }, func(h *house) { h.control.Thaw() }},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			h := newHouse(t)
			awake, asleep := h.run(), h.run()
			if _, err := h.api(h.control).Suspend(t.Context(), asleep); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it sleeps", func() bool { return len(h.processes(asleep)) == 0 })
			api := h.api(h.edge)
			if _, err := api.Me(t.Context()); err != nil {
				t.Fatal(err)
			}
			pid := h.who(awake).Pid
			c := h.load(16, awake)
			fault.begin(h)
			began := time.Now()
			// The first call finds a control plane that is known, and perhaps
			// takes connections: it must not wait for it for ever.
			_, err := api.Me(t.Context())
			first := time.Since(began)
			if client.CodeOf(err) != "control_plane_lost" && client.CodeOf(err) != "no_control_plane" || first > patience {
				t.Errorf("a call gives %v after %s", err, first)
			}
			eventually(t, "it is known to be gone", func() bool {
				a := h.edge.get("localhost", "/api/v1/me")
				return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
			})
			known := time.Since(began)
			// It waits as long as the setting hold says, 2 s here: etcd takes the intent.
			h.edge.wants503(asleep+".localhost", patience/2)
			for over := began.Add(lasting(5*time.Second, 5*time.Minute)); time.Now().Before(over); time.Sleep(100 * time.Millisecond) {
				if got := h.edge.status("localhost", "/readyz"); got != http.StatusOK {
					t.Fatalf("the edge is not ready any more: %d", got)
				}
			}
			fault.end(h)
			eventually(t, "who sleeps wakes again", func() bool { return h.who(asleep).Instance == asleep })
			eventually(t, "the API answers again", func() bool {
				_, err := api.Me(t.Context())
				return err == nil
			})
			c.leave()
			c.wantNone(t)
			if now := h.who(awake).Pid; now != pid || len(h.processes(awake)) != 1 {
				t.Errorf("process %d answers, was %d; there are %v", now, pid, h.processes(awake))
			}
			figure(t, "control plane %s: %s requests to a running instance; a first call ends after %s, 503 at once after %s",
				name, &c.tally, first.Round(time.Millisecond), known.Round(time.Millisecond))
		})
	}
}

// TestAnAppIsKilledOrFrozen: its own visitors wait, or learn it; those of
// another instance of the same app notice nothing, and nobody gets another's
// answer.
func TestAnAppIsKilledOrFrozen(t *testing.T) {
	slow(t)
	h := newHouse(t, "first_byte_timeout 1s")
	victim, other := h.run(), h.run()
	t.Run("killed under load", func(t *testing.T) {
		mine, theirs := h.load(16, victim, http.StatusBadGateway, http.StatusServiceUnavailable), h.load(8, other)
		time.Sleep(500 * time.Millisecond)
		pid := h.who(victim).Pid
		h.signal(victim, syscall.SIGKILL)
		began := time.Now()
		eventually(t, "it is restarted", func() bool {
			who := h.who(victim)
			return who.Instance == victim && who.Pid != pid
		})
		took := time.Since(began)
		time.Sleep(500 * time.Millisecond)
		mine.leave()
		theirs.leave()
		mine.wantNone(t)
		theirs.wantNone(t)
		figure(t, "an app killed under load answers again after %s; its visitors got %v; of another one: %s",
			took.Round(time.Millisecond), mine.statuses(), &theirs.tally)
	})
	t.Run("frozen", func(t *testing.T) {
		theirs := h.load(8, other)
		h.signal(victim, syscall.SIGSTOP)
		for range 3 {
			a := h.edge.get(victim+".localhost", "/")
			if a.status != http.StatusGatewayTimeout || a.took > patience/2 {
				t.Errorf("a visit gives %d (%v) after %s", a.status, a.err, a.took)
			}
		}
		h.signal(victim, syscall.SIGCONT)
		if who := h.who(victim); who.Instance != victim {
			t.Errorf("after it goes on, %q answers", who.Instance)
		}
		theirs.leave()
		theirs.wantNone(t)
		figure(t, "an app frozen: 504; of another one: %s", &theirs.tally)
	})
}

// TestAnEdgeFromItsSnapshotReachesNoStranger: etcd, control plane, edge and
// instance are killed, another program takes the instance's port, and the edge
// starts from its snapshot.
func TestAnEdgeFromItsSnapshotReachesNoStranger(t *testing.T) {
	slow(t)
	h := newHouse(t)
	id, alive := h.run(), h.run()
	e, err := h.api(h.control).Explain(t.Context(), v1.ExplainRequest{URL: "http://" + id + ".localhost/", Method: http.MethodGet})
	if err != nil {
		t.Fatal(err)
	}
	h.edge.Stop(t) // and so saves what it knows
	h.control.Kill()
	h.store.Kill()
	h.signal(id, syscall.SIGKILL)
	eventually(t, "the instance has ended", func() bool { return len(h.processes(id)) == 0 })
	slipwaytest.Stranger(t, e.Endpoint)
	h.edge.start()
	if got := h.who(alive).Instance; got != alive {
		t.Errorf("from its snapshot the edge reaches %q, want %s", got, alive)
	}
	const visitors = 50
	answers := make(chan int, visitors)
	for range visitors {
		go func() { answers <- h.edge.status(id+".localhost", "/") }()
	}
	for range visitors {
		if got := <-answers; got != http.StatusBadGateway {
			t.Errorf("a visitor got %d, want 502; 418 is the stranger's", got)
		}
	}
	if !strings.Contains(h.edge.Stderr.String(), "another program answers where an instance should") {
		t.Error("the log does not say so")
	}
}
