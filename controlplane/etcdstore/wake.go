package etcdstore

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Wake registers an intent, once: one that is registered already, by this edge
// or another, is as good, and to find it costs a read alone. It goes away by
// itself after ttl if no control plane takes it up, so that nobody is woken for
// visitors long gone.
func (s *Store) Wake(ctx context.Context, intent controlplane.WakeIntent, ttl time.Duration) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	key := s.prefix + wakeKey(intent.InstanceID)
	there, err := s.client.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil || there.Count > 0 {
		return storeError(err)
	}
	lease, err := s.client.Grant(ctx, max(1, int64(ttl/time.Second)))
	if err != nil {
		return storeError(err)
	}
	value, err := encode(intent)
	if err != nil {
		return storeError(err)
	}
	resp, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(value), clientv3.WithLease(lease.ID))).
		Commit()
	if err != nil {
		return storeError(err)
	}
	if !resp.Succeeded {
		_, err = s.client.Revoke(ctx, lease.ID)
		return storeError(err)
	}
	return nil
}
