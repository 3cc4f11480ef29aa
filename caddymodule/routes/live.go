package routes

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/routes/snapshot"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// Source is the store's side: an *etcdstore.Store.
type Source interface {
	Follow(ctx context.Context, prefix string, c etcdstore.FeedConfig, sink func(etcdstore.Batch))
	ListAt(ctx context.Context, prefix string, revision int64, page func([]etcdstore.Event) error) error
	Newer(ctx context.Context, prefix string, revision int64) (bool, error)
}

// Config is how a table is kept. Zero values are the defaults of doc.go.
type Config struct {
	Prefix   string // of the store's keys: whose snapshot it is
	Snapshot string // folder; empty: no snapshot

	FirstWait    time.Duration // for a store that is silent, before a snapshot is served
	ListWait     time.Duration // the same for one that answers
	SaveEvery    time.Duration // at most, a snapshot is saved
	VerifyEvery  time.Duration // ± 20 %, table and store are compared
	HoldRemovals time.Duration // at most, the removals of a suspicious list
	Jitter       time.Duration // at most, before a list that all edges make at once
	Heartbeat    time.Duration // between questions to the store
	StuckAfter   time.Duration // in one batch, the loop that applies changes is given up
	Rand         func() float64
	// Spread is told of each batch of the watch how long it took from its
	// arrival until requests saw it and those who waited were told.
	Spread func(time.Duration)
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.FirstWait, time.Second}, {&c.ListWait, 4 * time.Second}, {&c.SaveEvery, 10 * time.Second},
		{&c.VerifyEvery, 5 * time.Minute}, {&c.HoldRemovals, 2 * time.Minute}, {&c.Jitter, 5 * time.Second},
		{&c.StuckAfter, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
}

// Live is the live table. Its methods are for any goroutine.
type Live struct {
	log     *zap.Logger
	changed func(Changes)
	config  Config

	table  atomic.Pointer[routing.Table]
	first  chan struct{} // closed when there is one
	heard  atomic.Int64  // when the store answered last, in ns since the epoch; 0: never
	away   atomic.Bool   // the last question to it had no answer
	relist chan struct{} // asks the feed for a list
	dirty  chan struct{} // there is something to save
	holds  chan struct{} // something new is held
	loaded chan struct{} // closed when the snapshot was looked for

	// behind is since when changes cannot be applied, in ns since the epoch; 0:
	// they are.
	behind atomic.Int64
	// read reads a record.
	read reader

	// mu is for all who make a new table. Requests never take it.
	mu      sync.Mutex
	old     *routing.Table // of the snapshot, until there is a table
	oldOf   snapshot.Header
	cluster uint64
	origin  Origin
	refused map[string]Refusal // by key
	held    held
	loop    *loop   // the one that may change all this; nil between two
	untold  Changes // in the table, and those who wait have not been told
	counts  counts
}

type counts struct {
	refused int64
	drift   int64
	lists   map[etcdstore.Reason]int64
	last    Propagation

	restarts atomic.Int64
}

// New makes a table that is not there yet. After one with other routes is
// visible, changed is called with what is otherwise in it; it must not block.
func New(log *zap.Logger, changed func(Changes)) *Live {
	return &Live{
		log: log, changed: changed, read: refusePanics(etcdstore.RouteChange),
		first: make(chan struct{}), relist: make(chan struct{}, 1), dirty: make(chan struct{}, 1),
		holds: make(chan struct{}, 1), loaded: make(chan struct{}),
		refused: map[string]Refusal{}, counts: counts{lists: map[etcdstore.Reason]int64{}},
	}
}

// Table is the present table; nil before there is one.
func (l *Live) Table() *routing.Table { return l.table.Load() }

// First is closed when there is a table.
func (l *Live) First() <-chan struct{} { return l.first }

// Away reports whether the store is known not to answer.
func (l *Live) Away() bool { return l.away.Load() }

// Run follows the source until ctx ends, and saves the table then. It may be
// called once.
func (l *Live) Run(ctx context.Context, source Source, c Config) {
	c.setDefaults()
	l.config = c
	var parts sync.WaitGroup
	defer parts.Wait()
	folder := snapshot.NewFolder(c.Snapshot)
	if c.Snapshot == "" {
		close(l.loaded)
	} else {
		parts.Go(func() {
			l.load(ctx, folder)
			l.keep(ctx, folder)
		})
	}
	parts.Go(func() { l.release(ctx) })
	parts.Go(func() { l.verifyAll(ctx, source) })
	l.follow(ctx, source)
}

func (l *Live) hear(answers bool) {
	if answers {
		l.heard.Store(time.Now().UnixNano())
	}
	if was := l.away.Swap(!answers); was == answers {
		if answers {
			l.log.Info("the store answers again")
		} else {
			l.log.Warn("the store does not answer; the last routes go on")
		}
	}
}

// take applies one batch.
func (l *Live) take(r *loop, b etcdstore.Batch) {
	began := time.Now()
	apply := l.takeChanges
	if b.Full {
		apply = l.takeList
	}
	news, changed := apply(r, b)
	if !changed {
		return
	}
	news.Revision = b.Revision
	l.tell(news)
	took := time.Since(began)
	if !b.Full && l.config.Spread != nil {
		l.config.Spread(took)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loop != r {
		return
	}
	l.untold = Changes{}
	if b.Full {
		l.behind.Store(0)
	}
	l.counts.last = Propagation{Revision: b.Revision, At: began, Took: took, Records: len(b.Events)}
}

// tell tells of a change, and of those before it of which nobody was told since
// the loop ended over them.
func (l *Live) tell(news Changes) {
	l.mu.Lock()
	news = l.untold.and(news)
	l.untold = news
	l.mu.Unlock()
	l.changed(news)
}

// publish makes a table visible. The caller holds mu.
func (l *Live) publish(table *routing.Table, from Origin) {
	isFirst := l.table.Load() == nil
	l.table.Store(table)
	l.origin, l.old = from, nil
	if isFirst {
		close(l.first)
	}
	if from == FromStore {
		signal(l.dirty)
	}
}

// signal tells, unless it was told already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
