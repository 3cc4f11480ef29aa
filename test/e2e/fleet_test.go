package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// fleet is one etcd with authentication, an edge with a control plane, and two
// pure edges, each a Caddy with a Caddyfile of its own.
type fleet struct {
	t        *testing.T
	dir      string
	endpoint string
	token    string
	control  *slipway
	edges    []*slipway // edge-1, edge-2
}

const fleetPassword = "a password of the tests"

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, control: newSlipway(t)}
	var err error
	if f.dir, err = os.MkdirTemp(slipwaytest.RuntimeDir, "etcd"); err != nil {
		t.Fatal(err)
	}
	server, err := embedded.Start(t.Context(), embedded.Config{DataDir: filepath.Join(f.dir, "data"), SocketDir: f.dir})
	if err != nil {
		t.Fatal(err)
	}
	f.endpoint = server.Endpoint()
	f.write(filepath.Join(f.dir, "password"), fleetPassword)
	f.guard()
	f.putToken()
	address := "127.0.0.1:" + freePort(t)
	f.start(f.control, "control-plane", fmt.Sprintf(`edge_name control
		control_plane %s
		blobs %[2]s/bundles
		launcher process {
			data %[2]s/processes
		}`, address, f.control.data))
	for _, name := range []string{"edge-1", "edge-2"} {
		e := &slipway{t: t, data: filepath.Join(t.TempDir(), name), port: freePort(t), env: f.control.env, sockets: f.control.sockets}
		t.Cleanup(e.kill)
		f.edges = append(f.edges, e)
		f.start(e, name, "edge_name "+name)
	}
	// Last of all, so first in the end: no edge outlives its store in vain.
	t.Cleanup(func() {
		for _, e := range append(f.edges, f.control) {
			e.kill()
		}
		server.Close()
	})
	return f
}

func (f *fleet) write(path, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// guard makes the users and roles of docs/etcd.md.
func (f *fleet) guard() {
	f.t.Helper()
	admin, err := clientv3.New(clientv3.Config{Endpoints: []string{f.endpoint}, Logger: zap.NewNop()})
	if err != nil {
		f.t.Fatal(err)
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	must := func(_ any, err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	grant := func(role, key, end string, rights clientv3.PermissionType) {
		f.t.Helper()
		must(admin.RoleGrantPermission(ctx, role, etcdstore.DefaultPrefix+key, end, rights))
	}
	below := func(key string) string { return clientv3.GetPrefixRangeEnd(etcdstore.DefaultPrefix + key) }
	must(admin.UserAdd(ctx, "root", fleetPassword))
	must(admin.UserGrantRole(ctx, "root", "root"))
	must(admin.RoleAdd(ctx, "control-plane"))
	grant("control-plane", "", below(""), clientv3.PermissionType(clientv3.PermReadWrite))
	must(admin.UserAdd(ctx, "control-plane", fleetPassword))
	must(admin.UserGrantRole(ctx, "control-plane", "control-plane"))
	must(admin.RoleAdd(ctx, "edge"))
	grant("edge", "routes/", below("routes/"), clientv3.PermissionType(clientv3.PermRead))
	grant("edge", "control/", below("control/"), clientv3.PermissionType(clientv3.PermRead))
	grant("edge", "wake/", below("wake/"), clientv3.PermissionType(clientv3.PermReadWrite))
	grant("edge", "certs/", below("certs/"), clientv3.PermissionType(clientv3.PermReadWrite))
	for _, name := range []string{"edge-1", "edge-2"} {
		must(admin.RoleAdd(ctx, name))
		grant(name, "edges/"+name, "", clientv3.PermissionType(clientv3.PermReadWrite))
		grant(name, "activity/"+name+"/", below("activity/"+name+"/"), clientv3.PermissionType(clientv3.PermReadWrite))
		must(admin.UserAdd(ctx, name, fleetPassword))
		must(admin.UserGrantRole(ctx, name, "edge"))
		must(admin.UserGrantRole(ctx, name, name))
	}
	must(admin.AuthEnable(ctx))
}

// putToken makes an admin: `slipway run` makes none.
func (f *fleet) putToken() {
	f.t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{f.endpoint}, Username: "control-plane", PasswordFile: filepath.Join(f.dir, "password")})
	if err != nil {
		f.t.Fatal(err)
	}
	defer store.Close()
	f.token = etcdtest.Admin(f.t, store)
}

// start runs a Caddyfile as an etcd user, and waits until it is ready.
func (f *fleet) start(s *slipway, user, settings string) {
	f.t.Helper()
	slipwaytest.WriteCaddyfile(f.t, s.data, fmt.Sprintf(`
	admin off
	grace_period 1s
	slipway {
		base_url http://localhost:%s
		etcd %s {
			username %s
			password_file %s/password
		}
		%s
	}`, s.port, f.endpoint, user, f.dir, settings), slipwaytest.Site(s.port))
	if err := cli.WriteContext(s.config(), "http://localhost:"+s.port, f.token); err != nil {
		f.t.Fatal(err)
	}
	s.process = slipwaytest.RunCaddyfile(f.t, s.data, s.env)
	f.t.Cleanup(func() {
		if f.t.Failed() {
			f.t.Log(s.process.Tail())
		}
	})
	eventually(f.t, user+" is ready", func() bool {
		a, err := s.ask(request{host: "localhost", target: "/readyz"})
		return err == nil && a.status == 200
	})
}

// all are the three edges.
func (f *fleet) all() []*slipway { return append([]*slipway{f.control}, f.edges...) }

func (s *slipway) signal(sig syscall.Signal) { s.process.Signal(sig) }
