package controlplane

import (
	"context"
	"time"
)

// Store keeps the records of the control plane. Every change is one
// transaction that holds only if nothing that it read has changed; edges see
// it through the route projection that is part of the same transaction.
//
// All methods return an *Error: CodeNotFound where there is no such record,
// CodeUnavailable where the store does not answer.
type Store interface {
	// Update runs f in a transaction and returns the revision of the commit.
	// When something that f read has changed meanwhile, f runs again from the
	// beginning: it must have no effect but through tx. An error of f ends it
	// and nothing is written. Without writes the revision is that of the reads.
	Update(ctx context.Context, f func(tx Tx) error) (revision int64, err error)

	App(ctx context.Context, id string) (*App, error)
	Instance(ctx context.Context, id string) (*Instance, error)
	Alias(ctx context.Context, nameOrID string) (*Alias, error)

	// The lists are in the order of their keys: ID, or name for aliases.
	Apps(ctx context.Context, p Page) (List[*App], error)
	Instances(ctx context.Context, p Page) (List[*Instance], error)
	Aliases(ctx context.Context, p Page) (List[*Alias], error)

	// Owned is what belongs to a user, at a revision; 0 is now. Nobody changes the
	// answer.
	Owned(ctx context.Context, owner string, revision int64) (Owned, error)
	// StaleApps are the IDs of the apps that have a tag of which there is no
	// record, or of which edges are told something else than follows from the
	// records: a change of tags was killed half-way.
	StaleApps(ctx context.Context) (ids []string, err error)

	Tags(ctx context.Context, p Page) (List[*Tag], error)
	// Secrets lists those whose keys (SecretID.Key) begin with the scope; Page.After
	// is a key.
	Secrets(ctx context.Context, scope string, p Page) (List[*Secret], error)
	Users(ctx context.Context, p Page) (List[*User], error)
	Sessions(ctx context.Context, p Page) (List[*Session], error)
	// Audit lists what was changed; in the order of time.
	Audit(ctx context.Context, p Page) (List[*AuditRecord], error)
	// WatchAudit blocks until ctx ends, and calls sink from one goroutine with
	// the records that come after this revision. The error is CodeStale when the
	// store does not remember so far back.
	WatchAudit(ctx context.Context, after int64, sink func([]*AuditRecord)) error

	// TakeOnce returns what PutOnce kept, and forgets it: of any number of
	// callers one gets it. The error is CodeNotFound.
	TakeOnce(ctx context.Context, kind OnceKind, key string, into any) error
}

// Owned is what belongs to a user, by ID.
type Owned struct {
	Apps, Instances map[string]bool
	Revision        int64 // at which it was read
}

// OnceKind is what something is that is kept for one use.
type OnceKind string

// The kinds.
const (
	OnceTicket OnceKind = "ticket" // for an instance's host
	OnceLink   OnceKind = "link"   // to sign in without a provider
	OnceDevice OnceKind = "device" // a command line that waits for its approval
)

// Page selects a part of a list. The zero value is the first page.
type Page struct {
	Limit    int    // 0 is 100, at most 1000
	After    string // the key after which to go on: NextAfter of the page before
	Revision int64  // 0 is now; a list is read at one revision
	Prefix   string // only keys that begin with it
}

// List is one page of a list.
type List[T any] struct {
	Items     []T
	NextAfter string // empty at the end
	Revision  int64  // at which the whole list is read
}

