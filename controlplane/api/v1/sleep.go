package v1

import "time"

// InstanceStatus is how far an instance is.
type InstanceStatus struct {
	ID      string     `json:"id" format:"uuid"`
	Status  string     `json:"status" enum:"PENDING,DEPLOYED,SUSPENDING,SUSPENDED,RESUMING,FAILED,UNKNOWN,TERMINATING"`
	Stage   *string    `json:"stage" doc:"how far a start has come; null when none is under way"`
	Percent *int       `json:"percent" doc:"of the stage, or of the start by the app's own words; null where nobody says"`
	Text    *string    `json:"text" doc:"on the stage, for people; null where nobody says"`
	Reason  *Reason    `json:"reason" doc:"why it FAILED; null otherwise"`
	RetryAt *time.Time `json:"retry_at" doc:"no visit starts it before; null without a back-off"`
}

// Why is why an instance is awake or asleep. What it says of activity may be a
// minute old.
type Why struct {
	Status     string     `json:"status"`
	Awake      bool       `json:"awake" doc:"it runs, starts or goes to sleep"`
	Because    string     `json:"because" doc:"activity, presence, busy, never or protected of what runs; starting, suspending, failed, terminating; idle or asked of what sleeps"`
	Since      time.Time  `json:"since"`
	Begun      *Beginning `json:"begun" doc:"what woke it, or what led to its last run"`
	ExtendedAt *time.Time `json:"extended_at" doc:"when it was used last"`
	ExtendedBy *string    `json:"extended_by" doc:"request, stream, websocket or presence"`
	Busy       *Busy      `json:"busy" doc:"what it says of itself; null when it is not busy"`
	SleepsAt   *time.Time `json:"sleeps_at" doc:"unless something extends it; null: not by itself"`
	Sleep      *Sleep     `json:"sleep" doc:"why it sleeps, or slept last"`
	Reason     *Reason    `json:"reason" doc:"why its start failed"`
	RetryAt    *time.Time `json:"retry_at" doc:"no visit starts it before"`
}

// Beginning is what began a start.
type Beginning struct {
	At      time.Time  `json:"at"`
	Cause   string     `json:"cause" doc:"run, visit, resume, restart, crash or found ended"`
	User    *string    `json:"user" doc:"who visited or asked; null for somebody not signed in, and for the platform"`
	Kind    *string    `json:"kind" doc:"of a visit: page, request, websocket, stream or grpc"`
	Edge    *string    `json:"edge" doc:"that the visit came to"`
	ReadyAt *time.Time `json:"ready_at"`

	Warnings []string `json:"warnings" doc:"what the start goes without that its app asks for, a sentence each"`
}

// Sleep is why an instance sleeps.
type Sleep struct {
	At    time.Time `json:"at"`
	Cause string    `json:"cause" enum:"idle,asked"`
	By    *string   `json:"by" doc:"who asked"`
}

// Busy is what an instance says of itself.
type Busy struct {
	Until  *time.Time `json:"until" doc:"null when it is not busy"`
	Reason *string    `json:"reason"`
}

// BusyRequest is the body of PUT /instance/busy.
type BusyRequest struct {
	For    string  `json:"for" doc:"a duration such as 2h, of which 24h count; 0s takes it back" maxLength:"40"`
	Reason *string `json:"reason,omitempty" doc:"for people" maxLength:"1000"`
}

// ProgressRequest is the body of PUT /instance/progress.
type ProgressRequest struct {
	Percent *int    `json:"percent,omitempty" doc:"0 to 100"`
	Text    *string `json:"text,omitempty" doc:"for people, on the waiting page" maxLength:"1000"`
}

// Event is one thing that happened to an instance.
type Event struct {
	Time   time.Time `json:"time"`
	Type   string    `json:"type" doc:"wake, stage, warning, ready, failed, ended, suspend, withdrawn, suspended, busy, changed or refused"`
	Stage  *string   `json:"stage"`
	Reason *string   `json:"reason" doc:"the code of a typed reason"`
	Text   string    `json:"text" doc:"one sentence, for people"`
}

// Events are the last events of an instance, the newest last.
type Events struct {
	Items []Event `json:"items"`
}
