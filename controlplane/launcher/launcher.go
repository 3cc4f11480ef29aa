// Package launcher is the one interface between the control plane and what
// runs instances (spec instances.md §5). The control plane knows nothing else
// of processes, containers or pods. Package launchertest holds the conformance
// suite that every launcher passes.
//
// A launcher runs at most one workload per instance, whatever is called in
// whatever order and by however many control planes: every call carries the
// instance's generation, and a call for an older generation than the launcher
// has seen of that instance is refused with [ErrFenced].
//
// Start only begins a start. What becomes of it, and of every workload at any
// later time, comes as [Fact]s from Observe, so that a control plane which
// restarts learns of running workloads exactly as of those that it starts.
package launcher

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// ErrFenced is returned for a call whose generation is older than one that the
// launcher has seen of the same instance, and for every call that acts once
// another control plane leads, see [Launcher].Lead.
var ErrFenced = errors.New("a newer generation of this instance, or a newer leader, is known")

// ErrNotLeading is returned for a call that acts by a launcher which does not
// lead.
var ErrNotLeading = errors.New("this control plane does not lead")

// Launcher runs workloads. All methods may be called from several goroutines.
//
// Of several control planes one leads and acts; Check and Logs work in all of
// them at any time.
type Launcher interface {
	// Lead makes this launcher the one that acts, adopts the workloads that
	// earlier ones have left, and returns when Observe can tell of them.
	// Whatever led before over the same workloads is fenced: its calls under
	// way and later ones, and starts that it has begun, change nothing any
	// more, however long it was held up. The epoch is above 0 and larger for a
	// later leader; where a larger one has led, Lead returns ErrFenced. A
	// launcher that leads has to resign before it leads again. When ctx ends
	// first, it does not lead.
	Lead(ctx context.Context, epoch int64) error

	// Resign ends what Lead began: Observe channels close, and calls under way
	// return ErrNotLeading unless they are done. Workloads go on. It does
	// nothing in a launcher that does not lead.
	Resign()

	// Check says why an app could not run here, or nothing. It is cheap and
	// starts nothing.
	Check(app *controlplane.App) []controlplane.Reason

	// Start begins to run w and returns without waiting for it to be ready.
	// A workload of the same generation that is starting or runs is left as
	// it is; one of an older generation is stopped first. An error means that
	// nothing was started; a *StartError types it. Without leading, Start, Stop
	// and Remove return ErrNotLeading, or ErrFenced when another leads.
	Start(ctx context.Context, w Workload) error

	// Stop ends the instance's workload of this generation or an older one:
	// politely, and by force once grace is over. It returns when nothing of
	// it runs any more. Stopping what does not run is no error.
	Stop(ctx context.Context, instanceID string, generation int64, grace time.Duration) error

	// Remove stops the workload at once and deletes everything that was kept
	// for the instance: folders, volumes, logs. Removing what is not there is
	// no error. A later Start of the same ID begins from nothing.
	Remove(ctx context.Context, instanceID string) error

	// Observe streams facts until ctx or the lead ends, then closes the
	// channel; without leading it closes it at once. First comes the present
	// state of every workload that the launcher has, those of earlier leaders
	// included, then one Fact with
	// Synced set, then every change. A slow reader delays nobody and never
	// misses the latest fact of a workload; states in between may be left out.
	Observe(ctx context.Context) <-chan Fact

	// Logs opens what the workload wrote to stdout and stderr, oldest first.
	// An instance that never started has empty logs. With Follow the reader
	// goes on until ctx ends or the instance is removed, over restarts too.
	Logs(ctx context.Context, instanceID string, o LogOptions) (io.ReadCloser, error)

	// Close resigns and ends what the launcher runs for itself. Workloads go
	// on, unless the launcher leads and stopWorkloads asks to stop them as Stop
	// would, with this grace.
	Close(ctx context.Context, stopWorkloads bool, grace time.Duration) error
}

// Placed is a launcher whose workloads are at one place, such as a folder of a
// machine. Who leads with the same records at another place does not see what
// runs at the first, and would start all of it again: all control planes of a
// store need the same one.
type Placed interface {
	// Place names it. It stays the same for as long as the place is there. An
	// error says why that cannot be told now.
	Place(ctx context.Context) (string, error)
}

