// Package hold lets requests wait for an instance that does not run yet.
//
// A request that finds an instance asleep registers the intent to wake it and
// waits for the instance's route to change. However many requests wait for one
// instance, the intent is registered once; they are released together, by the
// watch that brings the new route, never by polling. The visitor who caused a
// start may leave: the start goes on.
package hold

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// The ways in which waiting ends without a running instance.
var (
	ErrTimeout  = errors.New("the instance did not start in time")
	ErrFailed   = errors.New("the instance failed to start")
	ErrGone     = errors.New("the instance was terminated")
	ErrNoWaking = errors.New("the intent to wake the instance could not be registered")
)

// refusalDelay is how long a FAILED instance may take to be started again for
// a visitor: longer, and its back-off is not over.
const refusalDelay = 500 * time.Millisecond

// intentFresh is for how long a registered intent is taken to be there still:
// it is refused while a back-off lasts, and expires if nobody takes it up. An
// instance that always has visitors must be woken all the same.
const intentFresh = 5 * time.Second

// Room holds the requests that wait, for all instances.
type Room struct {
	// lookUp finds an instance in the current route table.
	lookUp func(routing.ID) *routing.Instance
	// wake registers the intent to wake an instance.
	wake func(context.Context, routing.ID) error

	mu     sync.Mutex
	groups map[routing.ID]*group
}

// group is the requests that wait for one instance.
type group struct {
	waiters int
	changed chan struct{} // closed at the next change
	last    *attempt      // to register the intent; nil: none yet
}

// attempt is one registration of the intent, for all who waited for it then.
// Its outcome is nobody else's: who comes after a failed one makes another.
type attempt struct {
	generation int64 // of the instance when it began
	began      time.Time
	done       bool
	err        error
}

// New makes an empty room.
func New(lookUp func(routing.ID) *routing.Instance, wake func(context.Context, routing.ID) error) *Room {
	return &Room{lookUp: lookUp, wake: wake, groups: map[routing.ID]*group{}}
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

// Changed releases the requests that wait for these instances, to look again.
// It is called after the new route table is visible.
func (r *Room) Changed(ids []routing.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.groups) == 0 {
		return
	}
	for _, id := range ids {
		if g := r.groups[id]; g != nil {
			g.release()
		}
	}
}

func (g *group) release() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// Wait returns the instance when it runs, or why it does not, at the latest
// after limit. A ctx that ends, since the visitor left, ends the wait.
func (r *Room) Wait(ctx context.Context, id routing.ID, limit time.Duration) (*routing.Instance, error) {
	g := r.join(id)
	defer r.leave(id, g)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	var (
		refused <-chan time.Time
		mine    *attempt
		started bool
	)
	for {
		changed := r.next(g)
		in := r.lookUp(id)
		switch {
		case in == nil:
			return nil, ErrGone
		case Running(in):
			return in, nil
		case in.Status == routing.Failed && started:
			return nil, ErrFailed
		case Starting(in):
			started, refused, mine = true, nil, nil
		default:
			var err error
			if mine, err = r.ask(ctx, g, in, mine); err != nil {
				return nil, errors.Join(ErrNoWaking, err)
			}
			if in.Status == routing.Failed && refused == nil {
				refused = time.After(refusalDelay)
			}
		}
		select {
		case <-changed:
		case <-refused:
			return nil, ErrFailed
		case <-deadline.C:
			return nil, ErrTimeout
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Waiters returns how many requests wait.
func (r *Room) Waiters() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.groups {
		n += g.waiters
	}
	return n
}

func (r *Room) join(id routing.ID) *group {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[id]
	if g == nil {
		g = &group{changed: make(chan struct{})}
		r.groups[id] = g
	}
	g.waiters++
	return g
}

func (r *Room) leave(id routing.ID, g *group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.waiters--; g.waiters == 0 {
		delete(r.groups, id)
	}
}

// next is closed at the next change. It is taken before the table is looked
// at, so that no change is missed in between.
func (r *Room) next(g *group) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return g.changed
}

// ask has the intent registered, once for all who wait, and returns the
// attempt that the caller waits for. If that was mine, its outcome counts.
func (r *Room) ask(ctx context.Context, g *group, in *routing.Instance, mine *attempt) (*attempt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if mine != nil && mine.err != nil {
		return mine, mine.err
	}
	if g.last.covers(in.Generation) {
		return g.last, nil
	}
	a := &attempt{generation: in.Generation, began: time.Now()}
	g.last = a
	id := in.ID
	ctx = context.WithoutCancel(ctx)
	go func() { // ends by the store's own time-out
		err := r.wake(ctx, id)
		r.mu.Lock()
		defer r.mu.Unlock()
		a.done, a.err = true, err
		g.release()
	}()
	return a, nil
}

// covers reports whether the attempt makes another one needless.
func (a *attempt) covers(generation int64) bool {
	switch {
	case a == nil:
		return false
	case !a.done:
		return true
	}
	return a.err == nil && a.generation == generation && time.Since(a.began) < intentFresh
}
