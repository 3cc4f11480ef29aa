package etcdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// maxAttempts ends a transaction that always finds its reads changed. Each
// attempt loses against somebody's success, so that many losses mean a bug.
const maxAttempts = 64

// Update implements controlplane.Store.
func (s *Store) Update(ctx context.Context, f func(controlplane.Tx) error) (int64, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	for range maxAttempts {
		t := &tx{ctx: ctx, store: s, reads: map[string]read{}, writes: map[string][]byte{}}
		if err := f(t); err != nil {
			return 0, err
		}
		if t.err != nil {
			return 0, t.err
		}
		revision, ok, err := t.commit()
		if err != nil {
			return 0, storeError(err)
		}
		if ok {
			return revision, nil
		}
	}
	return 0, controlplane.Errorf(controlplane.CodeConflict, "the records keep changing").WithHint("try again")
}

// tx is a controlplane.Tx: reads with the revisions they saw, writes to come.
type tx struct {
	ctx      context.Context
	store    *Store
	reads    map[string]read
	compares []clientv3.Cmp
	writes   map[string][]byte // nil: delete
	ttls     map[string]int64  // of writes that go away by themselves, in seconds
	renew    map[string]bool   // of those, what gets the whole of its time again
	audit    *controlplane.AuditRecord
	written  []func(revision int64)
	revision int64 // the newest that a read saw
	err      error // of a write; ends the transaction
}

type read struct {
	raw      []byte // nil: absent
	revision int64
}

// get reads a key as this transaction sees it.
func (t *tx) get(key string) (read, error) {
	if raw, ok := t.writes[key]; ok {
		return read{raw: raw, revision: t.reads[key].revision}, nil
	}
	if r, ok := t.reads[key]; ok {
		return r, nil
	}
	resp, err := t.store.client.Get(t.ctx, t.store.prefix+key)
	if err != nil {
		return read{}, storeError(err)
	}
	var r read
	if len(resp.Kvs) > 0 {
		r = read{raw: resp.Kvs[0].Value, revision: resp.Kvs[0].ModRevision}
	}
	t.reads[key] = r
	t.revision = max(t.revision, resp.Header.Revision)
	return r, nil
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
	if old.raw != nil {
		if err := decode(key, old.raw, &struct{}{}); err != nil {
			t.fail(storeError(err))
			return
		}
	}
	raw, err := encode(record, old.raw)
	if err != nil {
		t.fail(fmt.Errorf("write %s: %w", key, err))
		return
	}
	t.writes[key] = raw
}

// putPlain writes a value that nobody else adds fields to.
func (t *tx) putPlain(key string, value any) {
	raw, err := encode(value, nil)
	if err != nil {
		t.fail(fmt.Errorf("write %s: %w", key, err))
		return
	}
	t.writes[key] = raw
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
	t.putAudit()
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
	resp, err := t.store.client.Txn(t.ctx).If(t.compares...).Then(ops...).Commit()
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

func notFound(kind, id string) error {
	return controlplane.Errorf(controlplane.CodeNotFound, "no %s %q", kind, id)
}

func (t *tx) App(id string) (*controlplane.App, error) {
	app := new(controlplane.App)
	rev, ok, err := t.load(appKey(id), app)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("app", id)
	}
	app.Revision = rev
	return app, nil
}

func (t *tx) Instance(id string) (*controlplane.Instance, error) {
	in := new(controlplane.Instance)
	rev, ok, err := t.load(instanceKey(id), in)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("instance", id)
	}
	in.Revision = rev
	return in, nil
}

func (t *tx) Alias(nameOrID string) (*controlplane.Alias, error) {
	name := nameOrID
	if isUUID(nameOrID) {
		var pointer nameRef
		_, ok, err := t.load(aliasIDKey(nameOrID), &pointer)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, notFound("alias", nameOrID)
		}
		name = pointer.Name
	}
	alias := new(controlplane.Alias)
	rev, ok, err := t.load(aliasKey(name), alias)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("alias", nameOrID)
	}
	alias.Revision = rev
	return alias, nil
}

