package etcdstore

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

var _ controlplane.EdgeStore = (*Store)(nil)

// EdgeKey is the key of an edge, for Present.
func EdgeKey(name string) string { return edgesPrefix + name }

// ControlKey is the key of a control plane, for Present.
func ControlKey(name string) string { return controlPrefix + name }

// ControlPrefix is what an edge without a control plane feeds itself from, to
// find one.
const ControlPrefix = controlPrefix

// ControlAddress is the value of control/<name>: where a live control plane
// answers other edges.
type ControlAddress struct {
	Address string `json:"address"`            // host:port
	TLSName string `json:"tls_name,omitempty"` // in its certificate; empty: plain HTTP
}

// ReadControlAddress reads an event of the feed of ControlPrefix that is not a
// deletion.
func ReadControlAddress(e Event) (a ControlAddress, err error) {
	err = decode(e.Key, e.Value, &a)
	return a, err
}

// WatchEdges implements controlplane.EdgeStore. An edge whose value does not
// parse is there all the same: it is told with revision 0.
func (s *Store) WatchEdges(ctx context.Context, sink func(controlplane.EdgeBatch)) {
	s.Feed(ctx, edgesPrefix, func(b Batch) {
		out := controlplane.EdgeBatch{Full: b.Full, Revision: b.Revision}
		for _, e := range b.Events {
			name := strings.TrimPrefix(e.Key, edgesPrefix)
			if e.Value == nil {
				out.Gone = append(out.Gone, name)
				continue
			}
			var edge controlplane.Edge
			if err := decode(e.Key, e.Value, &edge); err != nil {
				s.log.Error("edge refused", zap.Error(err))
				edge = controlplane.Edge{}
			}
			edge.Name = name
			out.Put = append(out.Put, edge)
		}
		sink(out)
	})
}

// MarkRoutes implements controlplane.EdgeStore: it writes routes/mark, unless
// that was written at this revision or after it.
func (s *Store) MarkRoutes(ctx context.Context, revision int64) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	value, err := encode(struct{}{})
	if err != nil {
		return storeError(err)
	}
	key := s.prefix + routeMark
	_, err = s.commit(ctx,
		[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "<", revision)},
		[]clientv3.Op{clientv3.OpPut(key, string(value))})
	return storeError(err)
}
