package etcdstore

import (
	"context"
	"sync"
	"sync/atomic"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/stats"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// remembered are records that lists have read, by key, with the revision that
// they were written at. A list asks the store for keys and revisions alone, and
// reads what it does not remember: so it is as true as one that reads all, and
// ten thousand records are not parsed for each.
//
// A backup that is restored counts revisions again, and then what is remembered
// is of another history. The store was away before, so that there is a new
// connection to it: with each one all is forgotten.
type remembered struct {
	mu       sync.Mutex
	records  map[string]recordAt
	walks    []walk
	owned    map[ownedAt]controlplane.Owned
	cluster  uint64
	term     uint64
	revision int64 // the newest that the store was at

	connections atomic.Int64 // that were ever made
	connection  int64        // the one that what is remembered was read by
}

type recordAt struct {
	revision int64
	record   any // a pointer to what nobody changes
}

// The most records that are remembered, after which all are forgotten, and the
// most that a list reads one by one.
const (
	maxRemembered = 50_000
	maxSingle     = maxOps
)

func newRemembered() *remembered {
	return &remembered{records: map[string]recordAt{}, owned: map[ownedAt]controlplane.Owned{}}
}

// TagConn, HandleConn, TagRPC and HandleRPC implement stats.Handler: a connection
// is counted before anything is asked by it.
func (r *remembered) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (r *remembered) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, begins := s.(*stats.ConnBegin); begins {
		r.connections.Add(1)
	}
}

// TagRPC implements stats.Handler.
func (r *remembered) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (r *remembered) HandleRPC(context.Context, stats.RPCStats) {}

// asked is when the store was asked for something.
type asked struct {
	revision   int64 // the newest that it was at before
	connection int64
}

func (r *remembered) ask() asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	return asked{r.revision, r.connections.Load()}
}

// notice forgets everything where an answer is not of the history that is
// remembered, and reports whether the answer can be remembered: it is not known
// which connection it came by, if there is a new one meanwhile.
func (r *remembered) notice(h *etcdserverpb.ResponseHeader, a asked) bool {
	switch {
	case a.connection != r.connections.Load() || a.connection < r.connection:
		return false
	case a.connection > r.connection, h.ClusterId != r.cluster, h.RaftTerm < r.term, h.Revision < a.revision:
		clear(r.records)
		clear(r.owned)
		r.walks, r.revision = nil, 0
	}
	r.connection, r.cluster, r.term, r.revision = a.connection, h.ClusterId, h.RaftTerm, max(r.revision, h.Revision)
	return true
}

// get is the record of a key at that revision, or nil.
func (r *remembered) get(key string, revision int64) any {
	if at := r.records[key]; at.revision == revision {
		return at.record
	}
	return nil
}

func (r *remembered) keep(a asked, key string, revision int64, record any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.connection != r.connection || a.connection != r.connections.Load() {
		return
	}
	if old, known := r.records[key]; known && old.revision > revision {
		return // a list of an older revision
	} else if !known && len(r.records) >= maxRemembered {
		clear(r.records)
	}
	r.records[key] = recordAt{revision, record}
}

// rangeOf is a page of a range.
type rangeOf struct {
	from, end string
	revision  int64 // 0: now
	limit     int64
	goesOn    bool // it is not the first page
}

// valued is a key with its record, decoded; a copy.
type valued[T any] struct {
	key      string
	revision int64
	record   *T
}

// readRange reads a page. More is whether the range goes on after it.
func readRange[T any](ctx context.Context, s *Store, in rangeOf) (out []valued[T], revision int64, more bool, err error) {
	page, err := s.heads(ctx, in)
	if err != nil {
		return nil, 0, false, err
	}
	out = make([]valued[T], len(page.heads))
	copies := make([]T, len(page.heads))
	var missing []int
	s.lists.mu.Lock()
	for i, head := range page.heads {
		out[i] = valued[T]{head.key, head.revision, &copies[i]}
		known, ok := s.lists.get(head.key, head.revision).(*T)
		if ok = ok && page.trusted; ok {
			copies[i] = *known
		} else {
			missing = append(missing, i)
		}
	}
	s.lists.mu.Unlock()
	gaps := gaps{of: in, length: len(out), at: page.revision, missing: missing, key: func(i int) string { return out[i].key }}
	return out, page.revision, page.more, s.fill(ctx, gaps, func(i int, kv *mvccpb.KeyValue) error {
		record := new(T)
		if err := decode(out[i].key, kv.Value, record); err != nil {
			return err
		}
		if page.trusted {
			s.lists.keep(page.asked, out[i].key, kv.ModRevision, record)
		}
		copies[i] = *record
		return nil
	})
}

// gaps are the places of a page of which the values are missing.
type gaps struct {
	of      rangeOf
	length  int   // of the page
	at      int64 // the revision of the page
	missing []int
	key     func(i int) string
}

// errOther is of values that are not those of the keys that were read before: a
// backup was restored in between.
var errOther = rpctypes.ErrFutureRev

// fill reads the values that are missing, of few one by one and of many with
// the whole page, all at the revision of the page.
func (s *Store) fill(ctx context.Context, g gaps, found func(i int, kv *mvccpb.KeyValue) error) error {
	if len(g.missing) == 0 {
		return nil
	}
	if len(g.missing) > maxSingle {
		page, err := s.client.Get(ctx, g.of.from, clientv3.WithRange(g.of.end), clientv3.WithRev(g.at), clientv3.WithLimit(int64(g.length)))
		if err != nil {
			return err
		}
		if len(page.Kvs) != g.length {
			return errOther
		}
		for _, i := range g.missing {
			if string(page.Kvs[i].Key) != g.key(i) {
				return errOther
			}
			if err := found(i, page.Kvs[i]); err != nil {
				return err
			}
		}
		return nil
	}
	gets := make([]clientv3.Op, len(g.missing))
	for j, i := range g.missing {
		gets[j] = clientv3.OpGet(g.key(i), clientv3.WithRev(g.at))
	}
	resp, err := s.client.Txn(ctx).Then(gets...).Commit()
	if err != nil {
		return err
	}
	for j, i := range g.missing {
		kvs := resp.Responses[j].GetResponseRange().Kvs
		if len(kvs) == 0 {
			return errOther
		}
		if err := found(i, kvs[0]); err != nil {
			return err
		}
	}
	return nil
}
