package etcdstore

import (
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// local are the servers of this process: endpoint → clientv3.KV. A configuration
// of Caddy is JSON, and can name a server but not hand it over.
var local sync.Map

// Local says that the server at an endpoint is in this process, until stop. A
// Store that is opened meanwhile with that endpoint alone reads and writes by kv,
// without the connection: a transaction that waits for the disk anyway takes a
// quarter less. Watches and leases go by the connection.
func Local(endpoint string, kv clientv3.KV) (stop func()) {
	local.Store(endpoint, kv)
	return func() { local.Delete(endpoint) }
}

// localKV is that of the only endpoint, if its server is in this process.
func localKV(endpoints []string) (kv clientv3.KV, ok bool) {
	if len(endpoints) != 1 {
		return nil, false
	}
	found, ok := local.Load(endpoints[0])
	if !ok {
		return nil, false
	}
	return found.(clientv3.KV), true
}
