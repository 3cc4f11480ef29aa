package lifecycle

import (
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// Observer is told what becomes of starts and of sleep, for metrics and traces.
// It is told while the manager's mutex is held: it returns at once, and asks the
// manager nothing.
type Observer interface {
	// Started is told of a start that is over.
	Started(s *Start)
	// Slept is told that an instance sleeps, and why: controlplane.SleepIdle or
	// controlplane.SleepAsked.
	Slept(cause string)
	// Withdrawn is told that one runs on that was about to sleep.
	Withdrawn()
}

// Outcome is how a start ended.
type Outcome string

// The outcomes.
const (
	StartReady     Outcome = "ready"
	StartFailed    Outcome = "failed"
	StartAbandoned Outcome = "abandoned" // suspended, restarted or terminated before it was ready
)

// Start is a start that is over.
type Start struct {
	InstanceID string
	Generation int64
	Launcher   string
	Begun      controlplane.Beginning // the zero value where the record has none
	// Since is when it was asked for, or its back-off was over; zero: not known.
	Since   time.Time
	Ended   time.Time
	Outcome Outcome
	Reason  controlplane.ReasonCode // of a StartFailed
	// Stages are those that were seen, in their order: of a start that a manager
	// has taken over, perhaps the last ones alone.
	Stages []StageTime
}

// StageTime is how long a start was in a stage. Queued ends when the launcher
// tells of the start first; ready is from the launcher's word until the record
// has it.
type StageTime struct {
	Stage controlplane.Stage
	Began time.Time
	Took  time.Duration
}

// marks are when a start came to its stages. An empty stage is its end.
type marks struct {
	generation int64
	at         []stageMark
}

type stageMark struct {
	stage controlplane.Stage
	at    time.Time
}

// queued begins the marks of a start that waits for the launcher since then.
func (k *marks) queued(generation int64, since time.Time) {
	*k = marks{generation, append(k.at[:0], stageMark{controlplane.StageQueued, since})}
}

// take notes what a launcher tells of a start.
func (k *marks) take(f *launcher.Fact) {
	if f.Generation < k.generation {
		return
	}
	if f.Generation > k.generation {
		*k = marks{generation: f.Generation, at: k.at[:0]}
	}
	stage := f.Stage
	switch f.State {
	case launcher.Ready:
		stage = controlplane.StageReady
	case launcher.Ended:
		stage = ""
	}
	if n := len(k.at); n > 0 && (k.at[n-1].stage == stage || k.over()) {
		return
	}
	k.at = append(k.at, stageMark{stage, f.At})
}

// over reports whether the last of the marks ends the start.
func (k *marks) over() bool {
	last := k.at[len(k.at)-1].stage
	return last == "" || last == controlplane.StageReady
}

// stages are the times of a start that ended then.
func (k *marks) stages(generation int64, ended time.Time) (out []StageTime) {
	if k.generation != generation {
		return nil
	}
	for i, m := range k.at {
		until := ended
		if i+1 < len(k.at) {
			until = k.at[i+1].at
		}
		if m.stage != "" {
			out = append(out, StageTime{Stage: m.stage, Began: m.at, Took: max(0, until.Sub(m.at))})
		}
	}
	return out
}

// queuedSince is when a start could have begun, but for those before it: otherwise
// where the record does not say.
func queuedSince(in *controlplane.Instance, otherwise time.Time) time.Time {
	at := otherwise
	if in.Begun != nil {
		at = in.Begun.At
	}
	if in.RetryAfter.After(at) { // the back-off after a crash
		at = in.RetryAfter
	}
	return at
}

// notice tells the observer what a newer record says. The mutex is held.
func (m *Manager) notice(t *task, is *controlplane.Instance) {
	was := t.record
	if m.cfg.Observer == nil || was == nil || is.Revision <= was.Revision {
		return
	}
	same := is.Generation == was.Generation
	switch {
	case was.Status.Starting() && !(same && is.Status.Starting()):
		m.cfg.Observer.Started(t.started(was, is, m.cfg.Now()))
	case was.Status == controlplane.Suspending && same && is.Status == controlplane.Deployed:
		m.cfg.Observer.Withdrawn()
	case was.Status == controlplane.Suspending && same && is.Status == controlplane.Suspended:
		cause := controlplane.SleepAsked
		if is.Sleep != nil {
			cause = is.Sleep.Cause
		}
		m.cfg.Observer.Slept(cause)
	}
}

// started is the start that is over since the record is another.
func (t *task) started(was, is *controlplane.Instance, now time.Time) *Start {
	s := &Start{
		InstanceID: is.ID, Generation: was.Generation, Launcher: was.Launcher, Since: queuedSince(was, time.Time{}), Ended: now, Outcome: StartAbandoned,
	}
	if was.Begun != nil {
		s.Begun = *was.Begun
	}
	switch {
	case is.Generation != was.Generation:
	case is.Status == controlplane.Deployed:
		s.Outcome = StartReady
	case is.Status == controlplane.Failed:
		s.Outcome = StartFailed
		if is.Reason != nil {
			s.Reason = is.Reason.Code
		}
	}
	s.Stages = t.marks.stages(was.Generation, s.Ended)
	if t.marks.generation == was.Generation {
		t.marks = marks{}
	}
	return s
}

// Census is what a manager has at one moment.
type Census struct {
	Instances map[controlplane.Status]int // those with a record, by its status
	Queued    int                         // starts that wait for their turn
	Starting  int                         // starts that have it
}

// Census counts. It looks at every instance.
func (m *Manager) Census() Census {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Census{Instances: map[controlplane.Status]int{}, Queued: m.starts.length(), Starting: m.starts.held}
	for _, t := range m.tasks {
		if t.record != nil {
			c.Instances[t.record.Status]++
		}
	}
	return c
}
