package lifecycle

import (
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// view is what is known of one instance at one moment.
type view struct {
	record *controlplane.Instance   // nil: there is none
	unread bool                     // there is a newer record that cannot be read
	fact   *launcher.Fact           // nil: the launcher has told nothing
	wake   *controlplane.WakeIntent // nil: nobody visits it
	now    time.Time

	launcher string // the name of the one that fact came from
}

// action is what a step does.
type action uint8

const (
	nothing   action = iota
	start            // launcher.Start of the record's generation
	deployed         // record: DEPLOYED at the fact's endpoint
	failed           // record: FAILED for the fact's reason
	restart          // record: RESUMING after an end that nobody asked for
	resume           // record: RESUMING, since it should run or somebody visits
	suspend          // stop the workload, then record: SUSPENDED
	stop             // stop a workload that should not run
	remove           // remove everything, then delete the record
	setStage         // record: the fact's stage
	clearWake        // take back an intent that is fulfilled or refused
)

// step is an action and, for nothing, when to look again without being told.
type step struct {
	action action
	again  time.Time
}

// The figures of spec instances.md §2 and §3.
const (
	// An instance that ends maxEnds times within endWindow is FAILED.
	maxEnds   = 5
	endWindow = 10 * time.Minute
	// A failed start is not repeated by a visit for firstRetry, doubling up to lastRetry.
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// A workload that ended is started again after firstRestart, doubling.
	firstRestart = 500 * time.Millisecond
	// A stage is recorded once it has lasted this long: a fast start costs no writes.
	stageDelay = 300 * time.Millisecond
)

// next names the step that brings what runs nearer to what the record says.
func next(v view) step {
	if v.unread {
		return step{}
	}
	if v.record == nil {
		if v.runs() {
			return step{action: stop}
		}
		return step{}
	}
	switch v.record.Status {
	case controlplane.Terminating:
		return step{action: remove}
	case controlplane.Suspending:
		return step{action: suspend}
	case controlplane.Suspended, controlplane.Failed:
		return v.asleep()
	case controlplane.Pending, controlplane.Resuming:
		return v.starting()
	default:
		return v.running()
	}
}

// runs reports whether the launcher says that something of it is alive.
func (v view) runs() bool { return v.fact != nil && v.fact.State != launcher.Ended }

// current is the fact about the record's own generation, if there is one.
func (v view) current() *launcher.Fact {
	if v.fact == nil || v.fact.Generation != v.record.Generation {
		return nil
	}
	return v.fact
}

func (v view) asleep() step {
	switch {
	case v.runs():
		return step{action: stop}
	case v.wake == nil:
		return step{}
	case v.record.Status == controlplane.Failed && v.now.Before(v.record.RetryAfter):
		return step{action: clearWake}
	}
	return step{action: resume}
}

func (v view) starting() step {
	fact := v.current()
	switch {
	case fact == nil || fact.State == launcher.Ended && fact.Reason == nil:
		if v.now.Before(v.record.RetryAfter) {
			return step{again: v.record.RetryAfter}
		}
		return step{action: start}
	case fact.State == launcher.Ready:
		return step{action: deployed}
	case fact.State == launcher.Ended:
		return step{action: failed}
	case fact.Stage != "" && fact.Stage != v.record.Stage:
		if due := fact.At.Add(stageDelay); v.now.Before(due) {
			return step{again: due}
		}
		return step{action: setStage}
	case v.wake != nil:
		return step{action: clearWake}
	}
	return step{}
}

func (v view) running() step {
	fact := v.current()
	switch {
	case fact == nil || fact.State == launcher.Ended && fact.Reason == nil:
		return step{action: resume}
	case fact.State == launcher.Ended:
		return step{action: restart}
	case fact.State == launcher.Ready &&
		(fact.Endpoint != v.record.Endpoint || fact.Identity != v.record.Identity || v.record.Status != controlplane.Deployed):
		return step{action: deployed}
	case v.wake != nil:
		return step{action: clearWake}
	}
	return step{}
}

// contradicts reports whether the step takes back that the instance runs, or
// where.
func (v view) contradicts(a action) bool {
	if v.record == nil || v.record.Status != controlplane.Deployed && v.record.Status != controlplane.Unknown {
		return false
	}
	return a == resume || a == restart || a == deployed
}

// doubling is first, doubled n times, at most limit.
func doubling(first time.Duration, n int, limit time.Duration) time.Duration {
	d := first
	for range n {
		if d *= 2; d >= limit {
			return limit
		}
	}
	return d
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
	in.Ends = append(kept, at)
	in.Restarts++
	return len(in.Ends) >= maxEnds
}

// fail makes the record FAILED for a reason, with the next back-off.
func fail(in *controlplane.Instance, reason controlplane.Reason, now time.Time) {
	in.RetryAfter = now.Add(doubling(firstRetry, in.Failures, lastRetry))
	in.Failures++
	in.Status, in.Stage, in.Reason = controlplane.Failed, "", &reason
	in.Endpoint, in.Identity = "", ""
}
