// Package blackbox holds spec routing.md §1 to §7 against the real binary, with
// bytes written to sockets: every row and every sentence is a named case. A file
// is a section. All tests share two edges on one store and one set of instances,
// and change none of it.
package blackbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func TestMain(m *testing.M) {
	os.Exit(slipwaytest.Main(func() int {
		defer theWorld.close()
		return m.Run()
	}))
}

// world is what all tests share.
type world struct {
	ready     bool
	dir       string
	processes []*slipwaytest.Process
	api       *client.Client
	// up is `slipway up`: http://localhost:PORT, everything by default.
	up *edge
	// strict is a pure edge on the same store: https://apps.test:8443,
	// alias_redirect strict, a trusted proxy, and short limits of time. It has a
	// listener without TLS, one with, and one for health.
	strict *edge
	health string // its address
	ids    map[string]string
}

var (
	theWorld  world
	setUpOnce sync.Once
)

// setUp returns the world, which the first test makes.
func setUp(t *testing.T) *world {
	t.Helper()
	w := &theWorld
	setUpOnce.Do(func() { w.make(t) })
	if !w.ready {
		t.Fatal("the first test could not start slipway")
	}
	return w
}

// instances by the letters that stand for them in the tables: {D} is an ID, {DD}
// is it in capitals. Aliases are in the order in which they are made; the first
// one is primary where it says so.
var instances = []struct {
	letter, mode, visibility string
	primary                  bool
	aliases                  []string
	end                      string // what becomes of it after its start
}{
	{"D", "DOMAIN", "PUBLIC", false, []string{"d-alias"}, ""},
	{"P", "DOMAIN", "PUBLIC", true, []string{"p-main", "p-other"}, ""},
	{"B", "BASE_URL", "PUBLIC", false, []string{"b-alias"}, ""},
	{"Q", "BASE_URL", "PUBLIC", true, []string{"q-main", "q-other"}, ""},
	{"V", "DOMAIN", "PRIVATE", false, []string{"v-alias"}, ""},
	{"C", "DOMAIN", "PUBLIC", false, nil, "custom domain"},
	{"S", "DOMAIN", "PUBLIC", false, []string{"s-alias"}, "suspend"},
	{"Z", "BASE_URL", "PUBLIC", true, []string{"z-main", "z-alias"}, "suspend"},
	{"W", "DOMAIN", "PUBLIC", false, nil, "suspend"},
	{"F", "DOMAIN", "PUBLIC", true, []string{"f-main", "f-alias"}, "failed"},
	{"G", "BASE_URL", "PUBLIC", false, []string{"g-alias"}, "starting"},
	{"X", "DOMAIN", "PUBLIC", false, []string{"gone"}, "terminate"},
}

// nobody is an ID that no instance has: {N}.
const nobody = "00000000-0000-4000-8000-00000000abcd"

func (w *world) make(t *testing.T) {
	var err error
	if w.dir, err = os.MkdirTemp(slipwaytest.RuntimeDir, ""); err != nil {
		t.Fatal(err)
	}
	sockets := filepath.Join(w.dir, "run")
	if err := os.Mkdir(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+sockets, "XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir)
	port := slipwaytest.FreePort(t)
	w.up = &edge{addr: "127.0.0.1:" + port, base: "localhost", start: "http://", port: ":" + port, world: w}
	p := slipwaytest.Start(t, env, "up", "--no-sample", "--quiet", "--data", w.data(), "--listen", w.up.addr)
	w.processes = append(w.processes, p)
	p.AwaitReady(t)
	w.api = slipwaytest.Client(t, filepath.Join(w.data(), "cli.toml"))
	w.runInstances(t)
	etcd, err := filepath.Glob(filepath.Join(sockets, "*", "etcd.sock"))
	if err != nil || len(etcd) != 1 {
		t.Fatalf("etcd's sockets are %v, %v", etcd, err)
	}
	w.customDomain(t, "unix://"+etcd[0])
	w.startStrict(t, env, "unix://"+etcd[0])
	for _, e := range []*edge{w.up, w.strict} {
		slipwaytest.Eventually(t, "the edge of "+e.base+" knows its routes", func() bool {
			// The last changes of all.
			a, err := e.ask(request("GET", "custom.example", "/"))
			b, err2 := e.ask(request("GET", "gone.{base}", "/"))
			return err == nil && err2 == nil && a.status == 200 && b.status == 404
		})
	}
	w.ready = true
}

func (w *world) data() string { return filepath.Join(w.dir, "data") }

// close ends all that runs, however far the start has come.
func (w *world) close() {
	for _, p := range w.processes {
		p.Kill()
	}
	if w.dir != "" {
		slipwaytest.KillApps(w.data())
	}
}

// runInstances starts all of them at once, and then gives them their names.
func (w *world) runInstances(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	apps := map[string]string{}
	for name, env := range map[string]string{"DOMAIN": "", "BASE_URL": "", "DOMAIN-failed": "EXIT_AT_ONCE", "BASE_URL-starting": "START_DELAY"} {
		mode, _, _ := strings.Cut(name, "-")
		a := slipwaytest.App{Name: name, Mode: mode, Env: map[string]string{}}
		if env != "" {
			a.Env[env] = "1h"
		}
		app, err := w.api.ImportBundle(ctx, client.Import{Archive: bytes.NewReader(a.Bundle(t)), Visibility: "PUBLIC"})
		if err != nil {
			t.Fatal(err)
		}
		apps[name] = app.ID
	}
	w.ids = map[string]string{"N": nobody}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range instances {
		app := apps[x.mode]
		if special, ok := apps[x.mode+"-"+x.end]; ok {
			app = special
		}
		in, err := w.api.Run(ctx, v1.RunRequest{AppID: app, Visibility: &x.visibility})
		must(in, err)
		w.ids[x.letter] = in.ID
		for i, name := range x.aliases {
			primary := x.primary && i == 0
			must(w.api.CreateAlias(ctx, v1.AliasRequest{Name: name, InstanceID: &in.ID, Primary: &primary}))
		}
	}
	must(w.api.CreateAlias(ctx, v1.AliasRequest{Name: "free"}))
	for _, x := range instances {
		switch x.end {
		case "failed":
			w.await(t, x.letter, "FAILED")
			continue
		case "starting": // for longer than the tests take
			w.await(t, x.letter, "PENDING")
			continue
		}
		w.await(t, x.letter, "DEPLOYED")
		switch x.end {
		case "suspend":
			must(w.api.Suspend(ctx, w.ids[x.letter]))
		case "terminate":
			must(w.api.Terminate(ctx, w.ids[x.letter]))
		}
	}
	for _, letter := range []string{"S", "Z", "W"} {
		w.await(t, letter, "SUSPENDED")
	}
}

func (w *world) await(t *testing.T, letter, status string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("%s is %s; %s", letter, w.status(t, letter), slipwaytest.LogTail(w.data()))
		}
	}()
	slipwaytest.Eventually(t, letter+" is "+status, func() bool { return w.status(t, letter) == status })
}

