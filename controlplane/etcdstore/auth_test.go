package etcdstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

const (
	rootPassword = "root's"
	edgePassword = "edge's"
)

// edgeRights are those of the documentation, docs/etcd.md, for an edge called
// edge-1.
var edgeRights = []struct {
	what   string // below the prefix; with a slash at its end, all below it
	rights clientv3.PermissionType
}{
	{"routes/", clientv3.PermissionType(clientv3.PermRead)},
	{"control/", clientv3.PermissionType(clientv3.PermRead)},
	{"wake/", clientv3.PermissionType(clientv3.PermReadWrite)},
	{"certs/", clientv3.PermissionType(clientv3.PermReadWrite)},
	{"edges/edge-1", clientv3.PermissionType(clientv3.PermReadWrite)},
	{"activity/edge-1/", clientv3.PermissionType(clientv3.PermReadWrite)},
}

// guarded is an etcd with authentication: the control plane is root, the edge
// has its rights.
type guarded struct {
	*world
	server *etcdtest.Server
	edge   *etcdstore.Store
	raw    *clientv3.Client // with the edge's rights
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := &guarded{server: server}
	prefix := etcdtest.Prefix(t)
	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	ctx := t.Context()
	steps := []func() error{
		func() error { _, err := admin.UserAdd(ctx, "root", rootPassword); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := admin.RoleAdd(ctx, "edge"); return err },
		func() error { _, err := admin.UserAdd(ctx, "edge-1", edgePassword); return err },
		func() error { _, err := admin.UserGrantRole(ctx, "edge-1", "edge"); return err },
	}
	for _, r := range edgeRights {
		end := ""
		if strings.HasSuffix(r.what, "/") {
			end = clientv3.GetPrefixRangeEnd(prefix + r.what)
		}
		steps = append(steps, func() error {
			_, err := admin.RoleGrantPermission(ctx, "edge", prefix+r.what, end, r.rights)
			return err
		})
	}
	steps = append(steps, func() error { _, err := admin.AuthEnable(ctx); return err })
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	root, rootClient := g.connect(t, "root", rootPassword)
	g.world = &world{T: t, Store: root, client: rootClient, prefix: prefix}
	g.edge, g.raw = g.connect(t, "edge-1", edgePassword)
	return g
}

func (g *guarded) connect(t *testing.T, user, password string) (*etcdstore.Store, *clientv3.Client) {
	t.Helper()
	file := filepath.Join(t.TempDir(), user)
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := etcdstore.Open(etcdstore.Config{
		Endpoints: []string{g.server.Endpoint()}, Prefix: etcdtest.Prefix(t), Username: user, PasswordFile: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{g.server.Endpoint()}, Username: user, Password: password, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(); client.Close() })
	return store, client
}

// follow feeds the newest revision of a prefix to the function that it returns.
func (g *guarded) follow(prefix string) (revision func() int64) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var newest int64
	var running sync.WaitGroup
	running.Go(func() {
		g.edge.Feed(ctx, prefix, func(b etcdstore.Batch) {
			mu.Lock()
			defer mu.Unlock()
			newest = b.Revision
		})
	})
	g.Cleanup(func() { cancel(); running.Wait() })
	return func() int64 {
		mu.Lock()
		defer mu.Unlock()
		return newest
	}
}

