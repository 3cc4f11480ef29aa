package etcdstore

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// maxAttempts ends a transaction that always finds its reads changed. Each
// attempt loses against somebody's success, so that many losses mean a bug.
const maxAttempts = 64

// maxOps is how many operations etcd takes in one transaction, unless it is
// configured otherwise.
const maxOps = 128

// Update implements controlplane.Store.
func (s *Store) Update(ctx context.Context, f func(controlplane.Tx) error) (int64, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if err := s.fence.over(); err != nil {
		return 0, err
	}
	afresh := false // what was read in earlier transactions did not hold
	for n := 0; n < maxAttempts; {
		if n == 1 { // one at a time from now on, or all but one lose each time
			select {
			case s.turn <- struct{}{}:
				defer func() { <-s.turn }()
			case <-ctx.Done():
				return 0, errBusy
			}
		}
		t := &tx{ctx: ctx, store: s, reads: map[string]read{}, writes: map[string][]byte{}, whole: map[string]bool{}, routed: map[string]*instanceRoute{}, afresh: afresh}
		err := f(t)
		if err == nil {
			err = t.err
		}
		if t.recalled && (err != nil || len(t.writes) == 0) {
			s.recent.forget(t.ahead) // it may have been decided upon something old
			afresh = true
			continue
		}
		if err != nil {
			return 0, err
		}
		revision, ok, err := t.commit()
		switch {
		case err != nil:
			return 0, storeError(err)
		case ok:
			s.recent.keep(t, revision)
			return revision, nil
		case t.recalled:
			s.recent.forget(t.ahead)
		default:
			n++
		}
		afresh = true
	}
	return 0, errBusy
}

var errBusy = controlplane.Errorf(controlplane.CodeConflict, "the records keep changing").WithHint("try again")

// tx is a controlplane.Tx: reads with the revisions they saw, writes to come.
type tx struct {
	ctx      context.Context
	store    *Store
	reads    map[string]read
	ahead    map[string]read // what ReadAhead found
	afresh   bool            // ReadAhead asks the store
	recalled bool            // it did not, for some
	compares []clientv3.Cmp
	writes   map[string][]byte         // nil: delete
	whole    map[string]bool           // of those, what has no field but this program's
	ttls     map[string]int64          // of writes that go away by themselves, in seconds
	renew    map[string]bool           // of those, what gets the whole of its time again
	routed   map[string]*instanceRoute // what the records of instances that were read route
	audits   []*controlplane.AuditRecord
	written  []func(revision int64)
	revision int64 // the newest that a read saw
	err      error // of a write; ends the transaction
}

type read struct {
	raw      []byte // nil: absent
	revision int64
	whole    bool // this program knows all of its fields; false: perhaps
}

// get reads a key as this transaction sees it, which holds only if nobody else
// changes it before the commit.
func (t *tx) get(key string) (read, error) {
	r, err := t.peek(key)
	if _, written := t.writes[key]; err == nil && !written {
		t.reads[key] = r
	}
	return r, err
}

// peek reads a key as this transaction sees it, whatever becomes of it before the
// commit.
func (t *tx) peek(key string) (read, error) {
	if raw, ok := t.writes[key]; ok {
		return read{raw: raw, revision: t.reads[key].revision, whole: t.whole[key]}, nil
	}
	if r, ok := t.reads[key]; ok {
		return r, nil
	}
	if r, ok := t.ahead[key]; ok {
		return r, nil
	}
	resp, err := t.store.client.Get(t.ctx, t.store.prefix+key)
	if err != nil {
		return read{}, storeError(err)
	}
	t.revision = max(t.revision, resp.Header.Revision)
	return readOf(resp.Kvs), nil
}

// readOf is what a range of one key has brought.
func readOf(kvs []*mvccpb.KeyValue) read {
	if len(kvs) == 0 {
		return read{}
	}
	return read{raw: kvs[0].Value, revision: kvs[0].ModRevision}
}

// load reads a record into into; ok is false where there is none.
func (t *tx) load(key string, into any) (revision int64, ok bool, err error) {
	r, err := t.get(key)
	if err != nil || r.raw == nil {
		return 0, false, err
	}
	if err := decode(key, r.raw, into); err != nil {
		return 0, false, storeError(err)
	}
	return r.revision, true, nil
}

// put writes a record whole, keeping what this program does not know of it.
func (t *tx) put(key string, record any) {
	old, err := t.get(key)
	if err != nil {
		t.fail(err)
		return
	}
	if old.raw == nil || old.whole {
		t.putPlain(key, record)
		return
	}
	if err := readable(key, old.raw); err != nil {
		t.fail(storeError(err))
		return
	}
	raw, whole, err := encodeOver(record, old.raw)
	if err != nil {
		t.fail(fmt.Errorf("write %s: %w", key, err))
		return
	}
	t.writes[key], t.whole[key] = raw, whole
}

