package etcdstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Batch is one step of a feed: everything that changed up to Revision.
type Batch struct {
	Revision int64
	// Full: Events is all that exists below the feed's prefix at Revision.
	// What the sink has beside it is gone.
	Full   bool
	Events []Event
}

// Event is one changed key.
type Event struct {
	Key      string // relative to the store's prefix
	Value    []byte // nil: deleted
	Revision int64  // that changed it
}

// listPage bounds one response of a list; the pages are read at one revision.
const listPage = 5000

// Feed calls sink with everything below prefix (relative to the store's) and
// then with every change, until ctx ends. It blocks, calls sink from one
// goroutine, and never gives up: while etcd is away the sink is not called. A
// batch without events only moves the revision.
func (s *Store) Feed(ctx context.Context, prefix string, sink func(Batch)) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = 5 * time.Second
	f := &feed{store: s, prefix: s.prefix + prefix, sink: func(b Batch) { wait.Reset(); sink(b) }}
	for ctx.Err() == nil {
		err := f.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errRelist) {
			f.revision = 0
			continue
		}
		s.log.Warn("route feed interrupted, will go on", zap.String("prefix", prefix), zap.Error(err))
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

type feed struct {
	store    *Store
	prefix   string
	sink     func(Batch)
	revision int64 // everything up to it was passed on; 0: list first
}

// errRelist says that the watch cannot go on from where it was.
var errRelist = errors.New("the revisions to watch from are gone")

func (f *feed) run(ctx context.Context) error {
	if f.revision == 0 {
		if err := f.list(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A server without a leader would keep the stream open and silent.
	events := f.store.client.Watch(clientv3.WithRequireLeader(ctx), f.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(f.revision+1), clientv3.WithProgressNotify())
	for resp := range events {
		if resp.CompactRevision != 0 || errors.Is(resp.Err(), rpctypes.ErrCompacted) {
			return errRelist
		}
		if err := resp.Err(); err != nil {
			return err
		}
		if resp.Header.Revision < f.revision {
			// A store that is younger than what it told before is another one.
			return errRelist
		}
		f.pass(resp)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.New("the watch ended")
}

// pass hands a response on. etcd never splits a revision over responses,
// unless asked to fragment them.
func (f *feed) pass(resp clientv3.WatchResponse) {
	b := Batch{Revision: resp.Header.Revision, Events: make([]Event, 0, len(resp.Events))}
	for _, ev := range resp.Events {
		e := Event{Key: f.relative(ev.Kv.Key), Revision: ev.Kv.ModRevision}
		if ev.Type == clientv3.EventTypePut {
			e.Value = ev.Kv.Value
		}
		b.Events = append(b.Events, e)
	}
	// A watch that catches up comes in several responses, and the header of
	// each has the store's revision, not that of the last event before the cut.
	if n := len(b.Events); n > 0 {
		b.Revision = b.Events[n-1].Revision
	}
	f.revision = b.Revision
	f.sink(b)
}

func (f *feed) relative(key []byte) string {
	return strings.TrimPrefix(string(key), f.store.prefix)
}

func (f *feed) list(ctx context.Context) error {
	b := Batch{Full: true}
	from, end := f.prefix, clientv3.GetPrefixRangeEnd(f.prefix)
	for {
		page, cancel := context.WithTimeout(ctx, callTimeout)
		resp, err := f.store.client.Get(page, from, clientv3.WithRange(end), clientv3.WithRev(b.Revision), clientv3.WithLimit(listPage))
		cancel()
		if err != nil {
			return err
		}
		if b.Revision == 0 {
			b.Revision = resp.Header.Revision
		}
		for _, kv := range resp.Kvs {
			b.Events = append(b.Events, Event{Key: f.relative(kv.Key), Value: kv.Value, Revision: kv.ModRevision})
		}
		if !resp.More {
			break
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	f.revision = b.Revision
	f.sink(b)
	return nil
}