func (w *world) status(t *testing.T, letter string) string {
	t.Helper()
	in, err := w.api.Instance(t.Context(), w.ids[letter])
	if err != nil {
		t.Fatal(err)
	}
	return in.Status
}

// customDomain makes custom.example the primary alias of C, and other.example
// another of it. The API takes labels alone.
func (w *world) customDomain(t *testing.T, endpoint string) {
	t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = store.Update(t.Context(), func(tx controlplane.Tx) error {
		in, err := tx.Instance(w.ids["C"])
		if err != nil {
			return err
		}
		in.PrimaryAlias = "custom.example"
		for i, name := range []string{"custom.example", "other.example"} {
			id := fmt.Sprintf("00000000-0000-4000-8000-0000000000%02d", i)
			if err := tx.Put(&controlplane.Alias{ID: id, Name: name, InstanceID: in.ID}); err != nil {
				return err
			}
		}
		return tx.Put(in)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) startStrict(t *testing.T, env []string, etcd string) {
	t.Helper()
	plain, secure := slipwaytest.FreePort(t), slipwaytest.FreePort(t)
	w.health = "127.0.0.1:" + slipwaytest.FreePort(t)
	cert, key := certtest.SelfSigned(t, "apps.test", "*.apps.test").Write(t, filepath.Join(w.dir, "apps"))
	other, otherKey := certtest.SelfSigned(t, "custom.example").Write(t, filepath.Join(w.dir, "custom"))
	slipwaytest.WriteCaddyfile(t, w.dir, fmt.Sprintf(strictOptions, etcd, w.health),
		slipwaytest.Site(plain)+fmt.Sprintf(strictSecureSite, secure, cert, key, other, otherKey))
	w.strict = &edge{addr: "127.0.0.1:" + plain, secure: "127.0.0.1:" + secure, base: "apps.test", start: "https://", port: ":8443", strict: true, world: w}
	w.processes = append(w.processes, slipwaytest.RunCaddyfile(t, w.dir, env))
	slipwaytest.Eventually(t, "the pure edge is ready", func() bool {
		a, err := w.strict.ask(request("GET", "{base}", "/readyz"))
		return err == nil && a.status == 200
	})
}

const strictOptions = `
	admin off
	grace_period 1s
	log default {
		output discard
	}
	servers {
		protocols h1
		max_header_size 64KiB
		timeouts {
			read_header 2s
			read_body_idle 2s
		}
		listener_wrappers {
			slipway
		}
	}
	slipway {
		base_url https://apps.test:8443
		etcd %s
		health_listen %s
		alias_redirect strict
		trusted_proxies 127.0.0.1
		first_byte_timeout 300ms
	}`

const strictSecureSite = `
https://:%s {
	tls %s %s
	tls %s %s
	slipway
}`

// fill puts IDs and the edge's base domain into a text.
func (e *edge) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	pairs := []string{"{base}", e.base}
	for letter, id := range e.world.ids {
		pairs = append(pairs, "{"+letter+"}", id, "{"+letter+letter+"}", strings.ToUpper(id))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