// putPlain writes a value that nobody else adds fields to.
func (t *tx) putPlain(key string, value any) {
	raw, err := encode(value)
	if err != nil {
		t.fail(fmt.Errorf("write %s: %w", key, err))
		return
	}
	t.writes[key], t.whole[key] = raw, true
}

func (t *tx) delete(key string) { t.writes[key] = nil }

func (t *tx) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// commit writes if every read still holds.
func (t *tx) commit() (revision int64, ok bool, err error) {
	if len(t.writes) == 0 {
		return t.revision, true, nil
	}
	t.putAudits()
	for key, r := range t.reads {
		t.compares = append(t.compares, clientv3.Compare(clientv3.ModRevision(t.store.prefix+key), "=", r.revision))
	}
	leases, err := t.leases()
	if err != nil {
		t.revokeLeases(leases)
		return 0, false, err
	}
	ops := make([]clientv3.Op, 0, len(t.writes))
	for key, raw := range t.writes {
		switch {
		case raw == nil:
			ops = append(ops, clientv3.OpDelete(t.store.prefix+key))
		case t.keepsEnd(key):
			ops = append(ops, clientv3.OpPut(t.store.prefix+key, string(raw), clientv3.WithIgnoreLease()))
		default:
			ops = append(ops, clientv3.OpPut(t.store.prefix+key, string(raw), clientv3.WithLease(leases[t.ttls[key]])))
		}
	}
	resp, err := t.store.commit(t.ctx, t.compares, ops)
	if err != nil {
		return 0, false, err // perhaps it was made: the leases stay
	}
	if !resp.Succeeded {
		t.revokeLeases(leases)
		return 0, false, nil
	}
	for _, f := range t.written {
		f(resp.Header.Revision)
	}
	return resp.Header.Revision, true, nil
}

// Size implements controlplane.Tx.
func (t *tx) Size() (n int) {
	for key, raw := range t.writes {
		n += len(key) + len(raw)
	}
	return n
}

func notFound(kind, id string) error {
	return controlplane.Errorf(controlplane.CodeNotFound, "no %s %q", kind, id)
}

func (t *tx) Put(record any) error {
	switch r := record.(type) {
	case *controlplane.App:
		t.putApp(r)
	case *controlplane.Instance:
		t.putInstance(r)
	case *controlplane.Alias:
		t.put(aliasKey(r.Name), r)
		t.putPlain(aliasIDKey(r.ID), nameRef{r.Name})
		t.putPlain(routeAliasKey(r.Name), aliasRoute{Instance: r.InstanceID})
		t.written = append(t.written, func(rev int64) { r.Revision = rev })
	case *controlplane.User:
		t.putUser(r)
	case *controlplane.Session:
		t.putSession(r)
	case *controlplane.Token:
		t.putToken(r)
	case *controlplane.Tag:
		t.put(tagKey(r.Name), r)
		t.written = append(t.written, func(rev int64) { r.Revision = rev })
	case *controlplane.Secret:
		t.put(secretKey(r.ID()), r)
		t.written = append(t.written, func(rev int64) { r.Revision = rev })
	case *controlplane.SealedSecret:
		t.put(sealedKey(r.ID), sealedValue{r.Sealed})
	default:
		t.fail(fmt.Errorf("write record: %T is not one", record))
	}
	return t.err
}

func (t *tx) Delete(record any) error {
	switch r := record.(type) {
	case *controlplane.App:
		t.delete(appKey(r.ID))
		t.delete(appStartsKey(r.ID))
		t.delete(versionKey(r.Name, r.Version))
		t.delete(routePolicyKey(r.ID))
		t.delete(ownedApps(r.Owner) + r.ID)
	case *controlplane.Instance:
		t.delete(instanceKey(r.ID))
		t.delete(appInstanceKey(r.AppID, r.ID))
		t.delete(ownedInstances(r.Owner) + r.ID)
		t.delete(routeInstanceKey(r.ID))
		t.delete(wakeKey(r.ID))
		t.delete(RecordRouteKey(RecordOfProgress(r.ID)))
		t.delete(eventsKey(r.ID))
	case *controlplane.Alias:
		t.delete(aliasKey(r.Name))
		t.delete(aliasIDKey(r.ID))
		t.delete(routeAliasKey(r.Name))
	case *controlplane.Session:
		t.delete(sessionKey(r.ID))
		t.delete(sessionsOf(r.User) + r.ID)
	case *controlplane.Token:
		t.delete(tokenKey(r.Hash))
		t.delete(tokenOfKey(r.User, r.ID))
	case *controlplane.Tag:
		t.delete(tagKey(r.Name))
	case *controlplane.Secret:
		t.delete(secretKey(r.ID()))
	case *controlplane.SealedSecret:
		t.delete(sealedKey(r.ID))
	default:
		t.fail(fmt.Errorf("delete record: %T is not one", record))
	}
	return t.err
}
