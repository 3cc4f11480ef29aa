package etcdstore

import (
	"context"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Whoever asks for the second page of a list goes on to its end, mostly, and all
// pages are of one revision: what is there never changes. So the keys of many
// pages are read at once, and kept. Etcd takes as long for each page as for all
// that comes after it, which it counts.

// The keys that are read at once, and the walks and answers of Owned that are
// kept: a few MB.
const (
	walkAhead = 10_000
	maxWalks  = 4
	maxOwned  = 16
)

// head is a record without its value.
type head struct {
	key      string
	revision int64 // that it was written at
}

// walk is a part of a range at one revision.
type walk struct {
	from, end string
	revision  int64
	heads     []head
	more      bool // the range goes on after it
}

// headPage is a page of a range, without the values.
type headPage struct {
	heads    []head
	revision int64
	more     bool
	asked    asked
	trusted  bool // see remembered.notice
}

// part is the page at the beginning of what is asked for. It is not there where
// the walk ends before the page does.
func (w walk) part(in rangeOf) (page headPage, ok bool) {
	if w.end != in.end || w.revision != in.revision || in.from < w.from {
		return page, false
	}
	at, _ := slices.BinarySearchFunc(w.heads, in.from, func(h head, from string) int { return strings.Compare(h.key, from) })
	rest := w.heads[at:]
	if w.more && int64(len(rest)) <= in.limit {
		return page, false
	}
	n := min(int64(len(rest)), in.limit)
	return headPage{heads: rest[:n], revision: w.revision, more: w.more || int64(len(rest)) > n}, true
}

// heads reads a page without its values.
func (s *Store) heads(ctx context.Context, in rangeOf) (page headPage, err error) {
	if in.goesOn && in.revision > 0 {
		if page, ok, err := s.walked(ctx, in); ok || err != nil {
			return page, err
		}
	}
	limit := in.limit
	if in.goesOn {
		limit = max(limit, walkAhead)
	}
	page.asked = s.lists.ask()
	answer, err := s.client.Get(ctx, in.from, clientv3.WithRange(in.end), clientv3.WithRev(in.revision), clientv3.WithLimit(limit), clientv3.WithKeysOnly())
	if err != nil {
		return page, err
	}
	page.revision = in.revision
	if page.revision == 0 {
		page.revision = answer.Header.Revision
	}
	page.more, page.heads = answer.More, make([]head, len(answer.Kvs))
	for i, kv := range answer.Kvs {
		page.heads[i] = head{string(kv.Key), kv.ModRevision}
	}
	read := walk{in.from, in.end, page.revision, page.heads, page.more}
	s.lists.mu.Lock()
	page.trusted = s.lists.notice(answer.Header, page.asked)
	if page.trusted && limit > in.limit {
		s.lists.walks = append(s.lists.walks[max(0, len(s.lists.walks)-maxWalks+1):], read)
	}
	s.lists.mu.Unlock()
	if n := int(in.limit); len(page.heads) > n {
		page.heads, page.more = page.heads[:n], true
	}
	return page, nil
}

// walked is a page of a walk that is known. The store is asked all the same,
// for one key: whether it is of the same history, and has that revision still.
func (s *Store) walked(ctx context.Context, in rangeOf) (page headPage, ok bool, err error) {
	asked := s.lists.ask()
	answer, err := s.client.Get(ctx, in.from, clientv3.WithRev(in.revision), clientv3.WithKeysOnly())
	if err != nil {
		return page, false, err
	}
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	if !s.lists.notice(answer.Header, asked) {
		return page, false, nil
	}
	for _, w := range s.lists.walks {
		if page, ok = w.part(in); ok {
			page.asked, page.trusted = asked, true
			return page, true, nil
		}
	}
	return page, false, nil
}

// ownedAt is a question of Owned at a revision.
type ownedAt struct {
	owner    string
	revision int64
}

// ownedBefore is the answer to it, if it is remembered; nobody changes it.
func (r *remembered) ownedBefore(q ownedAt) (controlplane.Owned, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.owned[q]
	return known, ok && r.connection == r.connections.Load()
}

func (r *remembered) keepOwned(h *etcdserverpb.ResponseHeader, a asked, q ownedAt, owned controlplane.Owned) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.notice(h, a) {
		return
	}
	if len(r.owned) >= maxOwned {
		clear(r.owned)
	}
	r.owned[q] = owned
}