// isUUID tells IDs from names. A name may have the hyphens of an ID, but then
// not its digits only.
func isUUID(s string) bool {
	_, err := uuid.Parse(s)
	return len(s) == 36 && err == nil
}

// Index values.
type (
	nameRef struct {
		Name string `json:"name"`
	}
	idRef struct {
		ID string `json:"id"`
	}
	ownerRef struct {
		Owner string `json:"owner"`
	}
)

func (t *tx) AppByName(name, version string) (string, error) {
	var ref idRef
	_, _, err := t.load(versionKey(name, version), &ref)
	return ref.ID, err
}

func (t *tx) NameOwner(name string) (string, error) {
	var ref ownerRef
	_, _, err := t.load(nameKey(name), &ref)
	return ref.Owner, err
}

func (t *tx) InstancesOf(appID string) ([]string, error) {
	prefix := t.store.prefix + appInstances(appID)
	resp, err := t.store.client.Get(t.ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, storeError(err)
	}
	t.compareRange(prefix, resp.Header.Revision)
	ids := make([]string, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		ids = append(ids, strings.TrimPrefix(string(kv.Key), prefix))
	}
	// What this transaction itself added or removed is not in etcd yet.
	own := appInstances(appID)
	for key, raw := range t.writes {
		id, found := strings.CutPrefix(key, own)
		switch {
		case !found:
		case raw == nil:
			ids = slices.DeleteFunc(ids, func(x string) bool { return x == id })
		case !slices.Contains(ids, id):
			ids = append(ids, id)
		}
	}
	return ids, nil
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
	default:
		t.fail(fmt.Errorf("write record: %T is not one", record))
	}
	return t.err
}

func (t *tx) putApp(a *controlplane.App) {
	old, err := t.get(appKey(a.ID))
	if err != nil {
		t.fail(err)
		return
	}
	if old.raw == nil {
		t.putPlain(versionKey(a.Name, a.Version), idRef{a.ID})
		t.putPlain(ownedApps(a.Owner)+a.ID, struct{}{})
		if owner, err := t.NameOwner(a.Name); err != nil {
			t.fail(err)
		} else if owner == "" {
			t.putPlain(nameKey(a.Name), ownerRef{a.Owner})
		}
	}
	t.put(appKey(a.ID), a)
	if err := t.PutPolicy(a); err != nil {
		return
	}
	t.written = append(t.written, func(rev int64) { a.Revision = rev })
}

func (t *tx) PutPolicy(a *controlplane.App) error {
	roles, err := controlplane.VisitorRoles(t, a)
	if err != nil {
		t.fail(err)
		return t.err
	}
	t.putPlain(routePolicyKey(a.ID), policyOf(a, roles))
	return t.err
}

func (t *tx) putInstance(in *controlplane.Instance) {
	old, err := t.get(instanceKey(in.ID))
	if err != nil {
		t.fail(err)
		return
	}
	var before *instanceRoute
	if old.raw == nil {
		t.putPlain(appInstanceKey(in.AppID, in.ID), struct{}{})
		t.putPlain(ownedInstances(in.Owner)+in.ID, struct{}{})
	} else {
		var was controlplane.Instance
		if err := json.Unmarshal(old.raw, &was); err != nil {
			t.fail(fmt.Errorf("read %s: %w", instanceKey(in.ID), err))
			return
		}
		before = routeOf(&was)
	}
	t.put(instanceKey(in.ID), in)
	after := routeOf(in)
	switch {
	case after == nil:
		t.delete(routeInstanceKey(in.ID))
	case before == nil || *before != *after:
		t.putPlain(routeInstanceKey(in.ID), after)
	}
	t.written = append(t.written, func(rev int64) { in.Revision = rev })
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
	case *controlplane.Token:
		t.delete(tokenKey(r.Hash))
		t.delete(tokenOfKey(r.User, r.ID))
	case *controlplane.Tag:
		t.delete(tagKey(r.Name))
	default:
		t.fail(fmt.Errorf("delete record: %T is not one", record))
	}
	return t.err
}
