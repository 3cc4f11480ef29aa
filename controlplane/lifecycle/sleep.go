package lifecycle

import (
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// use is when an instance was used last, as edges told.
type use struct {
	active, present time.Time
	cause           string // of the activity
}

// onto writes into a record what it does not know.
func (u use) onto(in *controlplane.Instance) {
	if u.active.After(in.LastActive) {
		in.LastActive, in.ActiveBy = u.active, u.cause
	}
	if u.present.After(in.LastPresent) {
		in.LastPresent = u.present
	}
}

// mark is how a SUSPENDING began.
type mark struct {
	// revision is one at which edges are told of it; they need not ever come to
	// it unless told is set (see controlplane.EdgeStore).
	revision int64
	told     bool
	since    time.Time
}

// deadline is when it goes to sleep unless something extends it; zero: never.
func (v view) deadline() time.Time {
	in := *v.record
	v.use.onto(&in)
	v.last.onto(&in)
	at, _ := in.SuspendAfter(v.sleep)
	return at
}

// using is the step of what runs as it should.
func (v view) using() step {
	at := v.deadline()
	if !at.IsZero() && !v.now.Before(at) {
		return step{action: idle}
	}
	if !v.hasNews() {
		return step{again: at}
	}
	due := v.wrote
	for _, known := range []time.Time{v.record.LastActive, v.record.LastPresent} {
		if known.After(due) {
			due = known
		}
	}
	due = due.Add(foldEvery)
	if !v.now.Before(due) {
		return step{action: fold}
	}
	if at.IsZero() || due.Before(at) {
		at = due
	}
	return step{again: at}
}

// hasNews reports whether edges told more than the record says.
func (v view) hasNews() bool {
	return v.record != nil && (v.use.active.After(v.record.LastActive) || v.use.present.After(v.record.LastPresent))
}

// suspending goes from the mark over the edges' acknowledgements and the end of
// what is under way to the stop. Before the stop, what is idle runs on when
// somebody uses it after all: an edge tells so with its acknowledgement.
func (v view) suspending() step {
	s := v.record.Sleep
	if s != nil && s.Stopping {
		return step{action: suspend}
	}
	fact := v.current()
	ready := v.record.Endpoint != "" && fact != nil && fact.State == launcher.Ready
	if !ready {
		return step{action: stopping} // nobody is there to wait for
	}
	if s != nil && s.Cause == controlplane.SleepIdle {
		switch at := v.deadline(); {
		case v.wake != nil && !v.mayWake():
			return step{action: refuse}
		case v.wake != nil, at.IsZero(), v.now.Before(at):
			return step{action: withdraw}
		}
	}
	acks, drained := v.mark.since.Add(ackLimit), v.mark.since.Add(v.drain)
	switch {
	case !v.acked && !v.mark.told:
		return step{action: tellEdges}
	case !v.acked && v.now.Before(acks):
		return step{again: acks}
	case v.open > 0 && v.now.Before(drained):
		return step{again: drained}
	}
	return step{action: stopping}
}

// mayWake reports whether the visitor's visits wake it.
func (v view) mayWake() bool {
	switch v.record.Wake {
	case controlplane.WakeNever:
		return false
	case controlplane.WakeOwner:
		return v.wake.User != "" && strings.EqualFold(v.wake.User, v.record.Owner)
	}
	return true
}
