package controlplane

import (
	"cmp"
	"time"
)

// Status is where an instance is in its life (spec instances.md §2).
type Status string

// The statuses. TERMINATING counts as terminated wherever somebody asks for
// the instance; a terminated instance has no record.
const (
	Pending     Status = "PENDING"     // first start under way
	Deployed    Status = "DEPLOYED"    // running and ready
	Suspending  Status = "SUSPENDING"  // going to sleep
	Suspended   Status = "SUSPENDED"   // asleep; volumes, aliases and ID kept
	Resuming    Status = "RESUMING"    // starting again
	Failed      Status = "FAILED"      // the last start failed; Reason is typed
	Unknown     Status = "UNKNOWN"     // the launcher cannot tell
	Terminating Status = "TERMINATING" // being removed, volumes too
)

// Statuses are all of them.
var Statuses = []Status{Pending, Deployed, Suspending, Suspended, Resuming, Failed, Unknown, Terminating}

// Live reports whether an instance in this status still has its URL.
func (s Status) Live() bool { return s != "" && s != Terminating }

// Starting reports whether a start is under way.
func (s Status) Starting() bool { return s == Pending || s == Resuming }

// Stage is how far a start has come (spec instances.md §3).
type Stage string

// The stages, in their order.
const (
	StageQueued       Stage = "queued"
	StageScheduled    Stage = "scheduled"
	StageImage        Stage = "image"
	StageBundle       Stage = "bundle"
	StageDependencies Stage = "dependencies"
	StageStarting     Stage = "starting"
	StageHealth       Stage = "health"
	StageReady        Stage = "ready"
)

// Stages are all of them, in their order.
var Stages = []Stage{
	StageQueued, StageScheduled, StageImage, StageBundle, StageDependencies, StageStarting, StageHealth, StageReady,
}

// Instance is one run of an app: the record behind a URL.
type Instance struct {
	ID           string      `json:"id"` // lower-case UUID
	AppID        string      `json:"app_id"`
	AppName      string      `json:"app_name"`
	AppVersion   string      `json:"app_version"`
	Owner        string      `json:"owner"` // who started it
	Visibility   Visibility  `json:"visibility"`
	Status       Status      `json:"status"`
	Stage        Stage       `json:"stage,omitempty"`
	Reason       *Reason     `json:"reason,omitempty"` // why it FAILED
	RoutingMode  RoutingMode `json:"routing_mode"`
	PrimaryAlias string      `json:"primary_alias,omitempty"` // a name of aliases/, or empty
	Launcher     string      `json:"launcher"`

	// Generation counts the starts. It fences side effects: a launcher
	// refuses to act for an older generation than it has seen.
	Generation int64 `json:"generation"`
	// Endpoint is where generation Generation answers while DEPLOYED:
	// "ip:port" or an absolute socket path.
	Endpoint string `json:"endpoint,omitempty"`
	// Identity says to whom Endpoint belongs, see launcher.Fact.
	Identity string `json:"identity,omitempty"`

	Restarts   int         `json:"restarts"`             // unasked ends of a ready workload
	Ends       []time.Time `json:"ends,omitempty"`       // the last of those, for the back-off
	Failures   int         `json:"failures"`             // failed starts in a row
	RetryAfter time.Time   `json:"retry_after,omitzero"` // FAILED: no visit starts it before

	// Wake says whose visits wake it; empty is WakeVisitors.
	Wake WakePolicy `json:"wake,omitempty"`
	// Timeout is its app's InstanceTimeout: 0 is the server's default, below 0
	// never.
	Timeout time.Duration `json:"timeout,omitempty"`
	// LaunchProfile is what it was started with; empty: its app's.
	LaunchProfile string `json:"launch_profile,omitempty"`
	// Resources and Runtime are what the settings gave it when it was made or
	// redeployed; nil: what its app says.
	Resources *Resources      `json:"resources,omitempty"`
	Runtime   *RuntimeVersion `json:"runtime,omitempty"`
	// Settled is the launch profile that those Resources came from, its own or its
	// app's at that time; empty: none.
	Settled string `json:"settled,omitempty"`
	// NoAutosuspend keeps it from going to sleep by itself.
	NoAutosuspend bool `json:"no_autosuspend,omitempty"`

	// LastActive is the last activity that edges told of, LastPresent the last
	// presence; both are folded in at most once a minute (spec instances.md §4).
	LastActive  time.Time `json:"last_active,omitzero"`
	ActiveBy    string    `json:"active_by,omitempty"` // what that activity was, see Activity.Cause
	LastPresent time.Time `json:"last_present,omitzero"`
	Busy        *Busy     `json:"busy,omitempty"`

	// Begun is what began the present start, or the one that led to what runs.
	Begun *Beginning `json:"begun,omitempty"`
	// Sleep is why it is being put to sleep, or why it slept last.
	Sleep *Sleep `json:"sleep,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	Revision int64 `json:"-"` // see App.Revision
}

// What begins starts.
const (
	BegunRun     = "run"
	BegunVisit   = "visit"
	BegunResume  = "resume"
	BegunRestart = "restart"
	BegunCrash   = "crash"       // it was ready, and ended
	BegunFound   = "found ended" // it should run and does not, nobody knows why
)

// What puts instances to sleep.
const (
	SleepIdle  = "idle"
	SleepAsked = "asked"
)

// Beginning is what began a start.
type Beginning struct {
	At    time.Time `json:"at"`
	Cause string    `json:"cause"` // BegunRun, …
	Visitor
	Kind string `json:"kind,omitempty"` // of the visit, see WakeIntent
	Edge string `json:"edge,omitempty"` // that it came to
	// Trace is the visit's, see WakeIntent.
	Trace string `json:"trace,omitempty"`
	// ReadyAt is when the instance answered.
	ReadyAt time.Time `json:"ready_at,omitzero"`
	// Warnings are what the start goes without, see launcher.Fact.
	Warnings []string `json:"warnings,omitempty"`
}

// Sleep is why an instance goes to sleep.
type Sleep struct {
	At    time.Time `json:"at"`           // of the mark
	Cause string    `json:"cause"`        // SleepIdle or SleepAsked
	By    string    `json:"by,omitempty"` // who asked
	// Stopping is set before the workload is asked to stop: from then on this
	// generation never runs again. Before that, what is idle is taken back.
	Stopping bool `json:"stopping,omitempty"`
}

// Withdrawable reports whether an instance that is going to sleep can still
// run on as if nothing had been: it was ready, and has not been asked to stop.
func (in *Instance) Withdrawable() bool {
	return in.Status == Suspending && in.Sleep != nil && !in.Sleep.Stopping && in.Endpoint != ""
}

// Profile is the launch profile that it runs with; empty: none. Records of before
// that was settled know their own alone.
func (in *Instance) Profile() string { return cmp.Or(in.Settled, in.LaunchProfile) }

// Withdraw has it run on: the same generation, at the same endpoint.
func (in *Instance) Withdraw() { in.Status, in.Sleep = Deployed, nil }

// Resume makes the record that of a new start.
func (in *Instance) Resume(b Beginning) {
	in.Status, in.Stage, in.Reason = Resuming, StageQueued, nil
	in.Endpoint, in.Identity, in.Busy = "", "", nil
	in.Begun = &b
	in.Generation++
}

// Alias is a host name that leads to an instance. It outlives the instance.
type Alias struct {
	ID         string    `json:"id"`   // UUID
	Name       string    `json:"name"` // one label below the base domain
	InstanceID string    `json:"instance_id,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`

	Revision int64 `json:"-"` // see App.Revision
}
