package etcdstore

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// ErrCompacted says that the store no longer knows the revision.
var ErrCompacted = errors.New("the revision was compacted")

// list hands everything on: as one batch, or page by page.
func (f *feed) list(ctx context.Context) error {
	all := Batch{Full: true, First: true, Reason: f.why}
	return f.store.pages(ctx, f.prefix, 0, func(resp *clientv3.GetResponse, revision int64) error {
		h := resp.Header
		if all.Cluster != 0 && h.ClusterId != all.Cluster {
			return fmt.Errorf("list %s: another cluster answered meanwhile", f.prefix)
		}
		all.Revision, all.Cluster, all.More = revision, h.ClusterId, resp.More
		f.config.Heard(true)
		all.Events = f.store.events(all.Events, resp)
		if resp.More && !f.config.Paged {
			return nil
		}
		if !resp.More {
			f.mu.Lock()
			f.seen = seen{revision: revision, cluster: h.ClusterId, term: h.RaftTerm, list: f.seen.list + 1}
			f.mu.Unlock()
		}
		f.sink(all)
		all.First, all.Events = false, nil
		return nil
	})
}

// ListAt calls page with everything that existed below prefix (relative to the
// store's) at a revision, in the order of the keys. The error is ErrCompacted
// where the store forgot it.
func (s *Store) ListAt(ctx context.Context, prefix string, revision int64, page func([]Event) error) error {
	return s.pages(ctx, s.prefix+prefix, revision, func(resp *clientv3.GetResponse, _ int64) error {
		return page(s.events(nil, resp))
	})
}

// Newer reports whether a key below prefix (relative to the store's) was written
// after a revision. The store looks at every key for it: ask seldom.
func (s *Store) Newer(ctx context.Context, prefix string, revision int64) (bool, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	from := s.prefix + prefix
	resp, err := s.client.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(from)),
		clientv3.WithMinModRev(revision+1), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
	if err != nil {
		return false, fmt.Errorf("look for newer keys below %s: %w", from, err)
	}
	return len(resp.Kvs) > 0, nil
}

// pages reads everything below a whole prefix at one revision: with 0 at that
// of the first page. All reads are linearizable.
func (s *Store) pages(ctx context.Context, prefix string, revision int64, take func(*clientv3.GetResponse, int64) error) error {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		page, cancel := context.WithTimeout(ctx, pageTimeout)
		resp, err := s.client.Get(page, from, clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(s.page))
		cancel()
		if errors.Is(err, rpctypes.ErrCompacted) {
			err = ErrCompacted
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if revision == 0 {
			revision = resp.Header.Revision
		}
		if err := take(resp, revision); err != nil || !resp.More {
			return err
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
}

func (s *Store) events(into []Event, resp *clientv3.GetResponse) []Event {
	for _, kv := range resp.Kvs {
		into = append(into, Event{Key: s.relative(kv.Key), Value: present(kv.Value), Revision: kv.ModRevision})
	}
	return into
}
