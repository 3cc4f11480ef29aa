package waitingpage

import (
	"fmt"
	"math"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// State is an instance as those see it who may open it: the answer of
// /.slipway/status, and the events of /.slipway/wait.
type State struct {
	ID     string `json:"id"`
	Status string `json:"status"` // a status of spec instances.md §2
	URL    string `json:"url"`    // the canonical one

	// Of a start that is under way. Elapsed and typical are how long it has taken
	// and what the last starts of the app took; 0 is unknown.
	Stage     string `json:"stage,omitempty"` // see controlplane.Stage
	ElapsedMS int64  `json:"elapsed_ms,omitempty"`
	TypicalMS int64  `json:"typical_ms,omitempty"`
	Queue     int    `json:"queue,omitempty"`   // its place, from 1
	Percent   *int   `json:"percent,omitempty"` // the app's own words
	Text      string `json:"text,omitempty"`

	// Of one that failed. RetryMS is for how long no visit starts it again.
	Reason  *Reason `json:"reason,omitempty"`
	RetryMS int64   `json:"retry_ms,omitempty"`

	// OwnerWakes: only its owner's visit wakes it.
	OwnerWakes bool `json:"-"`

	// Message is one sentence on all that, for people.
	Message string `json:"message"`
}

// Reason is why a start failed. Its text is the launcher's for the owner, and
// one sentence for each code for others.
type Reason struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Seen is what a state is made of.
type Seen struct {
	Instance *routing.Instance
	Progress *controlplane.Progress // nil: none is known
	URL      string
	Owner    bool // the visitor is the instance's
}

// StateOf tells how an instance is now.
func StateOf(seen Seen, now time.Time) State {
	in, p := seen.Instance, seen.Progress
	s := State{ID: in.ID.String(), Status: in.Status.String(), URL: seen.URL, OwnerWakes: in.Wake == routing.WakeOwner}
	awake := in.Status == routing.Deployed || in.Status == routing.Unknown
	if p != nil && !awake {
		s.Stage, s.TypicalMS, s.Queue, s.Percent, s.Text = string(p.Stage), p.TypicalMS, p.Queue, p.Percent, p.Text
		if p.Stage != "" && !p.Since.IsZero() {
			s.ElapsedMS = max(0, now.Sub(p.Since).Milliseconds())
		}
	}
	if in.Status == routing.Failed && s.Stage == "" {
		s.Text, s.Percent = "", nil
		s.Reason = reasonOf(p, seen.Owner)
		if p != nil {
			s.RetryMS = max(0, p.RetryAt.Sub(now).Milliseconds())
		}
	}
	s.Message = messageOf(&seen, &s)
	return s
}

// Failed reports whether the last start failed, and none is under way.
func (s *State) Failed() bool { return s.Reason != nil }

// ETA is how long the start takes still if it is like the last ones; false if
// nobody knows.
func (s *State) ETA() (eta time.Duration, known bool) {
	left := s.TypicalMS - s.ElapsedMS
	return time.Duration(left) * time.Millisecond, s.Stage != "" && s.TypicalMS > 0 && left > 0
}

// Progress is how far the start is in percent; below 0 nobody knows.
func (s *State) Progress() int {
	switch {
	case s.Percent != nil:
		return min(100, max(0, *s.Percent))
	case s.Queue == 0 && s.TypicalMS > 0 && s.ElapsedMS > 0: // in the queue it goes no further
		return int(min(95, 100*s.ElapsedMS/s.TypicalMS))
	}
	return -1
}

// Time is the elapsed time against the typical one, for people.
func (s *State) Time() string {
	switch {
	case s.Queue > 0 && s.ElapsedMS > 0 && s.TypicalMS > 0:
		return seconds(s.ElapsedMS) + " so far; after the queue it usually takes about " + seconds(s.TypicalMS) + "."
	case s.ElapsedMS > 0 && s.TypicalMS > 0:
		return seconds(s.ElapsedMS) + " so far; it usually takes about " + seconds(s.TypicalMS) + "."
	case s.ElapsedMS > 0:
		return seconds(s.ElapsedMS) + " so far."
	case s.TypicalMS > 0:
		return "It usually takes about " + seconds(s.TypicalMS) + "."
	}
	return ""
}

// Retry is when a visit starts it again, for people.
func (s *State) Retry() string {
	if s.RetryMS <= 0 {
		return "It can be tried again now."
	}
	return "It can be tried again in " + seconds(s.RetryMS) + "."
}

func seconds(ms int64) string {
	n := int64(math.Ceil(float64(ms) / 1000))
	if n < 120 {
		return fmt.Sprintf("%d s", n)
	}
	return fmt.Sprintf("%d min %d s", n/60, n%60)
}
