package upstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// Limits of idle connections.
const (
	idlePerInstance = 128
	idleInAll       = 8192
	idleTimeout     = 90 * time.Second
	sweepInterval   = 15 * time.Second
)

// pools holds the idle connections of all instances.
type pools struct {
	mu   sync.RWMutex
	byID map[routing.ID]*pool
	idle atomic.Int64 // connections, in all
}

// pool holds the idle connections to one generation of an instance, the one
// that was used last on top.
type pool struct {
	all        *pools
	generation int64
	endpoint   routing.Endpoint
	identity   string // of who answers there

	mu      sync.Mutex
	retired bool // its connections are closed as they come back
	idle    []*conn
	used    time.Time // when the last one came back, or the pool was made
}

// of returns the instance's pool. One of another generation or endpoint is
// retired; a request that was decided by an older table than the pool's gets a
// pool that keeps nothing.
func (ps *pools) of(in *routing.Instance) *pool {
	ps.mu.RLock()
	p := ps.byID[in.ID]
	ps.mu.RUnlock()
	if p.serves(in) {
		return p
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p = ps.byID[in.ID]
	switch {
	case p.serves(in):
		return p
	case p != nil && p.generation > in.Generation:
		return &pool{all: ps, retired: true}
	case p != nil:
		p.retire()
	}
	p = &pool{all: ps, generation: in.Generation, endpoint: in.Endpoint, identity: in.Identity, used: time.Now()}
	ps.byID[in.ID] = p
	return p
}

func (p *pool) serves(in *routing.Instance) bool {
	return p != nil && p.generation == in.Generation && p.endpoint == in.Endpoint && p.identity == in.Identity
}

// take returns an idle connection, or nil. The app has not closed it, nor sent
// anything on it that would pass for the next answer, as far as one can know.
// A fresh one was used a moment ago.
func (p *pool) take(fresh bool) *conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1], p.idle = nil, p.idle[:n-1]
		p.mu.Unlock()
		p.all.idle.Add(-1)
		if (!fresh || time.Since(c.idleSince) < time.Second) && c.quiet() {
			c.wake()
			return c
		}
		c.Close()
	}
}

// put keeps a connection for the next request, or closes it.
func (p *pool) put(c *conn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	p.used = c.idleSince
	keep := !p.retired && len(p.idle) < idlePerInstance && p.all.idle.Load() < idleInAll
	if keep {
		c.rest()
		p.idle = append(p.idle, c)
		p.all.idle.Add(1)
	}
	p.mu.Unlock()
	if !keep {
		c.discard()
	}
}

func (p *pool) retire() {
	p.mu.Lock()
	idle := p.idle
	p.retired, p.idle = true, nil
	p.mu.Unlock()
	p.all.closeAll(idle)
}

// expire closes what was idle for too long, and reports whether nobody uses
// the pool any more.
func (p *pool) expire(before time.Time) (unused bool) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleSince.Before(before) {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	unused = len(p.idle) == 0 && p.used.Before(before)
	p.mu.Unlock()
	p.all.closeAll(old)
	return unused
}

func (ps *pools) closeAll(idle []*conn) {
	ps.idle.Add(-int64(len(idle)))
	for _, c := range idle {
		c.Close()
	}
}

// changed retires the pools that are not the instances' any more.
func (ps *pools) changed(ids []routing.ID, now func(routing.ID) *routing.Instance) {
	for _, id := range ids {
		ps.mu.RLock()
		p := ps.byID[id]
		ps.mu.RUnlock()
		if p == nil {
			continue
		}
		in := now(id)
		if in != nil && (in.Endpoint.IsZero() && in.Generation == p.generation || p.serves(in)) {
			continue
		}
		ps.drop(id, p)
		p.retire()
	}
}

func (ps *pools) drop(id routing.ID, p *pool) {
	ps.mu.Lock()
	if ps.byID[id] == p {
		delete(ps.byID, id)
	}
	ps.mu.Unlock()
}

// keepHouse closes idle connections in time, until ctx ends.
func (ps *pools) keepHouse(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			ps.mu.RLock()
			all := make(map[routing.ID]*pool, len(ps.byID))
			for id, p := range ps.byID {
				all[id] = p
			}
			ps.mu.RUnlock()
			for id, p := range all {
				if p.expire(now.Add(-idleTimeout)) {
					ps.drop(id, p)
					p.retire()
				}
			}
		}
	}
}

func (ps *pools) close() {
	ps.mu.Lock()
	all := ps.byID
	ps.byID = map[routing.ID]*pool{}
	ps.mu.Unlock()
	for _, p := range all {
		p.retire()
	}
}
