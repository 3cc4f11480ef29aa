package routes_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// FuzzLive feeds a live table with any records in any order, by watch and by
// lists in pages: it is always the last good record of every key that the store
// has, and nothing else.
func FuzzLive(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x01\x01\x05\x00\x02"), "routes/instance/x", []byte("{"))
	f.Add([]byte{0, 1, 1, 1, 5, 0, 5, 3, 2, 1, 5, 2, 1, 5}, "routes/alias/sales", []byte(`{"v":1}`))
	f.Add([]byte{4, 5, 6, 4, 5, 9, 3, 2, 1, 6, 5}, "routes/policy/x", []byte(nil))
	f.Fuzz(func(t *testing.T, steps []byte, key string, value []byte) {
		if len(steps) > 100 {
			return
		}
		y, model := newYard(t, routes.Config{}), newModel()
		defer y.stop()
		y.list(1, etcdstore.AtStart)
		for i, step := range steps {
			n, revision := int(step/8)%8, int64(i+2)
			var events []etcdstore.Event
			switch step % 8 {
			case 0:
				events = []etcdstore.Event{put(n, "ann", revision)}
			case 1:
				events = []etcdstore.Event{poison(n, revision)}
			case 2:
				events = []etcdstore.Event{gone(n, revision)}
			case 3:
				events = []etcdstore.Event{alias("sales", n, revision), put(n+1, "bob", revision)}
			case 4:
				events = []etcdstore.Event{{Key: key, Value: value, Revision: revision}}
			case 5: // a list in two pages
				all := model.list()
				cut := min(n, len(all))
				y.sink(etcdstore.Batch{Revision: revision, Full: true, First: true, More: true, Cluster: 1, Events: all[:cut]})
				y.sink(etcdstore.Batch{Revision: revision, Full: true, Cluster: 1, Events: all[cut:]})
			case 6: // one that is broken off, and lists nothing
				y.sink(etcdstore.Batch{Revision: revision, Full: true, First: true, More: true, Cluster: 1})
			case 7:
				events = []etcdstore.Event{policy(n, "ann", revision), revoked(n, revision)}
				if n > 5 {
					events[0].Value, events[1].Value = nil, nil
				}
			}
			if step%8 != 5 && step%8 != 6 {
				model.apply(events)
				y.watch(revision, events...)
			}
			model.check(t, y.Table())
		}
	})
}

// model says plainly what a live table is.
type model struct {
	store map[string]etcdstore.Event // what etcd has
	good  map[string]routing.Change  // the last good record of each key
}

func newModel() *model {
	return &model{map[string]etcdstore.Event{}, map[string]routing.Change{}}
}

func (m *model) apply(events []etcdstore.Event) {
	for _, e := range events {
		change, ok, err := etcdstore.RouteChange(e)
		if e.Value == nil {
			delete(m.store, e.Key)
			delete(m.good, e.Key)
			continue
		}
		m.store[e.Key] = e
		if ok && err == nil {
			m.good[e.Key] = change
		}
	}
}

func (m *model) list() (events []etcdstore.Event) {
	for _, key := range slices.Sorted(maps.Keys(m.store)) {
		events = append(events, m.store[key])
	}
	return events
}

func (m *model) check(t *testing.T, table *routing.Table) {
	t.Helper()
	want := routing.NewTable().Apply(1, slices.Collect(maps.Values(m.good)))
	wantInstances, wantAliases := want.Len()
	instances, aliases := table.Len()
	if instances != wantInstances || aliases != wantAliases {
		t.Fatalf("%d instances and %d aliases, want %d and %d", instances, aliases, wantInstances, wantAliases)
	}
	wantPolicies, wantRecords := want.LenOthers()
	if policies, records := table.LenOthers(); policies != wantPolicies || records != wantRecords {
		t.Fatalf("%d policies and %d records, want %d and %d", policies, records, wantPolicies, wantRecords)
	}
	for key, change := range m.good {
		if !table.Has(change) {
			t.Errorf("the record of %s is not the last good one", key)
		}
	}
}
