package controlplane

import (
	"net/netip"
	"time"
)

// WakePolicy says whose visits wake an instance (spec instances.md §3).
type WakePolicy string

// The wake policies.
const (
	WakeVisitors WakePolicy = "visitors" // whoever may open it; the default
	WakeOwner    WakePolicy = "owner"    // its owner alone
	WakeNever    WakePolicy = "never"    // nobody: it is resumed by hand
)

// Valid reports whether p is one of the three policies.
func (p WakePolicy) Valid() bool { return p == WakeVisitors || p == WakeOwner || p == WakeNever }

// Visitor is who made an edge register an intent: what starts are counted by.
type Visitor struct {
	User string `json:"user,omitempty"` // empty: not signed in
	// Source is the client's address: an IPv4 address, or the /64 of an IPv6
	// address in the form 2001:db8::/64.
	Source string `json:"source,omitempty"`
}

// CountedSource is the source that limits are counted by: empty where it is not
// known, or is this machine, which is a proxy or its user.
func (v Visitor) CountedSource() string {
	at, err := netip.ParseAddr(v.Source)
	if err == nil && at.IsLoopback() || v.Source == "::/64" { // where ::1 is
		return ""
	}
	return v.Source
}

// WakeIntent is an edge's wish that an instance be woken (wake/<ID>). The first
// of any number of edges registers it; it goes away by itself when no control
// plane takes it up.
type WakeIntent struct {
	InstanceID string    `json:"-"`
	Edge       string    `json:"edge"`
	At         time.Time `json:"at"` // by the edge's clock, for people
	Visitor
	// Kind is what visited: "page", "request", "websocket", "stream", "grpc".
	Kind string `json:"kind,omitempty"`
	// Trace is the W3C traceparent of the visit, where that is traced.
	Trace string `json:"trace,omitempty"`

	Revision int64 `json:"-"` // see App.Revision
}

// Progress is what edges show of a start (routes/progress/<ID>): from the
// intent to DEPLOYED, and of FAILED until the next start.
type Progress struct {
	Generation int64     `json:"generation"`
	Stage      Stage     `json:"stage,omitempty"` // empty once it failed
	Since      time.Time `json:"since"`           // when this start began
	// TypicalMS is what the last starts of this app took, in the middle; 0 where
	// there were none.
	TypicalMS int64 `json:"typical_ms,omitempty"`
	// Queue is the place among those that wait for their start, from 1.
	Queue int `json:"queue,omitempty"`
	// Percent (0–100) and Text are the app's own words (PUT /instance/progress),
	// or the launcher's on the stage until the app has said something.
	Percent *int   `json:"percent,omitempty"`
	Text    string `json:"text,omitempty"`
	// Said is when the app said something last.
	Said time.Time `json:"said,omitzero"`

	Reason  *Reason   `json:"reason,omitempty"`  // why it FAILED
	RetryAt time.Time `json:"retry_at,omitzero"` // no visit starts it before
}

// StartKind is what starts are counted by (settings starts_per_user,
// starts_per_source, anonymous_starts).
type StartKind string

// The kinds.
const (
	StartsOfUser      StartKind = "user"
	StartsOfSource    StartKind = "source"
	StartsOfAnonymous StartKind = "anonymous" // a source's, by visitors not signed in
)

// StartLimit says that visits by somebody start nothing for now
// (routes/limited/<kind>/<of>).
type StartLimit struct {
	Until time.Time `json:"until"`
}
