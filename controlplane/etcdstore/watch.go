package etcdstore

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// WatchInstances implements controlplane.Watcher. A record that does not parse
// is logged and told as Unread: it must not keep the others from their control
// plane, nor pass for gone.
func (s *Store) WatchInstances(ctx context.Context, sink func(controlplane.InstanceBatch)) {
	s.Feed(ctx, instancesPrefix, func(b Batch) {
		out := controlplane.InstanceBatch{Full: b.Full}
		for _, e := range b.Events {
			if e.Value == nil {
				out.Gone = append(out.Gone, strings.TrimPrefix(e.Key, instancesPrefix))
				continue
			}
			in := new(controlplane.Instance)
			if err := decode(e.Key, e.Value, in); err != nil {
				s.log.Error("instance record refused", zap.Error(err))
				out.Unread = append(out.Unread, strings.TrimPrefix(e.Key, instancesPrefix))
				continue
			}
			in.Revision = e.Revision
			out.Put = append(out.Put, in)
		}
		sink(out)
	})
}

// maxIntent bounds an intent in bytes: what it says goes into records and events,
// and edges write it.
const maxIntent = 4096

// WatchWakes implements controlplane.Watcher.
func (s *Store) WatchWakes(ctx context.Context, sink func(controlplane.WakeBatch)) {
	s.Feed(ctx, wakePrefix, func(b Batch) {
		out := controlplane.WakeBatch{Full: b.Full}
		for _, e := range b.Events {
			id := strings.TrimPrefix(e.Key, wakePrefix)
			if e.Value == nil {
				out.Gone = append(out.Gone, id)
				continue
			}
			// What cannot be read is an intent all the same: by nobody known.
			intent := new(controlplane.WakeIntent)
			err := decode(e.Key, e.Value, intent)
			if len(e.Value) > maxIntent {
				err = fmt.Errorf("read %s: it has %d bytes, and %d are the most", e.Key, len(e.Value), maxIntent)
			}
			if err != nil {
				s.log.Error("wake intent refused", zap.Error(err))
				*intent = controlplane.WakeIntent{}
			}
			intent.InstanceID, intent.Revision = id, e.Revision
			out.Put = append(out.Put, intent)
		}
		sink(out)
	})
}

var _ controlplane.Watcher = (*Store)(nil)
