package etcdstore

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

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
	t.routed[id] = routeOf(in)
	return in, nil
}

// ReadAhead implements controlplane.Tx.
func (t *tx) ReadAhead(of ...*controlplane.Instance) error {
	if t.ahead == nil {
		t.ahead = make(map[string]read, 4*len(of))
	}
	ask := map[string]bool{}
	for _, in := range of {
		keys := []string{instanceKey(in.ID), eventsKey(in.ID), RecordRouteKey(RecordOfProgress(in.ID)), appStartsKey(in.AppID)}
		// Of a record that others have changed since, the rest is old as well.
		if reads, ok := t.store.recent.all(keys); ok && !t.afresh && reads[0].revision == in.Revision {
			t.recalled = true
			for i, key := range keys {
				t.ahead[key] = reads[i]
			}
			continue
		}
		for _, key := range keys {
			ask[key] = true
		}
	}
	for some := range slices.Chunk(slices.Collect(maps.Keys(ask)), maxOps) {
		gets := make([]clientv3.Op, len(some))
		for i, key := range some {
			gets[i] = clientv3.OpGet(t.store.prefix + key)
		}
		resp, err := t.store.client.Txn(t.ctx).Then(gets...).Commit()
		if err != nil {
			return storeError(err)
		}
		for i, key := range some {
			t.ahead[key] = readOf(resp.Responses[i].GetResponseRange().Kvs)
		}
		t.revision = max(t.revision, resp.Header.Revision)
	}
	return nil
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

func (t *tx) putInstance(in *controlplane.Instance) {
	old, err := t.get(instanceKey(in.ID))
	if err != nil {
		t.fail(err)
		return
	}
	before, known := t.routed[in.ID]
	switch {
	case old.raw == nil:
		before = nil
		t.putPlain(appInstanceKey(in.AppID, in.ID), struct{}{})
		t.putPlain(ownedInstances(in.Owner)+in.ID, struct{}{})
	case !known:
		var was controlplane.Instance
		if err := json.Unmarshal(old.raw, &was); err != nil {
			t.fail(fmt.Errorf("read %s: %w", instanceKey(in.ID), err))
			return
		}
		before = routeOf(&was)
	}
	t.put(instanceKey(in.ID), in)
	after := routeOf(in)
	t.routed[in.ID] = after
	switch {
	case after == nil:
		t.delete(routeInstanceKey(in.ID))
	case before == nil || *before != *after:
		t.putPlain(routeInstanceKey(in.ID), after)
	}
	t.written = append(t.written, func(rev int64) { in.Revision = rev })
}