// Tx reads and writes within one transaction. A record that was read and has
// not been written is compared as well: what f decided upon still holds when
// it commits. Reads after a write of the same record return what was written.
type Tx interface {
	App(id string) (*App, error)
	Instance(id string) (*Instance, error)
	Alias(nameOrID string) (*Alias, error)
	// ReadAhead asks at once for what a step of these instances reads: their
	// records, events and progress, and the starts of their apps. What the
	// transaction then reads of it costs no call of the store; what it does not
	// read is not compared.
	ReadAhead(of ...*Instance) error

	// AppByName is the ID of the app of this name and version, without regard
	// to case; empty where there is none.
	AppByName(name, version string) (id string, err error)
	// NameOwner is who imported this app name first; empty where nobody did.
	NameOwner(name string) (owner string, err error)
	// InstancesOf lists the IDs of the instances of an app. The transaction
	// fails when one is added before it commits.
	InstancesOf(appID string) (ids []string, err error)

	// User finds a user by name, without regard to case.
	User(name string) (*User, error)
	// UserOf is the name of the user of this subject; empty where there is none.
	UserOf(issuer, subject string) (name string, err error)
	Session(id string) (*Session, error)
	// Token finds the token of which this is the SHA-256, hexadecimal.
	Token(hash string) (*Token, error)
	// SessionsOf are the IDs of a user's sessions, the oldest first.
	SessionsOf(user string) (ids []string, err error)
	// TokensOf are a user's tokens, by ID.
	TokensOf(user string) ([]*Token, error)
	Tag(name string) (*Tag, error)
	Secret(id SecretID) (*Secret, error)
	// SealedSecret is what the SealedSecret of this ID holds.
	SealedSecret(id SecretID) ([]byte, error)
	// SecretsOwned counts the PRIVATE secrets of an owner; see InstancesOwned.
	SecretsOwned(owner string) (int, error)
	// Starts are when the last starts by a user or source were, the oldest first.
	Starts(kind StartKind, of string) ([]time.Time, error)
	// AppStarts are how long the last starts of an app took, the oldest first. They
	// are for estimates, and not compared: a race may lose one.
	AppStarts(appID string) ([]time.Duration, error)
	// Progress is what edges show of an instance's start; nil: nothing.
	Progress(instanceID string) (*Progress, error)
	// InstancesOwned counts the instances of an owner, AppsOwned the versions
	// of apps. The transaction fails when one is added before it commits.
	InstancesOwned(owner string) (int, error)
	AppsOwned(owner string) (int, error)

	// Put writes an *App, *Instance, *Alias, *User, *Session, *Token, *Tag, *Secret
	// or *SealedSecret with all that follows from it: indexes and the edges' projection. A
	// session goes away by itself at its end, which never changes.
	Put(record any) error
	// Delete removes one, likewise. Deleting an instance deletes its route
	// and its wake intent, progress and events; aliases that name it stay,
	// inactive.
	Delete(record any) error
	// PutPolicy writes what edges are told of an app, and the app not.
	PutPolicy(a *App) error
	// SetStarts replaces what Starts returns; it is kept for an hour.
	SetStarts(kind StartKind, of string, starts []time.Time)
	// LimitStarts tells edges that visits by this user or source start nothing
	// for that long.
	LimitStarts(kind StartKind, of string, ttl time.Duration)
	// SetAppStarts replaces what AppStarts returns.
	SetAppStarts(appID string, took []time.Duration)
	// PutProgress replaces what edges show of an instance's start; nil: nothing.
	PutProgress(instanceID string, p *Progress)
	// AddEvent adds to an instance's events, and drops the oldest.
	AddEvent(instanceID string, e Event)
	// PutOnce keeps something for one use, for as long as ttl. What Once found
	// keeps its end.
	PutOnce(kind OnceKind, key string, value any, ttl time.Duration)
	// Once reads it without using it up. The error is CodeNotFound.
	Once(kind OnceKind, key string, into any) error
	// RevokeUser ends at every edge what was issued to a user before this epoch,
	// RevokeCredential what was issued for a session or a token.
	RevokeUser(user string, epoch int64)
	RevokeCredential(id string)
	// Audit adds the record of a change in this transaction. Without another write
	// there is none.
	Audit(r *AuditRecord)
	// AuditRead adds the record of a read, whatever else the transaction writes.
	AuditRead(r *AuditRecord)
	// Places are where the workloads of launchers are, by the launcher's name.
	Places() (map[string]Place, error)
	PutPlace(launcher string, p Place)
	// EdgeSettings is what all edges obey alike; nil where nothing was published.
	EdgeSettings() (*EdgeSettings, error)
	PutEdgeSettings(settings EdgeSettings)
	// ClearWake takes back the intent to wake this instance that was read at
	// this revision. A newer one stays.
	ClearWake(instanceID string, revision int64)
	// Size is how many bytes this transaction writes so far.
	Size() int
}

// Watcher tells what changes in the store. Each method blocks until ctx ends,
// calls its sink from one goroutine, first with everything there is (Full) and
// then with every change.
type Watcher interface {
	WatchInstances(ctx context.Context, sink func(InstanceBatch))
	WatchWakes(ctx context.Context, sink func(WakeBatch))
}

// InstanceBatch is what changed of the instances.
type InstanceBatch struct {
	Full bool // Put is all there is
	Put  []*Instance
	Gone []string // IDs
	// Unread is the IDs of records that this program cannot read. They are
	// there: what they say is unknown, so that nothing is to be done about them.
	Unread []string
}

// WakeBatch is what changed of the intents to wake instances.
type WakeBatch struct {
	Full bool // Put is all there is
	Put  []*WakeIntent
	Gone []string // IDs of instances
}
