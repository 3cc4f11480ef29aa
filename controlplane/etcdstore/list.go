package etcdstore

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// The limits of a page (spec interfaces.md §4), and as much again as tells
// whether there is more to see after it.
const (
	defaultPage = 100
	maxPage     = 1000 + defaultPage
)

// App implements controlplane.Store.
func (s *Store) App(ctx context.Context, id string) (*controlplane.App, error) {
	return readOne(ctx, s, func(t controlplane.Tx) (*controlplane.App, error) { return t.App(id) })
}

// Instance implements controlplane.Store.
func (s *Store) Instance(ctx context.Context, id string) (*controlplane.Instance, error) {
	return readOne(ctx, s, func(t controlplane.Tx) (*controlplane.Instance, error) { return t.Instance(id) })
}

// Alias implements controlplane.Store.
func (s *Store) Alias(ctx context.Context, nameOrID string) (*controlplane.Alias, error) {
	return readOne(ctx, s, func(t controlplane.Tx) (*controlplane.Alias, error) { return t.Alias(nameOrID) })
}

func readOne[T any](ctx context.Context, s *Store, get func(controlplane.Tx) (T, error)) (record T, err error) {
	_, err = s.Update(ctx, func(t controlplane.Tx) error {
		record, err = get(t)
		return err
	})
	return record, err
}

// Apps implements controlplane.Store.
func (s *Store) Apps(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.App], error) {
	return list(ctx, s, appsPrefix, p, func(a *controlplane.App, rev int64) { a.Revision = rev })
}

// Instances implements controlplane.Store.
func (s *Store) Instances(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.Instance], error) {
	return list(ctx, s, instancesPrefix, p, func(in *controlplane.Instance, rev int64) { in.Revision = rev })
}

// Aliases implements controlplane.Store.
func (s *Store) Aliases(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.Alias], error) {
	return list(ctx, s, aliasesPrefix, p, func(a *controlplane.Alias, rev int64) { a.Revision = rev })
}

// Tags implements controlplane.Store.
func (s *Store) Tags(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.Tag], error) {
	return list(ctx, s, tagsPrefix, p, func(t *controlplane.Tag, rev int64) { t.Revision = rev })
}

// Users implements controlplane.Store.
func (s *Store) Users(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.User], error) {
	return list(ctx, s, usersPrefix, p, func(u *controlplane.User, rev int64) { u.Revision = rev })
}

// Sessions implements controlplane.Store.
func (s *Store) Sessions(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.Session], error) {
	return list(ctx, s, sessionsPrefix, p, func(session *controlplane.Session, rev int64) { session.Revision = rev })
}

// Audit implements controlplane.Store.
func (s *Store) Audit(ctx context.Context, p controlplane.Page) (controlplane.List[*controlplane.AuditRecord], error) {
	return list(ctx, s, auditPrefix, p, func(r *controlplane.AuditRecord, rev int64) { r.Revision = rev })
}

func list[T any](ctx context.Context, s *Store, kind string, p controlplane.Page, setRevision func(*T, int64)) (out controlplane.List[*T], err error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	limit := p.Limit
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	base := s.prefix + kind
	from := base + p.Prefix
	if p.After != "" {
		from = max(from, base+p.After+"\x00")
	}
	page, revision, more, err := readRange[T](ctx, s, rangeOf{from, clientv3.GetPrefixRangeEnd(base + p.Prefix), p.Revision, int64(limit), p.After != ""})
	if err != nil {
		return out, listError(err)
	}
	out.Revision = revision
	out.Items = make([]*T, len(page))
	for i, one := range page {
		setRevision(one.record, one.revision)
		out.Items[i] = one.record
	}
	if more {
		out.NextAfter = strings.TrimPrefix(page[len(page)-1].key, base)
	}
	return out, nil
}

// listError is the error of a read at a revision.
func listError(err error) error {
	// A revision to come is of the time before a backup was restored.
	if errors.Is(err, rpctypes.ErrCompacted) || errors.Is(err, rpctypes.ErrFutureRev) {
		return controlplane.Errorf(controlplane.CodeStale, "this cursor is too old").WithHint("list again from the beginning")
	}
	return storeError(err)
}
