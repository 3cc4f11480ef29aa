package session

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// Stay is a request, or a WebSocket, that is under way at an instance.
type Stay struct {
	Instance routing.ID
	Owner    string // the instance's
	Alias    string // by which it came; "" is none
	Known    *Known // who sent it; nil: nobody signed in, or nobody looked
	Unread   Unread // where nobody looked
	Began    time.Time
	// Cut ends it. It is called once, and must not wait.
	Cut func()

	shard      *stays
	next, prev *Stay
}

// Stays are all that are under way. The zero value is ready.
type Stays struct {
	shards [16]stays
	turn   atomic.Uint32
}

type stays struct {
	mu    sync.Mutex
	first *Stay
	_     [40]byte // a cache line for itself
}

// Begin adds one, until End.
func (all *Stays) Begin(s *Stay) {
	shard := &all.shards[all.turn.Add(1)%uint32(len(all.shards))]
	s.shard = shard
	shard.mu.Lock()
	if s.next = shard.first; s.next != nil {
		s.next.prev = s
	}
	shard.first = s
	shard.mu.Unlock()
}

// End takes one out. It may be called again.
func (s *Stay) End() {
	shard := s.shard
	if shard == nil {
		return
	}
	s.shard = nil
	shard.mu.Lock()
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		shard.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.next, s.prev = nil, nil
	shard.mu.Unlock()
}

// How often stays are asked again whether they may go on: at once after a
// change of the table, but not more often than this, and seldom without one.
const (
	sweepEvery = 500 * time.Millisecond
	sweepIdle  = 3 * time.Second // an admission by the table before this one is looked at too
	sweepShare = 20              // times as long as the last one took, nothing is asked
	sweepMost  = 2 * time.Second
)

// Watch ends what may not go on, until ctx ends. fresh is when the table was known
// last to be what the store holds; zero: never.
func (c *Checker) Watch(ctx context.Context, all *Stays, table func() *routing.Table, fresh func() time.Time) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var (
		news = news{last: time.Now()}
		seen *routing.Table
		next time.Time
		idle time.Time
	)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t, now := table(), time.Now()
		news.hear(fresh())
		if t == nil || now.Before(next) || t == seen && now.Before(idle) {
			continue
		}
		all.sweep(func(s *Stay) bool { return c.mayStay(t, s, news) })
		took := time.Since(now)
		seen, next, idle = t, now.Add(min(sweepShare*took, sweepMost)), now.Add(sweepIdle)
	}
}

// sweep cuts those that may not stay.
func (all *Stays) sweep(may func(*Stay) bool) {
	for i := range all.shards {
		shard := &all.shards[i]
		var ended []func()
		shard.mu.Lock()
		for s := shard.first; s != nil; s = s.next {
			if s.Cut != nil && !may(s) {
				ended = append(ended, s.Cut)
				s.Cut = nil
			}
		}
		shard.mu.Unlock()
		for _, cut := range ended {
			cut()
		}
	}
}

// news is how fresh the table is. A right that ended is known by a record that is
// kept for an hour. So what was not heard of for as long as a pass lives may have
// ended, and is as good as a pass that was not renewed: until then.
type news struct {
	last  time.Time // that was heard of the store, or the beginning
	since time.Time // from when on there was no silence of more than a pass's life
}

func (n *news) hear(at time.Time) {
	if !at.After(n.last) {
		return
	}
	// Without the monotonic clock, which stands still while a machine sleeps.
	if at.Round(0).Sub(n.last.Round(0)) > identity.PassLife {
		n.since = at
	}
	n.last = at
}

// cover reports whether all is known that may have ended the right of what began
// at a time.
func (n *news) cover(began, now time.Time) bool {
	return now.Round(0).Sub(n.last.Round(0)) <= identity.PassLife && !began.Before(n.since)
}

// mayStay reports whether what is under way may go on. An instance that is gone
// ends by itself.
func (c *Checker) mayStay(t *routing.Table, s *Stay, n news) bool {
	in := t.Instance(s.Instance)
	if in == nil {
		return true
	}
	now := c.now()
	if !c.IsOpen(t, in) {
		if !n.cover(s.Began, now) {
			return false
		}
		if s.Known == nil {
			s.Known = c.Read(t, in, &s.Unread, s.Began)
		}
	}
	if s.Known != nil && !s.Known.Lasts(t, now) {
		return false
	}
	if s.Alias != "" {
		// An alias that leads to somebody else's instance now was what let it in.
		if a := t.Alias(s.Alias); a != nil && a.Assigned && a.Instance != s.Instance {
			if other := t.Instance(a.Instance); other != nil && other.Owner != s.Owner {
				return false
			}
		}
	}
	return c.MayOpen(t, in, s.Known) == controlplane.Allowed
}

// Len counts what is under way.
func (all *Stays) Len() (n int) {
	for i := range all.shards {
		shard := &all.shards[i]
		shard.mu.Lock()
		for s := shard.first; s != nil; s = s.next {
			n++
		}
		shard.mu.Unlock()
	}
	return n
}
