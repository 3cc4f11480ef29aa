package lifecycle

import (
	"math"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// edge is what a live edge acknowledges.
type edge struct {
	revision int64
	open     map[string]int // requests and connections under way, by instance
	more     bool           // of others, too, of which it had no room to tell
}

// edges takes in what edges have applied, and what they have of instances that
// go to sleep.
func (m *Manager) edges(b controlplane.EdgeBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now()
	if b.Full {
		clear(m.live)
	}
	for _, name := range b.Gone {
		delete(m.live, name)
	}
	for _, e := range b.Put {
		seen := edge{revision: e.Revision, open: make(map[string]int, len(e.Draining)), more: e.More > 0}
		for _, a := range e.Draining {
			seen.open[a.InstanceID] = max(0, a.Open)
			m.used(a, now)
		}
		m.live[e.Name] = seen
	}
	for id := range m.suspending {
		m.kick(id)
	}
	m.listed(edgesList, b.Full)
}

// activity takes in what edges report.
func (m *Manager) activity(b controlplane.ActivityBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now()
	for _, a := range b.Items {
		t := m.used(a, now)
		if t == nil {
			continue
		}
		// What rests looks again in time by itself, unless it had no news before.
		if m.suspending[a.InstanceID] != nil || !t.folds && t.hasNews() {
			m.kick(a.InstanceID)
		}
	}
}

// maxCause bounds what an edge says of the cause of an activity, in bytes.
const maxCause = 32

// used remembers activity. The mutex is held.
func (m *Manager) used(a controlplane.Activity, now time.Time) *task {
	t := m.tasks[a.InstanceID]
	if t == nil {
		return nil
	}
	now = now.UTC().Round(0)
	if at := before(now, a.ActiveMS); a.ActiveMS >= 0 && at.After(t.use.active) {
		t.use.active, t.use.cause = at, a.Cause
		if len(a.Cause) > maxCause {
			t.use.cause = "" // of no edge of ours: records hold it
		}
	}
	if at := before(now, a.PresentMS); a.PresentMS >= 0 && at.After(t.use.present) {
		t.use.present = at
	}
	return t
}

// before is the time so many milliseconds ago; a duration has no more than some
// 290 years, and what is longer ago is as old.
func before(now time.Time, ms int64) time.Time {
	return now.Add(-time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond)
}

// drained is whether every live edge knows that an instance goes to sleep, and
// how much they have of it under way: something, where an edge has more to tell
// than it has room for. The mutex is held.
func (m *Manager) drained(id string, revision int64) (acked bool, open int) {
	acked = true
	for _, e := range m.live {
		acked = acked && e.revision >= revision
		n, told := e.open[id]
		if !told && e.more {
			n = 1
		}
		open += n
	}
	return acked, open
}

// took assumes of an instance that runs what the last leader may have heard and
// not written: use up to now, or until its record would have had it. The mutex
// is held.
func (m *Manager) took(t *task, now time.Time) {
	if t.record == nil {
		return
	}
	now = now.UTC().Round(0)
	unknown := func(written time.Time) time.Time {
		if until := written.Add(foldEvery); !written.IsZero() && until.Before(now) {
			return until
		}
		return now
	}
	t.last.active = unknown(t.record.LastActive)
	if !t.record.LastPresent.IsZero() {
		t.last.present = unknown(t.record.LastPresent)
	}
}
