package lifecycle_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// witness keeps what a manager tells.
type witness struct {
	mu        sync.Mutex
	starts    []*lifecycle.Start
	slept     []string
	withdrawn int
}

func (w *witness) Started(s *lifecycle.Start) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.starts = append(w.starts, s)
}

func (w *witness) Slept(cause string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slept = append(w.slept, cause)
}

func (w *witness) Withdrawn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.withdrawn++
}

// told waits until so many starts are over, and returns the last.
func (p *plant) told(w *witness, n int) *lifecycle.Start {
	p.Helper()
	var last *lifecycle.Start
	p.eventually("told of the start", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.starts) < n {
			return false
		}
		last = w.starts[n-1]
		return true
	})
	return last
}

func stagesOf(s *lifecycle.Start) (out []controlplane.Stage) {
	for _, st := range s.Stages {
		out = append(out, st.Stage)
	}
	return out
}

func TestTheObserverIsToldOfEachStart(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	queuedToReady := []controlplane.Stage{controlplane.StageQueued, controlplane.StageStarting, controlplane.StageReady}
	p, w := newPlant(t), &witness{}
	p.observer = w
	p.yard.ready = 20 * time.Millisecond
	p.manage()
	id := p.instance(controlplane.Suspended)
	intent := controlplane.WakeIntent{InstanceID: id, Edge: "edge", Kind: "page", Trace: trace}
	if err := p.store.Wake(t.Context(), intent, time.Minute); err != nil {
		t.Fatal(err)
	}
	s := p.told(w, 1)
	if s.InstanceID != id || s.Generation != 2 || s.Launcher != "yard" || s.Outcome != lifecycle.StartReady || s.Reason != "" ||
		s.Begun.Cause != controlplane.BegunVisit || s.Begun.Kind != "page" || s.Begun.Trace != trace {
		t.Errorf("woken: %+v", s)
	}
	if diff := cmp.Diff(queuedToReady, stagesOf(s)); diff != "" {
		t.Error(diff)
	}
	if !s.Stages[0].Began.Equal(s.Begun.At) {
		t.Errorf("queued since %s, begun at %s", s.Stages[0].Began, s.Begun.At)
	}
	for i, st := range s.Stages[:len(s.Stages)-1] {
		if next := s.Stages[i+1].Began; !st.Began.Add(st.Took).Equal(next) {
			t.Errorf("%s ends at %s, the next begins at %s", st.Stage, st.Began.Add(st.Took), next)
		}
	}
	if took := s.Stages[1].Took; took < p.yard.ready {
		t.Errorf("it was starting for %s", took)
	}

	// It ends: a start that is no visit's, after its back-off, which is no time in
	// the queue.
	p.yard.crash(id)
	s = p.told(w, 2)
	if s.Generation != 3 || s.Outcome != lifecycle.StartReady || s.Begun.Cause != controlplane.BegunCrash || s.Begun.Trace != "" {
		t.Errorf("restarted: %+v", s)
	}
	if wait := s.Stages[0].Began.Sub(s.Begun.At); wait != 500*time.Millisecond || !s.Since.Equal(s.Stages[0].Began) {
		t.Errorf("queued %s after the end, want its back-off", wait)
	}

	p.yard.mu.Lock()
	p.yard.ready = time.Hour
	p.yard.mu.Unlock()
	p.ask(p.service.RestartInstance, id)
	p.eventually("starting", func() bool { return slices.Contains(p.yard.began(), id) })
	p.ask(p.service.SuspendInstance, id)
	s = p.told(w, 3)
	if s.Generation != 4 || s.Outcome != lifecycle.StartAbandoned {
		t.Errorf("suspended meanwhile: %+v", s)
	}
	p.becomes(id, controlplane.Suspended)

	p.wake(id)
	p.eventually("told as starting", func() bool { s := p.progress(id); return s != nil && s.Stage == controlplane.StageStarting })
	p.yard.crash(id)
	s = p.told(w, 4)
	if s.Generation != 5 || s.Outcome != lifecycle.StartFailed || s.Reason != controlplane.Crashed {
		t.Errorf("crashed: %+v", s)
	}
	if diff := cmp.Diff(queuedToReady[:2], stagesOf(s)); diff != "" {
		t.Error(diff)
	}

	p.yard.mu.Lock()
	p.yard.refuse = &controlplane.Reason{Code: controlplane.PortInUse, Text: "taken"}
	p.yard.mu.Unlock()
	p.ask(p.service.ResumeInstance, id)
	s = p.told(w, 5)
	if s.Outcome != lifecycle.StartFailed || s.Reason != controlplane.PortInUse {
		t.Errorf("refused: %+v", s)
	}
	if diff := cmp.Diff(queuedToReady[:1], stagesOf(s)); diff != "" {
		t.Error(diff)
	}
	p.eventually("counted as failed", func() bool {
		got := p.census()
		return got.Instances[controlplane.Failed] == 1 && got.Queued == 0 && got.Starting == 0
	})
}

func TestTheObserverIsToldOfSleep(t *testing.T) {
	p, w := newPlant(t), &witness{}
	p.observer = w
	p.manage()
	id := p.instance(controlplane.Pending)
	p.becomes(id, controlplane.Deployed)
	p.ask(p.service.SuspendInstance, id)
	p.becomes(id, controlplane.Suspended)
	p.kill()

	// With a timeout that has been over for long it goes to sleep by itself.
	idle := p.instance(controlplane.Deployed)
	if err := p.yard.Start(t.Context(), launcher.Workload{InstanceID: idle, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	in := p.look(idle)
	in.Endpoint, in.LastActive = endpoint(1), time.Now().Add(-10*time.Hour)
	p.put(in)
	p.sleep.Timeout = time.Second
	p.manage()
	p.becomes(idle, controlplane.Suspended)
	p.eventually("told of both", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.slept) == 2
	})
	if diff := cmp.Diff([]string{controlplane.SleepAsked, controlplane.SleepIdle}, w.slept); diff != "" {
		t.Error(diff)
	}
}

// The queue has a length, and those that wait their time in it.
func TestTheCensusCountsTheQueue(t *testing.T) {
	p, w := newPlant(t), &witness{}
	p.observer, p.atOnce = w, 1
	p.yard.ready = time.Hour
	p.manage()
	for range 3 {
		p.instance(controlplane.Pending)
	}
	p.eventually("queued", func() bool {
		c := p.census()
		return c.Queued == 2 && c.Starting == 1 && c.Instances[controlplane.Pending] == 3
	})
	for n := range 3 {
		p.eventually("one more started", func() bool { return len(p.yard.began()) == 1 })
		p.yard.mu.Lock()
		for id, r := range p.yard.runs {
			if !r.ready {
				p.yard.answer(id)
			}
		}
		p.yard.mu.Unlock()
		if s := p.told(w, n+1); s.Outcome != lifecycle.StartReady {
			t.Errorf("start %d: %+v", n, s)
		}
	}
}
