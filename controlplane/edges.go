package controlplane

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Edge is what a live edge says of itself, under edges/<name> with a lease.
type Edge struct {
	Name string `json:"name"`
	// Revision is the store's up to which the edge's table holds every route
	// change. It moves with route changes alone, so that an idle edge's may be
	// far behind the store's: see Service.AwaitEdges.
	Revision int64 `json:"revision"`
	// Version is that of the edge's program.
	Version string `json:"version"`
	// Connections is how many client connections are open, less those that
	// were upgraded; it is a few seconds old.
	Connections int64 `json:"connections"`
	// Since is when the edge's process was started.
	Since time.Time `json:"since"`
	// Draining is what the edge has of instances that its table of Revision says
	// are SUSPENDING: what is not here has nothing open, and no activity that was
	// not reported. ActiveMS and PresentMS are of what was not, or still lasts.
	Draining []Activity `json:"draining,omitempty"`
	// More is of how many further ones there is something, that had no room: then
	// an instance that is not in Draining is taken to have something open.
	More int `json:"draining_more,omitempty"`
}

// EdgeStore knows the live edges; etcdstore.Store does.
type EdgeStore interface {
	// WatchEdges blocks until ctx ends, and calls sink from one goroutine,
	// first with every live edge (Full) and then with every change.
	WatchEdges(ctx context.Context, sink func(EdgeBatch))
	// MarkRoutes makes sure that there is a change among the routes at this
	// revision or after it, so that each edge's revision reaches it.
	MarkRoutes(ctx context.Context, revision int64) error
}

// EdgeBatch is what changed of the edges.
type EdgeBatch struct {
	Full     bool  // Put is all there is
	Revision int64 // at which this is so
	Put      []Edge
	Gone     []string // names
}

// EdgeState is a live edge as somebody who waits sees it.
type EdgeState struct {
	Edge
	Applied bool          // it has the revision that was asked for
	Lag     time.Duration // for how long there has been a route change that it has not; 0: it has them all
}

// EdgeList is the live edges by name.
type EdgeList struct {
	Items    []EdgeState
	Revision int64 // of the store, at which they were read
	All      bool  // every one has the revision that was asked for
}

// maxEdgeWait bounds one call of AwaitEdges; who waits longer calls again.
const maxEdgeWait = 30 * time.Second

// markAfter is how long edges get to reach a revision by themselves. Those
// that saw no route change at it or after it never would.
const markAfter = 50 * time.Millisecond

// AwaitEdges lists the live edges and which of them have applied a revision.
// It answers when all have, or after wait, at most 30 s.
//
// An edge's revision is that of the last route change which it applied. A
// change that touches no route has a revision that no edge would ever report;
// so, where some edge has not come to it within 50 ms, a mark is written among
// the routes. Every edge reports that as it reports any change, and an edge
// that has the mark has all that was before it.
func (s *Service) AwaitEdges(ctx context.Context, actor Actor, revision int64, wait time.Duration) (EdgeList, error) {
	if err := s.Allow(actor, SeeEdges); err != nil {
		return EdgeList{}, err
	}
	wait = max(0, min(wait, maxEdgeWait))
	var (
		live    = map[string]Edge{}
		out     EdgeList
		seen    bool
		marking sync.WaitGroup
		failure error
	)
	watch, done := context.WithCancel(ctx)
	end := time.AfterFunc(wait+edgeReadLimit, done)
	defer end.Stop()
	s.Edges.WatchEdges(watch, func(b EdgeBatch) {
		if watch.Err() != nil {
			return
		}
		if b.Full {
			clear(live)
		}
		for _, name := range b.Gone {
			delete(live, name)
		}
		for _, e := range b.Put {
			live[e.Name] = e
		}
		out = s.edgeList(live, b.Revision, revision)
		if out.All || wait == 0 && revision <= b.Revision {
			done()
			return
		}
		if !seen {
			seen = true
			if revision > b.Revision {
				failure = Errorf(CodeInvalid, "the store has not come to revision %d", revision).
					WithHint("give the Slipway-Revision of a change")
				done()
				return
			}
			end.Reset(wait) // it begins when there is something to wait for
			marking.Go(func() { failure = s.markLater(watch, revision) })
		}
	})
	done()
	marking.Wait()
	switch {
	case out.All:
		return out, nil
	case out.Items == nil:
		failure = Errorf(CodeUnavailable, "the store does not answer").WithHint("try again")
	}
	return out, failure
}

// edgeReadLimit is how long the store may take to list the edges.
const edgeReadLimit = 10 * time.Second

// markLater writes the mark when the edges have had their time.
func (s *Service) markLater(ctx context.Context, revision int64) error {
	select {
	case <-time.After(markAfter):
	case <-ctx.Done():
		return nil
	}
	err := s.Edges.MarkRoutes(ctx, revision)
	if ctx.Err() != nil {
		return nil // all have it meanwhile, or nobody waits any more
	}
	return err
}

func (s *Service) edgeList(live map[string]Edge, at, revision int64) EdgeList {
	out := EdgeList{Items: make([]EdgeState, 0, len(live)), Revision: at, All: true}
	for _, e := range slices.SortedFunc(maps.Values(live), func(a, b Edge) int { return cmp.Compare(a.Name, b.Name) }) {
		state := EdgeState{Edge: e, Applied: e.Revision >= revision}
		if since, behind := s.Changes.After(e.Revision); behind {
			state.Lag = max(0, s.Now().Sub(since))
		}
		out.Items = append(out.Items, state)
		out.All = out.All && state.Applied
	}
	return out
}

// Changes remembers when an edge of this process learnt of the last route
// changes, by which the lag of others is told. The zero value is ready, and
// nil knows none.
type Changes struct {
	mu   sync.Mutex
	kept []changeAt // by revision
}

type changeAt struct {
	revision int64
	at       time.Time
}

// maxChanges bounds what is remembered: an edge further behind lags for at
// least as long as the oldest of them.
const maxChanges = 1024

// changesApart is the resolution of lags.
const changesApart = time.Millisecond

// Note remembers that a route change of this revision came at this time.
func (c *Changes) Note(revision int64, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.kept); n > 0 && (revision <= c.kept[n-1].revision || at.Sub(c.kept[n-1].at) < changesApart) {
		// A restored backup counts from below again.
		if revision < c.kept[n-1].revision {
			c.kept = c.kept[:0]
		} else {
			c.kept[n-1].revision = revision
			return
		}
	}
	if len(c.kept) == maxChanges {
		c.kept = append(c.kept[:0], c.kept[maxChanges/2:]...)
	}
	c.kept = append(c.kept, changeAt{revision, at})
}

// After is when the first remembered change after this revision came; false if
// there is none.
func (c *Changes) After(revision int64) (time.Time, bool) {
	if c == nil {
		return time.Time{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i, _ := slices.BinarySearchFunc(c.kept, revision+1, func(k changeAt, r int64) int { return cmp.Compare(k.revision, r) })
	if i == len(c.kept) {
		return time.Time{}, false
	}
	return c.kept[i].at, true
}
