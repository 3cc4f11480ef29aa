package routes

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// The removals above which a list is not believed at once: more than both.
const (
	massRoutes  = 20
	massPercent = 30
)

// isMass reports whether a table cannot lose n routes without a second word.
func isMass(n int, table *routing.Table) bool {
	instances, aliases := table.Len()
	return n > massRoutes && n*100 > (instances+aliases)*massPercent
}

// held are removals that wait. The zero value holds none.
type held struct {
	instances map[routing.ID]struct{}
	aliases   map[string]struct{}
	until     time.Time
	done      bool // they were removed while a list was on its way
}

func (h *held) len() int { return len(h.instances) + len(h.aliases) }

// waiting is how many still wait.
func (h *held) waiting() int {
	if h.done {
		return 0
	}
	return h.len()
}

// keys are those of the store's records that still wait, at most limit.
func (h *held) keys(limit int) (some []string) {
	if h.done {
		return nil
	}
	for id := range h.instances {
		if len(some) == limit {
			return some
		}
		some = append(some, etcdstore.InstanceRouteKey(id))
	}
	for name := range h.aliases {
		if len(some) == limit {
			return some
		}
		some = append(some, etcdstore.AliasRouteKey(name))
	}
	return some
}

func (h *held) clear() { *h = held{} }

func (h *held) add(c routing.Change) {
	if h.instances == nil {
		h.instances, h.aliases = map[routing.ID]struct{}{}, map[string]struct{}{}
	}
	if id, ok := c.Instance(); ok {
		h.instances[id] = struct{}{}
	} else if name, ok := c.Alias(); ok {
		h.aliases[name] = struct{}{}
	}
}

// drop forgets a removal: there is a later word on its record.
func (h *held) drop(c routing.Change) {
	if id, ok := c.Instance(); ok {
		delete(h.instances, id)
	} else if name, ok := c.Alias(); ok {
		delete(h.aliases, name)
	}
}

// confirmed are those of the removals that wait already.
func (h *held) confirmed(removals []routing.Change) (again []routing.Change) {
	if h.len() == 0 {
		return nil
	}
	for _, c := range removals {
		found := false
		if id, ok := c.Instance(); ok {
			_, found = h.instances[id]
		} else if name, ok := c.Alias(); ok {
			_, found = h.aliases[name]
		}
		if found {
			again = append(again, c)
		}
	}
	return again
}

// hold says so and starts the time, where something is held. The caller holds mu.
func (l *Live) hold(why string) {
	n := l.held.len()
	if n == 0 {
		return
	}
	if l.held.until.IsZero() {
		l.held.until = time.Now().Add(l.config.HoldRemovals)
	}
	instances, aliases := l.table.Load().Len()
	l.log.Error("removals of routes are held: "+why, zap.Int("held", n), zap.Int("instances", instances),
		zap.Int("aliases", aliases), zap.Duration("at_most", time.Until(l.held.until)))
	signal(l.holds)
}

// Acknowledge lets all held removals happen now, and returns how many.
func (l *Live) Acknowledge() int { return l.removeHeld(time.Time{}) }

// release lets held removals happen when their time is over, until ctx ends.
func (l *Live) release(ctx context.Context) {
	var over <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.holds:
		case now := <-over:
			l.removeHeld(now)
		}
		l.mu.Lock()
		if over = nil; l.held.waiting() > 0 {
			over = time.After(time.Until(l.held.until))
		}
		l.mu.Unlock()
	}
}

// removeHeld removes what is held until now; all with a zero now. A list that
// is on its way must know of it.
func (l *Live) removeHeld(now time.Time) int {
	l.mu.Lock()
	if l.held.done || !now.IsZero() && now.Before(l.held.until) {
		l.mu.Unlock()
		return 0
	}
	var removals []routing.Change
	var ids []routing.ID
	for id := range l.held.instances {
		removals, ids = append(removals, routing.DeleteInstance(id)), append(ids, id)
	}
	for name := range l.held.aliases {
		removals = append(removals, routing.DeleteAlias(name))
	}
	if l.held.done = l.loop != nil && l.loop.list != nil; !l.held.done {
		l.held.clear()
	}
	if len(removals) > 0 {
		table := l.table.Load()
		l.publish(table.Apply(table.Revision(), removals), FromStore)
		l.log.Warn("held removals of routes are done", zap.Int("removed", len(removals)))
	}
	l.mu.Unlock()
	l.changed(Changes{Revision: l.Table().Revision(), Instances: ids})
	return len(removals)
}
