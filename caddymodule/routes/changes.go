package routes

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// takeChanges applies a batch of the watch and returns whom it changes.
func (l *Live) takeChanges(r *loop, b etcdstore.Batch) (news Changes, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loop != r {
		return news, false
	}
	table := l.table.Load()
	if len(b.Events) == 0 {
		if b.Revision != table.Revision() {
			l.table.Store(table.Apply(b.Revision, nil))
		}
		return news, false
	}
	news.Instances = make([]routing.ID, 0, len(b.Events))
	changes := make([]routing.Change, 0, len(b.Events))
	suspicious := l.massDeletions(table, b.Events)
	log := l.refusalLog()
	for _, e := range b.Events {
		change, ok, err := l.read(e)
		if err != nil {
			log.refuse(e, err)
			continue
		}
		delete(l.refused, e.Key)
		if !ok {
			continue
		}
		if change.Deletes() && suspicious[e.Revision] && isRoute(change) {
			l.held.add(change)
			continue
		}
		l.held.drop(change)
		changes = append(changes, change)
		news.add(change)
	}
	log.done()
	l.publish(table.Apply(b.Revision, changes), FromStore)
	if len(suspicious) > 0 {
		l.hold("a revision deletes much at once")
	}
	return news, true
}

// refusePanics refuses a record that its reader stumbles over, like any other
// that does not parse: nothing in the store may end an edge.
func refusePanics(read reader) reader {
	return func(e etcdstore.Event) (change routing.Change, ok bool, err error) {
		defer func() {
			if fault := recover(); fault != nil {
				change, ok, err = routing.Change{}, false, fmt.Errorf("read %s: panic: %v", e.Key, fault)
			}
		}()
		return read(e)
	}
}

// reader is etcdstore.RouteChange.
type reader func(etcdstore.Event) (change routing.Change, ok bool, err error)

// maxTransaction is how many keys a transaction of etcd may change, by default.
const maxTransaction = 128

// massDeletions finds the revisions that delete more than any transaction of
// ours could, and more than the table can do without.
func (l *Live) massDeletions(table *routing.Table, events []etcdstore.Event) map[int64]bool {
	if len(events) <= maxTransaction {
		return nil
	}
	deleted, found := map[int64]int{}, map[int64]bool{}
	for _, e := range events {
		if e.Value != nil {
			continue
		}
		if c, ok, err := l.read(e); err == nil && ok && isRoute(c) && !table.Has(c) {
			deleted[e.Revision]++
		}
	}
	for revision, n := range deleted {
		if n > maxTransaction && isMass(n, table) {
			found[revision] = true
		}
	}
	return found
}

// isRoute reports whether a change is about an instance or an alias.
func isRoute(c routing.Change) bool {
	_, instance := c.Instance()
	_, alias := c.Alias()
	return instance || alias
}

// refusalLog logs what is refused, in a batch, without drowning the log.
func (l *Live) refusalLog() *refusals { return &refusals{live: l} }

type refusals struct {
	live *Live
	n    int
}

// maxRefusalLines is how many refused records a batch logs one by one.
const maxRefusalLines = 20

// refuse counts a refused record, once for each revision of its key. The caller
// holds mu.
func (r *refusals) refuse(e etcdstore.Event, err error) {
	if e.Value == nil {
		delete(r.live.refused, e.Key) // it was never taken, and is gone
		return
	}
	if was, known := r.live.refused[e.Key]; known && was.Revision == e.Revision {
		return
	}
	r.live.refused[e.Key] = refusalOf(e, err)
	r.live.counts.refused++
	if r.n++; r.n <= maxRefusalLines {
		r.live.log.Error("route refused, the last good one stays", zap.Int64("revision", e.Revision), zap.Error(short(err)))
	}
}

func (r *refusals) done() {
	if more := r.n - maxRefusalLines; more > 0 {
		r.live.log.Error("more routes refused, the last good ones stay", zap.Int("routes", more))
	}
}

// short keeps a line of the log one: an error may quote a whole record.
func short(err error) error {
	if text := err.Error(); len(text) > maxErrorText {
		return shortened(text[:maxErrorText] + "…")
	}
	return err
}

const maxErrorText = 1 << 10

type shortened string

func (s shortened) Error() string { return string(s) }
