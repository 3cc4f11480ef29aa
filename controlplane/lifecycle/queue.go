package lifecycle

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// slot is where an instance is among the starts at once.
type slot uint8

const (
	slotNone   slot = iota
	slotQueued      // it waits for one
	slotHeld        // it starts
)

// queue has the starts that are under way, and those that wait for their turn
// in the order in which they came. The manager's mutex guards it.
type queue struct {
	limit   int
	held    int
	waiting []*ticket
	left    int // of waiting, those that have gone
}

// ticket is a place in the queue.
type ticket struct {
	id   string
	task *task
	gone bool
	told int // the place that edges know
}

// length is how many wait.
func (q *queue) length() int { return len(q.waiting) - q.left }

// place is where one that came now would wait; 0: it would not.
func (q *queue) place() int {
	if q.held < q.limit && q.length() == 0 {
		return 0
	}
	return q.length() + 1
}

// enter gives a slot or a place.
func (q *queue) enter(id string, t *task) {
	if q.place() == 0 {
		q.hold(t)
		return
	}
	t.slot, t.ticket = slotQueued, &ticket{id: id, task: t, told: t.foretold}
	t.foretold = 0
	q.waiting = append(q.waiting, t.ticket)
}

// hold gives a slot, over the limit where the start is under way already.
func (q *queue) hold(t *task) {
	q.drop(t)
	q.held++
	t.slot = slotHeld
}

// leave gives back a slot or a place.
func (q *queue) leave(t *task) {
	if t.slot == slotHeld {
		q.held--
	}
	q.drop(t)
	t.slot = slotNone
}

func (q *queue) drop(t *task) {
	if t.ticket != nil && !t.ticket.gone {
		t.ticket.gone = true
		q.left++
	}
	t.ticket = nil
	if q.left > len(q.waiting)/2 {
		q.waiting = slices.DeleteFunc(q.waiting, func(k *ticket) bool { return k.gone })
		q.left = 0
	}
}

// admit gives the free slots to those who wait longest.
func (q *queue) admit() (ids []string) {
	for i := 0; q.held < q.limit && i < len(q.waiting); {
		k := q.waiting[i]
		if k.gone {
			i++
			continue
		}
		q.hold(k.task) // it may shorten the slice
		ids = append(ids, k.id)
		i = 0
	}
	return ids
}

// assign brings the slot of an instance in line with what it does. The mutex is
// held.
func (m *Manager) assign(id string, t *task, v view) {
	switch wants := v.wantsSlot(); {
	case !wants && t.slot != slotNone:
		m.starts.leave(t)
	case wants && t.slot != slotHeld && !absent(v.current()):
		m.starts.hold(t) // it was begun by another life of the control plane
	}
	for _, id := range m.starts.admit() {
		m.kick(id)
	}
}

// The places that edges are told: once in placesEvery, at most placesAtOnce,
// those in front exactly.
const (
	placesEvery  = time.Second
	placesAtOnce = 100
	exactPlaces  = 20
)

// tellPlaces writes the places of those who wait, until ctx ends.
func (m *Manager) tellPlaces(ctx context.Context) {
	tick := time.NewTicker(placesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range m.newPlaces() {
			if err := m.tellPlace(ctx, p); err != nil && ctx.Err() == nil {
				m.cfg.Log.Warn("place in the queue was not told", zap.String("instance", p.id), zap.Error(err))
				break // the store is away; the others would wait for it as well
			}
		}
	}
}

type newPlace struct {
	*ticket
	generation int64
	place      int
}

// newPlaces are the places that have changed so much that edges are to be told.
func (m *Manager) newPlaces() (out []newPlace) {
	m.mu.Lock()
	defer m.mu.Unlock()
	place := 0
	for _, k := range m.starts.waiting {
		if k.gone || k.task.record == nil {
			continue
		}
		place++
		if !worthTelling(k.told, place) {
			continue
		}
		if out = append(out, newPlace{k, k.task.record.Generation, place}); len(out) == placesAtOnce {
			break
		}
	}
	return out
}

// worthTelling reports whether a place is to be told: far behind, every step
// would be a write for each of those who wait.
func worthTelling(told, place int) bool {
	if place <= exactPlaces || told == 0 {
		return told != place
	}
	return told-place > told/4
}

func (m *Manager) tellPlace(ctx context.Context, p newPlace) error {
	_, err := m.cfg.Store.Update(ctx, func(tx controlplane.Tx) error {
		in, err := tx.Instance(p.id)
		if err != nil || in.Generation != p.generation || !in.Status.Starting() || in.Stage != controlplane.StageQueued {
			return err
		}
		shown, err := tx.Progress(p.id)
		if err != nil || shown == nil || shown.Generation != p.generation {
			return err
		}
		shown.Queue = p.place
		tx.PutProgress(p.id, shown)
		return nil
	})
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeNotFound {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p.told = p.place
	return nil
}