// Workload is what a launcher needs to start an instance.
type Workload struct {
	InstanceID string
	Generation int64 // above 0, grows with every start
	App        *controlplane.App
	// Runtime is what the app's RuntimeVersion stands for here; nil: nothing.
	Runtime *controlplane.RuntimeVersion
	// Profile is the name of the launch profile that the instance's resources come
	// from; empty: of none. It may say where the workload is placed, too.
	Profile string

	// Env is the platform's part and the manifest's, "NAME=value", complete
	// but for PORT and SLIPWAY_TOKEN_FILE, which depend on the launcher.
	//
	// Env and Files hold secrets: a launcher keeps them nowhere but where the
	// workload reads them, and shows them to nobody else.
	Env []string
	// Files are the manifest's [[File]] entries with secrets resolved. Those that
	// name a Secret are written once nothing runs any more that prepares the
	// workload, such as the installation of its dependencies.
	Files []controlplane.File
	// Warnings say what the workload goes without already; see Fact.
	Warnings []string
	// Token is the instance's own API token. The launcher writes it to a file
	// that only the workload reads and names it in SLIPWAY_TOKEN_FILE.
	Token string
	// OpenBundle opens the app's archive; launchers that run no code ignore it.
	OpenBundle func(context.Context) (controlplane.Blob, error)
	// BundleLink is where something that the launcher starts elsewhere fetches the
	// archive, for as long as that may take to start; 0 is
	// controlplane.DefaultBundleLink. It is as secret as Files.
	BundleLink func(validity time.Duration) BundleLink
	// HealthTimeout is how long the workload may take from its start to be
	// ready; 0 is DefaultHealthTimeout.
	HealthTimeout time.Duration
	// StopGrace is the time between asking and forcing; 0 is DefaultStopGrace.
	StopGrace time.Duration
}

// BundleLink is where a start fetches its archive over HTTP, without any other
// credential.
type BundleLink struct {
	// Target is path and query at the HTTP API of any control plane. Who has it
	// has the archive.
	Target string
	// Host is the installation's own, which the API answers to: the request's
	// Host, and the name in the certificate, whatever address is dialled.
	Host    string
	Digest  string // SHA-256 of the archive, hexadecimal
	Expires time.Time
}

// The defaults of a workload.
const (
	DefaultHealthTimeout = 90 * time.Second
	DefaultStopGrace     = 30 * time.Second
)

// Complete checks what every launcher needs of a workload, and fills in the
// defaults.
func (w *Workload) Complete() error {
	if w.InstanceID == "" || w.Generation <= 0 || w.App == nil {
		return errors.New("a workload has an InstanceID, an App and a Generation above 0")
	}
	if w.HealthTimeout <= 0 {
		w.HealthTimeout = DefaultHealthTimeout
	}
	if w.StopGrace <= 0 {
		w.StopGrace = DefaultStopGrace
	}
	return nil
}

// HealthPath is the path that has to answer 2xx or 3xx before the workload is
// ready, with the prefix that its app serves below in BASE_URL mode (spec
// routing.md §2): such an app knows no other paths, and its author cannot know
// the prefix. Empty where an open port is enough.
func (w *Workload) HealthPath() string {
	path := w.App.Manifest.Runtime.HealthPath
	if path != "" && w.App.RoutingMode == controlplane.BaseURL {
		path = "/instance/" + w.InstanceID + path
	}
	return path
}

// State is what a launcher knows of one workload.
type State string

// The states.
const (
	Starting State = "starting" // Stage says how far
	Ready    State = "ready"    // Endpoint answers
	Ended    State = "ended"    // Reason says why; WasReady whether it had been ready
)

// Fact is what is true of one workload now.
type Fact struct {
	Synced     bool // the initial list is complete; all else is zero
	InstanceID string
	Generation int64
	State      State
	Stage      controlplane.Stage
	// Text is the launcher's own words on how far the stage is, for people, and
	// Percent (0–100) goes with it; without Text there is neither.
	Text     string
	Percent  int
	Endpoint string // "ip:port" or an absolute socket path
	// Identity says to whom Endpoint belongs, where somebody else could come
	// to answer there: edges check it, see package procgroup. An endpoint that
	// is nobody else's has none.
	Identity string
	WasReady bool
	Reason   *controlplane.Reason // Ended, unless it was stopped on purpose
	// Warnings say what this start goes without that its app asks for, such as a
	// limit that cannot be enforced: a sentence each.
	Warnings []string
	At       time.Time // since when State and Stage are so
}

// LogOptions choose what Logs returns.
type LogOptions struct {
	Follow   bool
	Previous bool // of the run before the current one
}

// StartError types why a start could not even begin.
type StartError struct {
	Reason controlplane.Reason
	Err    error // may be nil
}

func (e *StartError) Error() string {
	if e.Err != nil {
		return e.Reason.String() + ": " + e.Err.Error()
	}
	return e.Reason.String()
}

func (e *StartError) Unwrap() error { return e.Err }
