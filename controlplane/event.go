package controlplane

import (
	"context"
	"time"
)

// Event is one thing that happened to an instance (GET /instances/{id}/events).
// The last MaxEvents of an instance are kept with it.
type Event struct {
	Time   time.Time  `json:"time"`
	Type   EventType  `json:"type"`
	Stage  Stage      `json:"stage,omitempty"`
	Reason ReasonCode `json:"reason,omitempty"`
	Text   string     `json:"text"` // one sentence, for people
}

// EventType is what happened.
type EventType string

// The types of events.
const (
	EventWake      EventType = "wake"      // somebody's visit or command began a start
	EventStage     EventType = "stage"     // the start came this far
	EventWarning   EventType = "warning"   // the start goes without something that its app asks for
	EventReady     EventType = "ready"     // it runs
	EventFailed    EventType = "failed"    // the start failed
	EventEnded     EventType = "ended"     // it ended by itself, and is started again
	EventSuspend   EventType = "suspend"   // it is put to sleep
	EventWithdrawn EventType = "withdrawn" // it is not put to sleep after all
	EventSuspended EventType = "suspended" // it sleeps
	EventBusy      EventType = "busy"      // it said that it is busy
	EventChanged   EventType = "changed"   // its settings were changed
	EventRefused   EventType = "refused"   // a visit did not wake it
)

// MaxEvents is how many events of an instance are kept.
const MaxEvents = 64

// EventStore reads events; etcdstore.Store does.
type EventStore interface {
	// Events are an instance's, the oldest first; none is no error.
	Events(ctx context.Context, instanceID string) ([]Event, error)
	// WatchEvents calls sink with all events of an instance, now and after every
	// change, until ctx ends or the instance is gone.
	WatchEvents(ctx context.Context, instanceID string, sink func([]Event)) error
}
