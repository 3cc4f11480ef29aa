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

	// Token finds the token of which this is the SHA-256, hexadecimal.
	Token(ctx context.Context, hash string) (*Token, error)
}

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

	// AppByName is the ID of the app of this name and version, without regard
	// to case; empty where there is none.
	AppByName(name, version string) (id string, err error)
	// NameOwner is who imported this app name first; empty where nobody did.
	NameOwner(name string) (owner string, err error)
	// InstancesOf lists the IDs of the instances of an app. The transaction
	// fails when one is added before it commits.
	InstancesOf(appID string) (ids []string, err error)

	// Put writes an *App, *Instance, *Alias or *Token with all that follows
	// from it: indexes and the edges' projection.
	Put(record any) error
	// Delete removes one, likewise. Deleting an instance deletes its route
	// and its wake intent; aliases that name it stay, inactive.
	Delete(record any) error
	// ClearWake takes back the intent to wake this instance, if there is one.
	ClearWake(instanceID string)
}

// Token is a personal token; only its hash is stored.
type Token struct {
	Hash      string    `json:"hash"` // SHA-256 of the whole token, hexadecimal
	User      string    `json:"user"`
	Admin     bool      `json:"admin,omitempty"`
	CreatedAt time.Time `json:"created_at"`
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
	Put  []string
	Gone []string
}
