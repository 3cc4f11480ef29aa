package activity

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// Report collects what is new since the last report that was written; written
// is to be called when this one was. It forgets instances that are not in the
// table any more. It is called by one goroutine, once in each interval.
func (ms *Meters) Report(lookUp func(routing.ID) *routing.Instance) (items []controlplane.Activity, written func()) {
	type news struct {
		*meter
		active, present int64
	}
	var (
		now  = ms.at(time.Now())
		turn = ms.turn.Load()
		all  []news
	)
	for i := range ms.shards {
		meters := ms.shards[i].meters.Load()
		if meters == nil {
			continue
		}
		for id, m := range *meters {
			if lookUp(id) == nil {
				ms.retire(m)
				continue
			}
			if m.hasOld(turn) || m.isPresent() {
				m.present.Store(now)
			}
			n := news{m, m.active.Load(), m.present.Load()}
			if n.active == m.told.Load() && n.present == m.presentTold.Load() {
				continue
			}
			all = append(all, n)
			items = append(items, controlplane.Activity{
				InstanceID: id.String(), Open: m.underWay(), Cause: causeNames[n.active&(1<<causeBits-1)],
				ActiveMS: age(now, n.active>>causeBits), PresentMS: age(now, n.present),
			})
		}
	}
	ms.turn.Add(1)
	return items, func() {
		for _, n := range all {
			n.told.Store(n.active)
			n.presentTold.Store(n.present)
		}
	}
}

// age is how long ago a time was; -1: it never was.
func age(now, at int64) int64 {
	if at == 0 {
		return -1
	}
	return max(0, now-at)
}

// reportedFor is for how long, in ms, an activity that was reported is told
// again of an instance that is about to sleep: a control plane that has just
// begun to lead may not have it.
const reportedFor = 2 * 60 * 1000

// Draining is what there is of the instances that are SUSPENDING by the table of
// a revision, at most so many, and of how many more there is something.
func (ms *Meters) Draining(most int) (revision int64, items []controlplane.Activity, more int) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	now := ms.at(time.Now())
	for id, m := range ms.marked {
		a := controlplane.Activity{InstanceID: id.String(), ActiveMS: -1, PresentMS: -1, Open: m.underWay()}
		active, present := m.active.Load(), m.present.Load()
		switch old := age(now, active>>causeBits); {
		case active != m.told.Load():
			a.ActiveMS, a.Cause = old, causeNames[active&(1<<causeBits-1)]
		case active != 0 && old < reportedFor:
			a.ReportedMS, a.Cause = max(1, old), causeNames[active&(1<<causeBits-1)]
		}
		switch {
		case m.isPresent():
			a.PresentMS = 0
		case present != m.presentTold.Load():
			a.PresentMS = age(now, present)
		}
		if a.Open > 0 || a.Cause != "" || a.PresentMS >= 0 {
			items = append(items, a)
		}
	}
	// What keeps from sleeping comes first.
	slices.SortFunc(items, func(a, b controlplane.Activity) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.InstanceID, b.InstanceID))
	})
	// Nothing waits for those that only tell what was reported already.
	for _, a := range items[min(most, len(items)):] {
		if rank(a) < 2 {
			more++
		}
	}
	return ms.revision, items[:min(most, len(items))], more
}

func rank(a controlplane.Activity) int {
	switch {
	case a.ActiveMS >= 0 || a.PresentMS >= 0:
		return 0
	case a.Open > 0:
		return 1
	}
	return 2
}
