package etcdstore

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func (t *tx) EdgeSettings() (*controlplane.EdgeSettings, error) {
	settings := new(controlplane.EdgeSettings)
	_, ok, err := t.load(RecordRouteKey(RecordSettings), settings)
	if err != nil || !ok {
		return nil, err
	}
	return settings, nil
}

func (t *tx) PutEdgeSettings(settings controlplane.EdgeSettings) {
	t.put(RecordRouteKey(RecordSettings), settings)
}

func (t *tx) Places() (map[string]controlplane.Place, error) {
	prefix := t.store.prefix + placesPrefix
	resp, err := t.store.client.Get(t.ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, storeError(err)
	}
	t.compareRange(prefix, resp.Header.Revision)
	places := make(map[string]controlplane.Place, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		var p controlplane.Place
		if err := decode(string(kv.Key), kv.Value, &p); err != nil {
			return nil, storeError(err)
		}
		places[strings.TrimPrefix(string(kv.Key), prefix)] = p
	}
	return places, nil
}

// ForgetPlaces lets the next control plane that leads say where its launchers
// have their workloads. It is for who knows that no other place is in use.
func (s *Store) ForgetPlaces(ctx context.Context) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if _, err := s.client.Delete(ctx, s.prefix+placesPrefix, clientv3.WithPrefix()); err != nil {
		return fmt.Errorf("forget places of launchers: %w", storeError(err))
	}
	return nil
}

func (t *tx) PutPlace(launcher string, p controlplane.Place) { t.put(placesPrefix+launcher, p) }
