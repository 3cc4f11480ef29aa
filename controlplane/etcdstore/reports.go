package etcdstore

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Reports are what a presence has to tell from time to time, in keys of its own
// that live as long as its key does.
type Reports struct {
	Prefix string        // of the keys, relative to the store's; with a slash at its end
	Every  time.Duration // a report is due
	// Next is the values of the report that is due, objects of at most 100 KB
	// each, and what to call when they are written. Nothing new: no values. It is
	// asked again for what was not written, and at the end for the last report.
	Next func() (values []any, written func())
}

// ActivityKeys is the prefix of an edge's reports, for Reports.
func ActivityKeys(edge string) string { return activityPrefix + edge + "/" }

// valuesAtOnce is how many values of a report one transaction writes: etcd takes
// 1.5 MiB.
const valuesAtOnce = 8

// report writes the report that is due, and deletes what an earlier one has left:
// its times were told as how long ago they were then. Like write it changes
// nothing where the presence's key is not ours any more.
func (k *presentKey) report(ctx context.Context) error {
	values, written := k.Reports.Next()
	if len(values) == 0 && !k.reported {
		return nil
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	prefix := k.store.prefix + k.Reports.Prefix
	// First what is too much: from then on there is nothing that is old.
	ops := []clientv3.Op{clientv3.OpDelete(reportKey(prefix, len(values)), clientv3.WithRange(clientv3.GetPrefixRangeEnd(prefix)))}
	k.reported = true
	for i, v := range values {
		value, err := encode(v)
		if err != nil {
			return err
		}
		ops = append(ops, clientv3.OpPut(reportKey(prefix, i), string(value), clientv3.WithLease(k.lease)))
		if len(ops) > valuesAtOnce {
			if err := k.commit(ctx, ops); err != nil {
				return err
			}
			ops = ops[:0]
		}
	}
	if len(ops) > 0 {
		if err := k.commit(ctx, ops); err != nil {
			return err
		}
	}
	k.reported = len(values) > 0
	written()
	return nil
}

func (k *presentKey) commit(ctx context.Context, ops []clientv3.Op) error {
	resp, err := k.store.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(k.store.prefix+k.Key), "=", k.revision)).
		Then(ops...).
		Commit()
	if err == nil && !resp.Succeeded {
		err = errLeaseLost
	}
	return err
}

// reportKey keeps the keys of a report in the order of their numbers.
func reportKey(prefix string, n int) string { return fmt.Sprintf("%s%05d", prefix, n) }

// lastReport is what there is to tell at the end.
func (k *presentKey) lastReport(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	_ = k.report(ctx) // nobody asks any more
}
