package routes

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// Origin is where a table came from.
type Origin string

// The origins. There is none before the first table.
const (
	FromStore    Origin = "store"
	FromSnapshot Origin = "snapshot"
)

// Status is what an operator wants to know of the table.
type Status struct {
	Revision  int64
	Cluster   uint64 // the ID of etcd's cluster
	Origin    Origin // "": there is no table yet
	Instances int
	Aliases   int

	// Silence is how long ago the store was heard last, or for how long what it
	// says cannot be applied; below 0: never heard. Away: the last question to
	// it had no answer.
	Silence time.Duration
	Away    bool

	RefusedNow   int   // keys of which an older record counts, or none
	RefusedTotal int64 // refused records since the start
	Drift        int64 // records that a comparison found wrong, since the start
	Held         int   // removals that wait
	HeldUntil    time.Time
	Lists        map[etcdstore.Reason]int64
	Restarts     int64 // of the loop that applies changes, after it panicked or stood still
	Last         Propagation
}

// Propagation is how the last change came into the table.
type Propagation struct {
	Revision int64
	At       time.Time     // the edge had it from the store
	Took     time.Duration // from then until requests saw it and those who waited were told
	Records  int           // of a list: in its last page
}

// Refusal is a record that is not valid, so that the last good one of its key
// counts, or none.
type Refusal struct {
	Key      string
	Revision int64
	Reason   string // cut at 200 bytes
}

const maxReason = 200

func refusalOf(e etcdstore.Event, err error) Refusal {
	reason := err.Error()
	return Refusal{Key: e.Key, Revision: e.Revision, Reason: strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")}
}

// Trouble returns records that are refused now, and the keys of removals that
// are held, each at most limit and in order. Of more it is any that many.
func (l *Live) Trouble(limit int) (refused []Refusal, held []string) {
	l.mu.Lock()
	for _, r := range l.refused {
		if len(refused) == limit {
			break
		}
		refused = append(refused, r)
	}
	held = l.held.keys(limit)
	l.mu.Unlock()
	slices.SortFunc(refused, func(a, b Refusal) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(held)
	return refused, held
}

// Status returns a copy that stays as it is. It may wait for a table that is
// being made, some 10 ms for large ones.
func (l *Live) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	table := l.table.Load()
	s := Status{
		Revision: table.Revision(), Cluster: l.cluster, Origin: l.origin, Silence: -1, Away: l.away.Load(),
		RefusedNow: len(l.refused), RefusedTotal: l.counts.refused, Drift: l.counts.drift,
		Held: l.held.waiting(), HeldUntil: l.held.until, Lists: maps.Clone(l.counts.lists), Restarts: l.counts.restarts.Load(), Last: l.counts.last,
	}
	s.Instances, s.Aliases = table.Len()
	if at := l.heard.Load(); at != 0 {
		s.Silence = time.Since(time.Unix(0, at))
	}
	if since := l.behind.Load(); since != 0 {
		s.Silence = max(s.Silence, time.Since(time.Unix(0, since)))
	}
	return s
}

// Fresh is when the table was known last to be what the store holds: the store
// answered, and what it said was applied. Zero: never.
func (l *Live) Fresh() time.Time {
	at := l.heard.Load()
	if since := l.behind.Load(); since != 0 {
		at = min(at, since)
	}
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}
