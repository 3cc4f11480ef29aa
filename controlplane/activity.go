package controlplane

import (
	"context"
	"time"
)

// Activity is what an edge saw of one instance since it told of it last, or of
// one that is about to sleep. Times are told as how long ago they were when the
// report was written, so that clocks need not agree.
type Activity struct {
	InstanceID string `json:"id"`
	// ActiveMS and PresentMS are how long ago the last activity and the last
	// presence were (spec instances.md §4), in milliseconds; -1: none.
	ActiveMS  int64  `json:"active_ms"`
	PresentMS int64  `json:"present_ms"`
	Cause     string `json:"cause,omitempty"` // of the activity: "request", "stream", "websocket"
	Open      int    `json:"open,omitempty"`  // requests and connections under way
	// ReportedMS is how long ago an activity was that an edge has reported already;
	// 0: none in the last two minutes. It is told of an instance that is about to
	// sleep, for a control plane that has just begun to lead and may not have had
	// that report. For others it is no news, and its time is only as good as the
	// way to the store is short.
	ReportedMS int64 `json:"reported_ms,omitempty"`
}

// ActivityReport is one chunk of an edge's news (activity/<edge>/<n>).
type ActivityReport struct {
	Items []Activity `json:"items"`
}

// ActivityBatch is what edges told, as it came.
type ActivityBatch struct {
	Items []Activity
}

// ActivityWatcher tells what edges report; etcdstore.Store does.
type ActivityWatcher interface {
	// WatchActivity blocks until ctx ends, and calls sink from one goroutine.
	WatchActivity(ctx context.Context, sink func(ActivityBatch))
}

// SleepSettings are the settings that say when instances go to sleep.
type SleepSettings struct {
	Timeout  time.Duration // instance_timeout, of apps that name none; below 0: never
	Presence time.Duration // presence_timeout
}

// Busy is what an app said of itself: it is not to sleep before Until.
type Busy struct {
	Until  time.Time `json:"until"`
	Reason string    `json:"reason,omitempty"`
}

// The reasons why an instance is awake, and what names its deadline.
const (
	AwakeActivity  = "activity"  // somebody used it
	AwakePresence  = "presence"  // a WebSocket is open that only answers pings
	AwakeBusy      = "busy"      // it says that it is busy
	AwakeNever     = "never"     // its app has InstanceTimeout -1, or the server's default is never
	AwakeProtected = "protected" // an admin has turned its sleep off
)

// IdleTimeout is how long the instance stays awake after its last activity;
// below 0: for ever.
func (in *Instance) IdleTimeout(s SleepSettings) time.Duration {
	if in.Timeout != 0 {
		return in.Timeout
	}
	return s.Timeout
}

// SuspendAfter is when the instance goes to sleep unless something extends it,
// and what has extended it last (spec instances.md §4): the last activity and
// the timeout; presence likewise, but not beyond the presence timeout after the
// last activity; what the app itself asked for. The zero time is never.
func (in *Instance) SuspendAfter(s SleepSettings) (at time.Time, because string) {
	timeout := in.IdleTimeout(s)
	switch {
	case in.NoAutosuspend:
		return time.Time{}, AwakeProtected
	case timeout < 0:
		return time.Time{}, AwakeNever
	}
	at, because = in.LastActive.Add(timeout), AwakeActivity
	if !in.LastPresent.IsZero() {
		present := in.LastPresent.Add(timeout)
		if most := in.LastActive.Add(s.Presence); present.After(most) {
			present = most
		}
		if present.After(at) {
			if at = present; in.presentAlone(timeout) {
				because = AwakePresence
			}
		}
	}
	if in.Busy != nil && in.Busy.Until.After(at) {
		at, because = in.Busy.Until, AwakeBusy
	}
	return at, because
}

// usedApart is how far apart the bytes of what is in use may be: two intervals
// of edges' reports (spec instances.md §4).
const usedApart = 20 * time.Second

// presentAlone reports whether presence goes on without activity. What is open
// and in use is presence at every report of its edge, a moment after its last
// bytes: that is activity still.
func (in *Instance) presentAlone(timeout time.Duration) bool {
	apart := usedApart
	if timeout > 0 {
		apart = min(apart, timeout/2)
	}
	return in.LastPresent.Sub(in.LastActive) > apart
}
