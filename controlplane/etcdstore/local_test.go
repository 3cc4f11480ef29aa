package etcdstore_test

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// counted counts the transactions that go by it.
type counted struct {
	clientv3.KV
	txns int
}

func (c *counted) Txn(ctx context.Context) clientv3.Txn {
	c.txns++
	return c.KV.Txn(ctx)
}

func TestAServerOfThisProcessIsAskedWithoutAConnection(t *testing.T) {
	w := newWorld(t)
	endpoint := etcdtest.NewLine(t, etcdtest.Shared(t).Endpoint()).Endpoint() // nobody else's
	kv := &counted{KV: w.client}
	stop := etcdstore.Local(endpoint, kv)
	for _, c := range []struct {
		name      string
		endpoints []string
		before    func()
		asked     bool
	}{
		{"its endpoint alone", []string{endpoint}, func() {}, true},
		{"its endpoint among others", []string{endpoint, "http://127.0.0.1:1"}, func() {}, false},
		{"after its end", []string{endpoint}, stop, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.before()
			s, err := etcdstore.Open(etcdstore.Config{Endpoints: c.endpoints})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			before := kv.txns
			w.Store = s
			w.put(newApp("demo"))
			if asked := kv.txns > before; asked != c.asked {
				t.Errorf("asked without a connection: %v, want %v", asked, c.asked)
			}
		})
	}
}
