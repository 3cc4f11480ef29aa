//go:build linux

package process

import "time"

// An app may go on without the process that the kernel has ended for want of
// memory: in control groups of version 1 that is the largest one, not all of
// them. So a run has ended for want of memory only where the kernel had just
// done so, between one and two oomLook ago at most.
const oomLook = 2 * time.Second

// oomWatch is how many processes of a run the kernel had ended for want of
// memory at the last look, and at the one before.
type oomWatch struct{ before, last int64 }

// look reports whether there are more.
func (w *oomWatch) look(kills int64) (more bool) {
	more = kills > w.last
	w.before, w.last = w.last, kills
	return more
}

// justNow reports whether some were ended since the look before the last one.
func (w *oomWatch) justNow(kills int64) bool { return kills > w.before }

// oomKills is what an oomWatch looks at.
func (r *run) oomKills() int64 {
	if r.cgroup == nil {
		return 0
	}
	kills, err := r.cgroup.OOMKills()
	if err != nil {
		r.log("look whether an instance lacks memory", err)
	}
	return kills
}

// watchOOM looks once. What the run has survived is recorded, for whoever finds
// it ended.
func (r *run) watchOOM(w *oomWatch) {
	kills := r.oomKills()
	if !w.look(kills) {
		return
	}
	r.state.OOMKills = kills
	if err := r.i.record(r.state); err != nil {
		r.log("record that an instance lacks memory", err)
	}
}
