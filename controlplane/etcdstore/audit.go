package etcdstore

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// WatchAudit implements controlplane.Store. Of a store that goes away the watch
// is resumed where it was.
func (s *Store) WatchAudit(ctx context.Context, after int64, sink func([]*controlplane.AuditRecord)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := s.client.Watch(clientv3.WithRequireLeader(ctx), s.prefix+auditPrefix, clientv3.WithPrefix(), clientv3.WithRev(after+1))
	for resp := range watch {
		if resp.CompactRevision != 0 || errors.Is(resp.Err(), rpctypes.ErrCompacted) {
			return controlplane.Errorf(controlplane.CodeStale, "the store does not remember revision %d", after).WithHint("list the audit, and go on from there")
		}
		if err := resp.Err(); err != nil {
			return storeError(err)
		}
		var records []*controlplane.AuditRecord
		for _, e := range resp.Events {
			r := new(controlplane.AuditRecord)
			if err := decode(string(e.Kv.Key), e.Kv.Value, r); err != nil {
				s.log.Error("audit record refused", zap.Error(err))
				continue
			}
			r.Revision = e.Kv.ModRevision
			records = append(records, r)
		}
		if len(records) > 0 {
			sink(records)
		}
	}
	return ctx.Err()
}
