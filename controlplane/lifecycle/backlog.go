package lifecycle

import (
	"errors"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// backlog is the changes of records that nobody waits for, of which there may be
// thousands at one time. Those that wait together are made in one transaction,
// some at a time: that costs the store, and the edges, little more than one. None
// waits for company.
type backlog struct {
	limit   int // transactions at once
	running int
	waiting []*job
}

// How many transactions are under way at once for a backlog, so that a wake among
// them is not to wait long. What goes to sleep already comes before what could.
const (
	beginnings = 4
	endings    = 8
)

// together is how many changes are made in one transaction. Each takes up to five
// operations and four comparisons, and etcd takes 128 of each.
const together = 24

// job is the change of a record that a step wants.
type job struct {
	task   *task
	view   view
	action action
	// alone: it failed before, and is not to take others with it again.
	alone bool
	done  chan error // gets one

	in  *controlplane.Instance // the record as the transaction has it
	err error                  // why it is no part of the transaction
}

// backlog is where an action waits; nil for those of which somebody waits for the
// end.
func (m *Manager) backlog(a action) *backlog {
	switch a {
	case fold, idle, resume:
		return &m.beginning
	case stopping, suspend:
		return &m.ending
	}
	return nil
}

// await has a change made, and returns when it is.
func (m *Manager) await(b *backlog, j *job) error {
	j.done = make(chan error, 1)
	m.mu.Lock()
	j.alone = j.task.failed
	b.waiting = append(b.waiting, j)
	if b.running < b.limit {
		b.running++
		m.workers.Go(func() { m.reduce(b) })
	}
	m.mu.Unlock()
	return <-j.done
}

// reduce makes changes until none waits.
func (m *Manager) reduce(b *backlog) {
	for {
		m.mu.Lock()
		jobs := b.take()
		if len(jobs) == 0 {
			b.running--
			m.mu.Unlock()
			return
		}
		var due []*job
		for _, j := range jobs {
			j.view = m.view(j.view.record.ID, j.task) // it is older than the wait
			if next(j.view).action == j.action {
				due = append(due, j)
				continue
			}
			j.done <- nil
		}
		m.mu.Unlock()
		m.changeAll(due)
	}
}

// take removes from the queue what comes next into one transaction.
func (b *backlog) take() (jobs []*job) {
	for len(b.waiting) > 0 && len(jobs) < together {
		j := b.waiting[0]
		if j.alone && len(jobs) > 0 {
			break
		}
		b.waiting[0], b.waiting = nil, b.waiting[1:]
		jobs = append(jobs, j)
		if j.alone {
			break
		}
	}
	return jobs
}

// changeAll makes changes in one transaction. A record that has moved on, or is gone,
// is left out; any other error is everybody's, and each tries again by itself.
func (m *Manager) changeAll(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	records := make([]*controlplane.Instance, len(jobs))
	for i, j := range jobs {
		records[i] = j.view.record
	}
	_, err := m.cfg.Store.Update(m.ctx, func(tx controlplane.Tx) error {
		if err := tx.ReadAhead(records...); err != nil {
			return err
		}
		for _, j := range jobs {
			j.in, j.err = nil, nil
		}
		for _, j := range jobs {
			if j.in, j.err = tx.Instance(j.view.record.ID); j.err == nil {
				j.err = apply(tx, j.in, j.view, j.action, nil)
			}
			if j.err != nil && !isPassedOver(j.err) {
				return j.err
			}
		}
		return nil
	})
	for _, j := range jobs {
		if err == nil || j.err == nil {
			j.err = err
		}
		j.done <- m.changed(j.task, j.view, j.in, j.err)
	}
}

// isPassedOver reports whether a record needs no change any more.
func isPassedOver(err error) bool {
	return errors.Is(err, errMoved) || controlplane.CodeOf(err) == controlplane.CodeNotFound
}