func TestAnEdgesUserCanDoWhatAnEdgeDoes(t *testing.T) {
	g := newGuarded(t)
	routes, control := g.follow(etcdstore.RoutesPrefix), g.follow(etcdstore.ControlPrefix)
	present := &world{T: t, Store: g.edge, client: g.client, prefix: g.prefix}
	e := present.reporting("edge-1")
	heard := g.heard()
	works := func(n int64) {
		t.Helper()
		app := newApp(numbered(int(n)))
		in := newInstance(app)
		revision := g.put(app, in)
		g.eventually("the routes", func() bool { return routes() >= revision })
		g.rawPut("control/main", `{"v":1,"address":"127.0.0.1:9000"}`)
		g.eventually("the control plane's address", func() bool { return control() > revision })
		e.apply(revision)
		g.says("edge-1", revision)
		e.tell(in.ID)
		g.eventually("its report", func() bool { return slices.Contains(heard(), in.ID) })
		for range 2 { // the second finds it there
			if err := g.edge.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: "edge-1"}, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if g.world.raw("wake/"+in.ID) == "" {
			t.Error("the wake did not come")
		}
		for _, key := range []string{"certs/acme/x", "activity/edge-1/x"} {
			// At once: the edge's next report deletes what is not of it.
			resp, err := g.raw.Txn(t.Context()).Then(clientv3.OpPut(g.prefix+key, "x"), clientv3.OpGet(g.prefix+key)).Commit()
			if err != nil || resp.Responses[1].GetResponseRange().Count != 1 {
				t.Errorf("write and read %s: %v", key, err)
			}
			if _, err := g.raw.Delete(t.Context(), g.prefix+key); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
	}
	works(1)
	// The server forgets its tokens, as it does when they expire.
	g.server.Stop()
	if err := g.server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Whom it has forgotten it asks for the password again, one after the other,
	// and compares that slowly on purpose.
	g.eventually("the store knows all again", func() bool {
		_, raw := g.raw.Get(t.Context(), g.prefix+"certs/x")
		_, edge := g.edge.Newer(t.Context(), etcdstore.RoutesPrefix, 1)
		_, own := g.Newer(t.Context(), etcdstore.RoutesPrefix, 1)
		return errors.Join(raw, edge, own) == nil
	})
	works(2)
	e.stop()
	if g.world.raw("edges/edge-1") != "" || len(e.keysOfReports()) > 0 {
		t.Error("its key is left after a clean end")
	}
}

func TestAnEdgesUserCanDoNothingElse(t *testing.T) {
	g := newGuarded(t)
	id := uuid.NewString()
	type verdict struct{ read, write bool }
	for key, want := range map[string]verdict{
		"apps/record/" + id: {}, "apps/instances/" + id + "/" + id: {}, "names/x": {}, "instances/" + id: {}, "aliases/record/x": {},
		"aliases/id/" + id: {}, "tags/x": {}, "secrets/x": {}, "daemons/x": {}, "audit/1": {}, "leader/x": {}, "tokens/x": {}, "signing/instance": {},
		"ping": {}, "activity/edge-2/00000": {}, "activity/edge-10/00000": {}, "activity/edge-1/00000": {true, true}, "edges/": {}, "edges/edge-2": {}, "edges/edge-10": {}, "activity/edge-2/0": {}, "activity/edge-1": {}, "zzz": {},
		"routes/instance/" + id: {read: true}, "routes/alias/x": {read: true}, "routes/mark": {read: true}, "control/x": {read: true},
		"wake/" + id: {true, true}, "certs/x": {true, true}, "edges/edge-1": {true, true}, "activity/edge-1/7": {true, true},
	} {
		t.Run(key, func(t *testing.T) {
			verify := func(what string, err error, allowed bool) {
				t.Helper()
				if allowed && err != nil || !allowed && !errors.Is(err, rpctypes.ErrPermissionDenied) {
					t.Errorf("%s: %v, want allowed %v", what, err, allowed)
				}
			}
			full := g.prefix + key
			_, err := g.raw.Get(t.Context(), full)
			verify("read", err, want.read)
			_, err = g.raw.Put(t.Context(), full, "{}")
			verify("write", err, want.write)
			_, err = g.raw.Delete(t.Context(), full)
			verify("delete", err, want.write)
			_, err = g.raw.Txn(t.Context()).If(clientv3.Compare(clientv3.CreateRevision(full), "=", 0)).
				Then(clientv3.OpPut(full, "{}")).Commit()
			verify("create if absent", err, want.write)
		})
	}
	refused := func(what string, err error) {
		t.Helper()
		// A watch has an error of its own type.
		if err == nil || !strings.Contains(err.Error(), rpctypes.ErrPermissionDenied.Error()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, options := range map[string][]clientv3.OpOption{
		"":        {clientv3.WithPrefix()},
		"routes/": {clientv3.WithFromKey()},
		"edges/":  {clientv3.WithPrefix()},
		"wake":    {clientv3.WithPrefix()},
	} {
		_, err := g.raw.Get(t.Context(), g.prefix+what, options...)
		refused("list "+what, err)
		_, err = g.raw.Delete(t.Context(), g.prefix+what, options...)
		refused("delete all of "+what, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		resp := <-g.raw.Watch(ctx, g.prefix+what, options...)
		cancel()
		refused("watch "+what, resp.Err())
	}
	_, err := g.raw.UserAdd(t.Context(), "me", "too")
	refused("add a user", err)
	if err := g.edge.MarkRoutes(t.Context(), 1); controlplane.CodeOf(err) != controlplane.CodeInternal || !strings.Contains(err.Error(), "etcd user") {
		t.Errorf("a store's error of a refusal is %v", err)
	}
}

func TestTheStoreNeedsItsPassword(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"missing": empty + "-not", "empty": empty, "none": ""} {
		if store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{"http://127.0.0.1:1"}, Username: "x", PasswordFile: file}); err == nil {
			store.Close()
			t.Errorf("%s: it opened", name)
		}
	}
}
