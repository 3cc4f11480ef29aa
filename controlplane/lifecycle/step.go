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
	slot     slot   // among the starts at once
	said     said   // the launcher's words on the start that edges know

	use   use       // what edges told, and the record perhaps does not
	last  use       // what they may have told before this manager, see took
	wrote time.Time // when activity was last written into the record

	mark  mark // of what is SUSPENDING
	acked bool // every live edge has it
	open  int  // requests and connections that edges have of it

	sleep controlplane.SleepSettings
	drain time.Duration
}

// action is what a step does.
type action uint8

const (
	nothing     action = iota
	enqueue            // take a place among the starts
	start              // launcher.Start of the record's generation
	deployed           // record: DEPLOYED at the fact's endpoint
	failed             // record: FAILED for the fact's reason
	restart            // record: RESUMING after an end that nobody asked for
	resume             // record: RESUMING, since it should run
	wake               // record: RESUMING, since somebody visits, if that is within the limits
	refuse             // take back an intent that is to wake nothing, and say so
	clearWake          // take back an intent that is fulfilled
	fold               // record: the activity that edges told
	idle               // record: SUSPENDING, since nobody uses it
	tellEdges          // have every edge report that it knows of the SUSPENDING
	withdraw           // record: DEPLOYED as it was
	stopping           // record: it is asked to stop
	suspend            // stop the workload, then record: SUSPENDED
	stop               // stop a workload that should not run
	remove             // remove everything, then delete the record
	setStage           // record: the fact's stage
	setProgress        // tell edges the launcher's words on the stage
)

// actionNames are how failpoints call the actions.
var actionNames = [...]string{
	"nothing", "enqueue", "start", "deployed", "failed", "restart", "resume", "wake", "refuse", "clear-wake", "fold", "idle",
	"tell-edges", "withdraw", "stopping", "suspend", "stop", "remove", "set-stage", "set-progress",
}

func (a action) String() string { return actionNames[a] }

// step is an action and, for nothing, when to look again without being told.
type step struct {
	action action
	again  time.Time
}

// The figures of spec instances.md §2–§4.
const (
	// An instance that ends maxEnds times within endWindow is FAILED.
	maxEnds   = 5
	endWindow = 10 * time.Minute
	// A failed start is not repeated by a visit for firstRetry, doubling up to
	// lastRetry, until one has stayed ready for steadyAfter.
	firstRetry  = 5 * time.Second
	lastRetry   = 5 * time.Minute
	steadyAfter = 5 * time.Minute
	// A workload that ended is started again after firstRestart, doubling.
	firstRestart = 500 * time.Millisecond
	// A stage is recorded once it has lasted this long: a fast start costs no writes.
	stageDelay = 300 * time.Millisecond
	// Of the launcher's words on a stage edges hear once in sayEvery.
	sayEvery = time.Second
	// Edges get ackLimit to apply that an instance goes to sleep.
	ackLimit = 5 * time.Second
	// Activity is written into a record once in foldEvery.
	foldEvery = time.Minute
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
		return v.suspending()
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
	case !v.mayWake() || v.backsOff():
		return step{action: refuse}
	}
	return step{action: wake}
}

// backsOff reports whether a visit may not start it yet.
func (v view) backsOff() bool {
	return v.record.Status == controlplane.Failed && v.now.Before(v.record.RetryAfter)
}

// absent reports whether a start is due: nothing of this generation has been
// told, or it was stopped on purpose.
func absent(fact *launcher.Fact) bool {
	return fact == nil || fact.State == launcher.Ended && fact.Reason == nil
}

func (v view) starting() step {
	fact := v.current()
	switch {
	case absent(fact) && v.now.Before(v.record.RetryAfter):
		return step{again: v.record.RetryAfter}
	case absent(fact) && v.slot == slotNone:
		return step{action: enqueue}
	case absent(fact) && v.slot == slotHeld:
		return step{action: start}
	case absent(fact): // it waits for its turn
	case fact.State == launcher.Ready:
		return step{action: deployed}
	case fact.State == launcher.Ended:
		return step{action: failed}
	case fact.Stage != "" && fact.Stage != v.record.Stage:
		if due := fact.At.Add(stageDelay); v.now.Before(due) {
			return step{again: due}
		}
		return step{action: setStage}
	}
	if v.wake != nil { // who comes meanwhile joins the start
		return step{action: clearWake}
	}
	if fact != nil && fact.Text != "" && !saidBy(fact).same(v.said) {
		if due := v.said.at.Add(sayEvery); v.now.Before(due) {
			return step{again: due}
		}
		return step{action: setProgress}
	}
	return step{}
}

// said is what edges were told of the launcher's words.
type said struct {
	generation int64
	text       string
	percent    int
	at         time.Time
}

func saidBy(f *launcher.Fact) said {
	return said{generation: f.Generation, text: f.Text, percent: f.Percent}
}

func (s said) same(other said) bool {
	s.at, other.at = time.Time{}, time.Time{}
	return s == other
}

// wantsSlot reports whether it is to be among the starts at once, or to wait
// for them.
func (v view) wantsSlot() bool {
	if v.unread || v.record == nil || !v.record.Status.Starting() {
		return false
	}
	fact := v.current()
	if absent(fact) {
		return !v.now.Before(v.record.RetryAfter)
	}
	return fact.State == launcher.Starting
}

func (v view) running() step {
	fact := v.current()
	switch {
	case absent(fact):
		return step{action: resume}
	case fact.State == launcher.Ended:
		return step{action: restart}
	case fact.State == launcher.Ready &&
		(fact.Endpoint != v.record.Endpoint || fact.Identity != v.record.Identity || v.record.Status != controlplane.Deployed):
		return step{action: deployed}
	case v.wake != nil:
		return step{action: clearWake}
	case fact.State != launcher.Ready:
		return step{}
	}
	return v.using()
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
