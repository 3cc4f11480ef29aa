package lifecycle

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// change is what a step does to the record alone.
func change(in *controlplane.Instance, v view, a action) {
	now := v.now.UTC()
	switch a {
	case deployed:
		in.Endpoint, in.Identity = v.fact.Endpoint, v.fact.Identity
		if in.Status == controlplane.Deployed {
			return // it answers elsewhere
		}
		if in.Begun != nil && in.Status.Starting() {
			in.Begun.ReadyAt, in.Begun.Warnings = now, v.fact.Warnings
		}
		in.Status, in.Stage, in.Reason = controlplane.Deployed, "", nil
		in.RetryAfter = time.Time{}
		in.LastActive = now
	case failed:
		if in.Begun != nil {
			in.Begun.Warnings = v.fact.Warnings
		}
		fail(in, *v.fact.Reason, now)
	case restart:
		steady(in, now)
		if recordEnd(in, now) {
			fail(in, *v.fact.Reason, now)
			return
		}
		in.Resume(controlplane.Beginning{At: now, Cause: controlplane.BegunCrash})
		in.RetryAfter = now.Add(doubling(firstRestart, len(in.Ends)-1, lastRetry))
	case resume:
		steady(in, now)
		in.Resume(controlplane.Beginning{At: now, Cause: controlplane.BegunFound})
		in.RetryAfter = time.Time{}
	case wake:
		in.Resume(controlplane.Beginning{
			At: now, Cause: controlplane.BegunVisit, Visitor: v.wake.Visitor, Kind: v.wake.Kind, Edge: v.wake.Edge, Trace: v.wake.Trace,
		})
		in.RetryAfter = time.Time{}
	case setStage:
		in.Stage = v.fact.Stage
	case fold:
		v.use.onto(in)
	case idle:
		v.use.onto(in)
		in.Status, in.Sleep = controlplane.Suspending, &controlplane.Sleep{At: now, Cause: controlplane.SleepIdle}
	case withdraw:
		v.use.onto(in)
		if v.wake != nil { // the visitor is about to use it
			in.LastActive, in.ActiveBy = now, "request"
		}
		in.Withdraw()
	case stopping:
		steady(in, now)
		v.use.onto(in)
		if in.Sleep == nil {
			in.Sleep = &controlplane.Sleep{At: now, Cause: controlplane.SleepAsked}
		}
		in.Sleep.Stopping = true
		in.Endpoint, in.Identity = "", ""
	case suspend:
		in.Status, in.Stage, in.Reason, in.Busy = controlplane.Suspended, "", nil, nil
		in.Endpoint, in.Identity = "", ""
	}
}

// tell is what a step tells edges and people of what it changed.
func tell(tx controlplane.Tx, in *controlplane.Instance, v view, a action) error {
	was := v.record.Status
	e := controlplane.Event{Time: v.now.UTC()}
	switch {
	case in.Status == controlplane.Failed && was != controlplane.Failed:
		return tellFailure(tx, in, v)
	case a == deployed && was.Starting():
		tellWarnings(tx, v)
		e.Type, e.Text = controlplane.EventReady, "it is ready"
		tx.PutProgress(in.ID, nil)
		if in.Begun != nil {
			took := in.Begun.ReadyAt.Sub(in.Begun.At)
			e.Text += " after " + took.Round(time.Millisecond).String()
		}
	case a == restart:
		e.Type, e.Reason, e.Text = controlplane.EventEnded, v.fact.Reason.Code, v.fact.Reason.Text
		tx.AddEvent(in.ID, e)
		return controlplane.TellStart(tx, in, 0)
	case a == resume:
		return controlplane.TellStart(tx, in, 0)
	case a == setStage:
		e.Type, e.Stage, e.Text = controlplane.EventStage, in.Stage, "the start has come to "+string(in.Stage)
		p, err := tx.Progress(in.ID)
		if err != nil {
			return err
		}
		if p != nil && p.Generation == in.Generation {
			p.Stage, p.Queue = in.Stage, 0
			if p.Said.IsZero() { // what there was is the launcher's, of the stage before
				p.Text, p.Percent = "", nil
			}
			tx.PutProgress(in.ID, p)
		}
	case a == stopping && in.Sleep.Cause == controlplane.SleepIdle:
		e.Type, e.Text = controlplane.EventSuspend, "it goes to sleep: not used since "+in.LastActive.Format(time.RFC3339)
		controlplane.AuditSystem(tx, e.Time, "instance.suspend", "instance/"+in.ID, "not used since "+in.LastActive.Format(time.RFC3339))
	case a == suspend:
		e.Type, e.Text = controlplane.EventSuspended, "it sleeps"
		tx.PutProgress(in.ID, nil)
	}
	if e.Type != "" {
		tx.AddEvent(in.ID, e)
	}
	return nil
}

// tellWarnings says once what a start goes without that its app asks for.
func tellWarnings(tx controlplane.Tx, v view) {
	if fact := v.current(); fact != nil && len(fact.Warnings) > 0 && v.record.Status.Starting() {
		tx.AddEvent(v.record.ID, controlplane.Event{
			Time: v.now.UTC(), Type: controlplane.EventWarning, Text: strings.Join(fact.Warnings, "; "),
		})
	}
}

// tellFailure leaves the reason where the start's progress was.
func tellFailure(tx controlplane.Tx, in *controlplane.Instance, v view) error {
	p, err := tx.Progress(in.ID)
	if err != nil {
		return err
	}
	if p == nil || p.Generation != in.Generation {
		p = &controlplane.Progress{Generation: in.Generation, Since: v.now.UTC()}
	}
	p.Stage, p.Queue, p.Reason, p.RetryAt = "", 0, in.Reason, in.RetryAfter
	if p.Said.IsZero() { // what there was is of the start, which is over
		p.Text, p.Percent = "", nil
	}
	tx.PutProgress(in.ID, p)
	tellWarnings(tx, v)
	tx.AddEvent(in.ID, controlplane.Event{Time: v.now.UTC(), Type: controlplane.EventFailed, Reason: in.Reason.Code, Text: in.Reason.Text})
	controlplane.AuditSystem(tx, v.now.UTC(), "instance.fail", "instance/"+in.ID, fmt.Sprintf("status %s → %s, %s", v.record.Status, in.Status, in.Reason.Code))
	return nil
}

// recordEnd notes an end that nobody asked for and reports whether it was one
// too many.
func recordEnd(in *controlplane.Instance, at time.Time) (tooMany bool) {
	kept := make([]time.Time, 0, maxEnds)
	for _, end := range in.Ends {
		if at.Sub(end) < endWindow {
			kept = append(kept, end)
		}
	}
	kept = append(kept, at)
	in.Ends = kept[max(0, len(kept)-maxEnds):]
	in.Restarts++
	return len(in.Ends) >= maxEnds
}

// steady forgets the failures before a run that lasted. One that was ready and
// ended at once is none: its back-off goes on.
func steady(in *controlplane.Instance, now time.Time) {
	if in.Begun != nil && !in.Begun.ReadyAt.IsZero() && now.Sub(in.Begun.ReadyAt) >= steadyAfter {
		in.Failures = 0
	}
}

// fail makes the record FAILED for a reason, with the next back-off.
func fail(in *controlplane.Instance, reason controlplane.Reason, now time.Time) {
	in.RetryAfter = now.Add(doubling(firstRetry, in.Failures, lastRetry))
	in.Failures++
	in.Status, in.Stage, in.Reason = controlplane.Failed, "", &reason
	in.Endpoint, in.Identity = "", ""
}
