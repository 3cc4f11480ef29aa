package etcdstore_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// world is a store with etcd's own view of it.
type world struct {
	*testing.T
	*etcdstore.Store
	client *clientv3.Client
	prefix string
}

func newWorld(t *testing.T) *world { return worldOn(t, etcdtest.Shared(t)) }

func worldOn(t *testing.T, server *etcdtest.Server) *world {
	t.Helper()
	return &world{T: t, Store: server.Open(t), client: server.Client(t), prefix: etcdtest.Prefix(t)}
}

func (w *world) update(f func(controlplane.Tx) error) int64 {
	w.Helper()
	rev, err := w.Update(w.Context(), f)
	if err != nil {
		w.Fatal(err)
	}
	return rev
}

func (w *world) put(records ...any) int64 {
	w.Helper()
	return w.update(func(tx controlplane.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// raw is the value of a key below the prefix, "" where there is none.
func (w *world) raw(key string) string {
	w.Helper()
	resp, err := w.client.Get(w.Context(), w.prefix+key)
	if err != nil {
		w.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

// revision is the one at which a key was written last.
func (w *world) revision(key string) int64 {
	w.Helper()
	resp, err := w.client.Get(w.Context(), w.prefix+key)
	if err != nil || len(resp.Kvs) == 0 {
		w.Fatalf("no key %s: %v", key, err)
	}
	return resp.Kvs[0].ModRevision
}

func (w *world) rawPut(key, value string) {
	w.Helper()
	if _, err := w.client.Put(w.Context(), w.prefix+key, value); err != nil {
		w.Fatal(err)
	}
}

// keys lists the keys below the prefix.
func (w *world) keys() []string {
	w.Helper()
	resp, err := w.client.Get(w.Context(), w.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		w.Fatal(err)
	}
	keys := make([]string, len(resp.Kvs))
	for i, kv := range resp.Kvs {
		keys[i] = strings.TrimPrefix(string(kv.Key), w.prefix)
	}
	return keys
}

// changedAt lists the keys that a revision changed.
func (w *world) changedAt(rev int64) []string {
	w.Helper()
	resp, open := <-w.client.Watch(w.Context(), w.prefix, clientv3.WithPrefix(), clientv3.WithRev(rev))
	if !open {
		w.Fatal("the watch ended")
	}
	keys := map[string]bool{}
	for _, ev := range resp.Events {
		if ev.Kv.ModRevision == rev {
			keys[strings.TrimPrefix(string(ev.Kv.Key), w.prefix)] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCode(t *testing.T, err error, code controlplane.Code) {
	t.Helper()
	if err == nil || controlplane.CodeOf(err) != code {
		t.Errorf("error %v, want code %s", err, code)
	}
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func newApp(name string) *controlplane.App {
	return &controlplane.App{
		ID: uuid.NewString(), Name: name, Version: "1.0", Title: name, Owner: "ada", Visibility: controlplane.Private,
		Tags: []string{}, Lifecycle: controlplane.OnDemand, RoutingMode: controlplane.Domain, AppMode: controlplane.Python,
		Manifest: controlplane.Manifest{Name: name, Runtime: controlplane.Runtime{Module: "app"}}, CreatedAt: noon, UpdatedAt: noon,
	}
}

func newInstance(app *controlplane.App) *controlplane.Instance {
	return &controlplane.Instance{
		ID: uuid.NewString(), AppID: app.ID, AppName: app.Name, AppVersion: app.Version, Owner: "ada",
		Visibility: controlplane.Private, Status: controlplane.Pending, RoutingMode: controlplane.Domain,
		Launcher: "process", Generation: 1, CreatedAt: noon, UpdatedAt: noon,
	}
}

func newAlias(name, instance string) *controlplane.Alias {
	return &controlplane.Alias{ID: uuid.NewString(), Name: name, InstanceID: instance, CreatedAt: noon, UpdatedAt: noon}
}

func numbered(i int) string { return fmt.Sprintf("app-%03d", i) }
