package lifecycle

import (
	"context"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// instances takes in records.
func (m *Manager) instances(b controlplane.InstanceBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gone := b.Gone
	if b.Full {
		gone = m.absent(b)
	}
	for _, in := range b.Put {
		t := m.task(in.ID)
		t.unread = false
		// A restored store is older than what is known, and right.
		m.learn(t, in, learning{evenOlder: b.Full, told: !b.Full})
		m.kick(in.ID)
	}
	for _, id := range b.Unread {
		m.task(id).unread = true
	}
	for _, id := range gone {
		t := m.task(id)
		t.record, t.unread = nil, false
		delete(m.suspending, id)
		m.kick(id)
	}
	m.listed(instancesList, b.Full)
}

// absent lists the tasks that have a record and are not in a full list.
func (m *Manager) absent(b controlplane.InstanceBatch) (gone []string) {
	present := make(map[string]bool, len(b.Put)+len(b.Unread))
	for _, in := range b.Put {
		present[in.ID] = true
	}
	for _, id := range b.Unread {
		present[id] = true
	}
	for id, t := range m.tasks {
		if (t.record != nil || t.unread) && !present[id] {
			gone = append(gone, id)
		}
	}
	return gone
}

// learning is how a record came.
type learning struct {
	evenOlder bool // it is right, whatever is known
	told      bool // if it goes to sleep, its revision is that of the mark
}

// learn takes a record in, unless a newer one is known: the manager knows its
// own transactions before the watch tells of them.
func (m *Manager) learn(t *task, in *controlplane.Instance, how learning) {
	if t.record != nil && in.Revision <= t.record.Revision && !how.evenOlder {
		return
	}
	switch {
	case in.Status != controlplane.Suspending || in.Sleep != nil && in.Sleep.Stopping:
		delete(m.suspending, in.ID)
	case m.suspending[in.ID] == nil || !sameSleep(in, t.record):
		m.suspending[in.ID] = t
		t.mark = mark{revision: in.Revision, told: how.told, since: m.cfg.Now()}
	}
	m.notice(t, in)
	t.record = in
}

// sameSleep reports whether two records tell of one going to sleep.
func sameSleep(a, b *controlplane.Instance) bool {
	if a == nil || b == nil || a.Generation != b.Generation || (a.Sleep == nil) != (b.Sleep == nil) {
		return false
	}
	return a.Sleep == nil || a.Sleep.At.Equal(b.Sleep.At) && a.Sleep.Cause == b.Sleep.Cause
}

// wakes takes in intents.
func (m *Manager) wakes(b controlplane.WakeBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.Full {
		for _, t := range m.tasks {
			t.wake = nil
		}
	}
	for _, intent := range b.Put {
		m.task(intent.InstanceID).wake = intent
		m.kick(intent.InstanceID)
	}
	for _, id := range b.Gone {
		m.task(id).wake = nil
		m.kick(id)
	}
	m.listed(wakesList, b.Full)
}

// observe takes in the facts of one launcher.
func (m *Manager) observe(ctx context.Context, name string, l launcher.Launcher) {
	for fact := range l.Observe(ctx) {
		m.mu.Lock()
		if fact.Synced {
			m.listed("launcher "+name, true)
		} else {
			t := m.task(fact.InstanceID)
			t.fact, t.launcher = &fact, name
			t.marks.take(&fact)
			m.kick(fact.InstanceID)
		}
		m.mu.Unlock()
	}
}
