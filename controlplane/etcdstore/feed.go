package etcdstore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Batch is one step of a feed: everything that changed up to Revision.
type Batch struct {
	Revision int64
	// Full: the batch belongs to a list. Events is all that exists below the
	// feed's prefix at Revision; what the sink has beside it is gone.
	Full bool
	// First and More are of a list that comes in pages (FeedConfig.Paged):
	// First begins it, and forgets the pages of one that was broken off; with
	// More there are further pages, and nothing of the list counts yet.
	First, More bool
	Reason      Reason // of a list: why it was made
	Cluster     uint64 // of a list: the ID of etcd's cluster
	Events      []Event
}

// Event is one changed key.
type Event struct {
	Key      string // relative to the store's prefix
	Value    []byte // nil: deleted
	Revision int64  // that changed it
}

// Reason is why a feed lists everything.
type Reason string

// The reasons. Those of all edges at once are Common.
const (
	AtStart   Reason = "start"     // the first list
	Compacted Reason = "compacted" // the revisions to watch from are gone
	Restored  Reason = "restored"  // the store is younger than what it told before
	Replaced  Reason = "replaced"  // another cluster answers
	Asked     Reason = "asked"     // by the sink's owner
)

// Common reports whether every edge has the reason at the same moment.
func (r Reason) Common() bool { return r == Compacted || r == Restored || r == Replaced }

// FeedConfig is how a feed is followed. The zero value is what Feed does.
type FeedConfig struct {
	// Paged hands a list on page by page, so that the values of a large one are
	// never in memory together.
	Paged bool
	// Jitter is how long to wait before a list whose reason is Common.
	// Default: not at all.
	Jitter func() time.Duration
	// Heartbeat is how often the store is asked for its revision and cluster.
	// Default: 2 s. A failed one is repeated after a quarter of it.
	Heartbeat time.Duration
	// Heard is told whether the store answers, from any goroutine.
	Heard func(answers bool)
	// Relist asks for a list.
	Relist <-chan struct{}
}

const (
	// listPage bounds one response of a list; the pages are read at one revision.
	// For each, etcd counts all keys that are left: of a million, pages of 5,000
	// cost it 22 s of CPU, pages of 50,000, some 20 MB each, 6 s.
	listPage = 50_000
	// pageTimeout ends a page that does not come, also over a slow line.
	pageTimeout = 30 * time.Second
	// defaultHeartbeat is how soon a store that was replaced is noticed.
	defaultHeartbeat = 2 * time.Second
	// heartbeatTimeout ends a heartbeat that nobody answers.
	heartbeatTimeout = 2 * time.Second
)

// Feed calls sink with everything below prefix (relative to the store's) and
// then with every change, until ctx ends. It blocks, calls sink from one
// goroutine, and never gives up: while etcd is away the sink is not called. A
// batch without events only moves the revision.
func (s *Store) Feed(ctx context.Context, prefix string, sink func(Batch)) {
	s.Follow(ctx, prefix, FeedConfig{}, sink)
}

// Follow is Feed with more of a say in it.
func (s *Store) Follow(ctx context.Context, prefix string, c FeedConfig, sink func(Batch)) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = 5 * time.Second
	if c.Heartbeat <= 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Heard == nil {
		c.Heard = func(bool) {}
	}
	f := &feed{store: s, config: c, prefix: s.prefix + prefix, why: AtStart, alarms: make(chan alarm, 1), back: make(chan struct{}, 1)}
	f.sink = func(b Batch) { wait.Reset(); sink(b) }
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() { f.beat(ctx) })
	defer beats.Wait()
	defer cancel()
	for ctx.Err() == nil {
		err := f.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if again, ok := errors.AsType[relist](err); ok {
			s.log.Warn("routes are listed anew", zap.String("prefix", prefix), zap.String("reason", string(again)))
			f.why = Reason(again)
			continue
		}
		s.log.Warn("route feed interrupted, will go on", zap.String("prefix", prefix), zap.Error(err))
		select {
		case <-time.After(wait.NextBackOff()):
		case <-f.back:
		case <-ctx.Done():
		}
	}
}

type feed struct {
	store  *Store
	config FeedConfig
	prefix string
	sink   func(Batch)
	why    Reason // to list before the watch; empty: the watch goes on
	alarms chan alarm
	back   chan struct{} // the store answers again

	mu   sync.Mutex
	seen seen
}

// seen is how far the feed is. Heartbeats are compared with it.
type seen struct {
	revision int64 // everything up to it was passed on
	cluster  uint64
	term     uint64 // of the cluster's leader; it never falls in one history
	list     int    // which list it goes back to
}

// relist says that the watch cannot go on from where it was, and why.
type relist Reason

func (r relist) Error() string { return "list again: " + string(r) }

func (f *feed) now() seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

func (f *feed) advance(revision int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen.revision = revision
}

func (f *feed) run(ctx context.Context) error {
	if f.why != "" {
		if f.why.Common() && f.config.Jitter != nil {
			// All edges come for everything at once otherwise.
			sleep(ctx, f.config.Jitter())
		}
		if err := f.list(ctx); err != nil {
			return err
		}
		f.why = ""
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	at := f.now()
	// A server without a leader would keep the stream open and silent.
	events := f.store.client.Watch(clientv3.WithRequireLeader(ctx), f.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(at.revision+1), clientv3.WithProgressNotify())
	for {
		select {
		case resp, open := <-events:
			if !open {
				if err := ctx.Err(); err != nil {
					return err
				}
				return errors.New("the watch ended")
			}
			if err := f.take(resp, at); err != nil {
				return err
			}
		case a := <-f.alarms:
			if a.list == at.list {
				return relist(a.why)
			}
		case <-f.config.Relist:
			return relist(Asked)
		}
	}
}

func (f *feed) take(resp clientv3.WatchResponse, at seen) error {
	switch {
	case resp.CompactRevision != 0 || errors.Is(resp.Err(), rpctypes.ErrCompacted):
		return relist(Compacted)
	case resp.Err() != nil:
		return resp.Err()
	case resp.Header.ClusterId != at.cluster:
		return relist(Replaced)
	case resp.Header.Revision < f.now().revision:
		// A store that is younger than what it told before is another one.
		return relist(Restored)
	}
	f.config.Heard(true)
	f.pass(resp)
	return nil
}

// pass hands a response on. etcd never splits a revision over responses,
// unless asked to fragment them. What is not above the revision that was passed
// on last is old news from a server that went back in time; that holds for each
// key too, so none is ever set back.
func (f *feed) pass(resp clientv3.WatchResponse) {
	last := f.now().revision
	b := Batch{Revision: resp.Header.Revision, Events: make([]Event, 0, len(resp.Events))}
	for _, ev := range resp.Events {
		if ev.Kv.ModRevision <= last {
			continue
		}
		e := Event{Key: f.store.relative(ev.Kv.Key), Revision: ev.Kv.ModRevision}
		if ev.Type == clientv3.EventTypePut {
			e.Value = present(ev.Kv.Value)
		}
		b.Events = append(b.Events, e)
	}
	// A watch that catches up comes in several responses, and the header of
	// each has the store's revision, not that of the last event before the cut.
	if n := len(resp.Events); n > 0 {
		b.Revision = max(last, resp.Events[n-1].Kv.ModRevision)
	}
	f.advance(b.Revision)
	f.sink(b)
}

// present is a value that is there: etcd gives an empty one as nil, which means
// deleted here.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

func (s *Store) relative(key []byte) string {
	return strings.TrimPrefix(string(key), s.prefix)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
