// Package fill fills a store with routes for benchmarks: what the control
// plane would write for instances that run. They have no records of their own,
// so no control plane touches them.
package fill

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

const (
	batch  = 128 // operations that a transaction of etcd takes
	atOnce = 16  // transactions, which etcd writes to disk together
)

// Instances writes n instances in DOMAIN mode that all answer at one endpoint.
func Instances(ctx context.Context, client *clientv3.Client, n int, endpoint string) error {
	writers, ctx := errgroup.WithContext(ctx)
	writers.SetLimit(atOnce)
	for from := 0; from < n; from += batch {
		writers.Go(func() error {
			var puts []clientv3.Op
			for i := from; i < min(n, from+batch); i++ {
				puts = append(puts, clientv3.OpPut(etcdstore.DefaultPrefix+etcdstore.InstanceRouteKey(ID(i)), record(endpoint, "")))
			}
			_, err := client.Txn(ctx).Then(puts...).Commit()
			return err
		})
	}
	if err := writers.Wait(); err != nil {
		return fmt.Errorf("fill routes: %w", err)
	}
	return nil
}

// Alias is the operation that lets an alias lead to an instance.
func Alias(name string, instance routing.ID) clientv3.Op {
	return clientv3.OpPut(etcdstore.DefaultPrefix+etcdstore.AliasRouteKey(name), fmt.Sprintf(`{"v":1,"instance_id":%q}`, instance))
}

// Instance is the operation that writes one instance, whose primary alias may
// be "".
func Instance(id routing.ID, endpoint, primary string) clientv3.Op {
	return clientv3.OpPut(etcdstore.DefaultPrefix+etcdstore.InstanceRouteKey(id), record(endpoint, primary))
}

// Private is the operation that writes an instance that its owner alone opens.
func Private(id routing.ID, endpoint, owner string) clientv3.Op {
	value := strings.NewReplacer("PUBLIC", "PRIVATE", `"bench"`, strconv.Quote(owner)).Replace(record(endpoint, ""))
	return clientv3.OpPut(etcdstore.DefaultPrefix+etcdstore.InstanceRouteKey(id), value)
}

// ID is the ID of the i-th instance.
func ID(i int) routing.ID {
	id, _ := routing.ParseID(fmt.Sprintf("%08x-1111-4222-8333-444444444444", i))
	return id
}

func record(endpoint, primary string) string {
	if primary != "" {
		primary = fmt.Sprintf(`"primary_alias":%q,`, primary)
	}
	return fmt.Sprintf(`{"v":1,"app":"00000000-0000-4000-8000-000000000000","mode":"DOMAIN","status":"DEPLOYED",%s`+
		`"endpoint":%q,"generation":1,"visibility":"PUBLIC","owner":"bench","wake":"visitors"}`, primary, endpoint)
}
