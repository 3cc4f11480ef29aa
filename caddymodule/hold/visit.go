package hold

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// The ways in which waiting ends without a running instance.
var (
	ErrTimeout    = errors.New("the instance did not start in time")
	ErrFailed     = errors.New("the instance failed to start")
	ErrGone       = errors.New("the instance was terminated")
	ErrNoWaking   = errors.New("the intent to wake the instance could not be registered")
	ErrMayNotWake = errors.New("the visitor may not wake the instance")
	// ErrAccepted: the instance is being woken, and the visitor waits for no more.
	ErrAccepted = errors.New("the instance is being woken")
)

// LimitedError is the end of the wait of a visitor who starts nothing for now.
type LimitedError struct {
	Until time.Time
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("the visitor starts nothing before %s", e.Until.Format(time.RFC3339))
}

// Places are which of them are taken.
type Places uint8

// The places that there are limits of, see [Limits].
const (
	PlacesOfInstance Places = iota
	PlacesOfEdge
	PlacesOfSource
)

// FullError refuses a place.
type FullError struct{ Taken Places }

func (e *FullError) Error() string {
	return "too many requests wait " + [...]string{"for this instance", "at this edge", "from this source"}[e.Taken]
}

// Visit is one request that waits.
type Visit struct {
	Instance routing.ID
	Visitor  controlplane.Visitor
	Kind     string        // see controlplane.WakeIntent
	Trace    string        // likewise
	Limit    time.Duration // of the wait
	// Async: it is enough to wake the instance.
	Async bool

	// Began is how long it took until the instance was being started; 0: that
	// was not seen.
	Began time.Duration
}

// mayWake reports whether the visitor's visit wakes the instance.
func (v *Visit) mayWake(in *routing.Instance) bool {
	switch in.Wake {
	case routing.WakeVisitors:
		return true
	case routing.WakeOwner:
		return v.Visitor.User != "" && v.Visitor.User == in.Owner
	}
	return false
}

// Running reports whether requests can be sent to the instance.
func Running(in *routing.Instance) bool {
	return (in.Status == routing.Deployed || in.Status == routing.Unknown) && !in.Endpoint.IsZero()
}

// Starting reports whether the instance is being started already, so that a
// visitor has only to wait.
func Starting(in *routing.Instance) bool {
	return in.Status == routing.Pending || in.Status == routing.Resuming
}

// underWay reports whether a start has begun of which the status says nothing
// yet: it queues.
func underWay(p *controlplane.Progress) bool { return p != nil && p.Stage != "" }
