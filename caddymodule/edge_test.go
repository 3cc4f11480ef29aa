package caddymodule_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
)

const base = "apps.test"

// patience bounds what a test waits for.
const patience = 30 * time.Second

// sharedEtcd is one server for all tests; each has its own prefix.
var sharedEtcd = sync.OnceValues(func() (*embedded.Server, error) {
	dir, err := os.MkdirTemp("/tmp", "slw")
	if err != nil {
		return nil, err
	}
	etcdDir = dir
	return embedded.Start(context.Background(), embedded.Config{DataDir: filepath.Join(dir, "data"), SocketDir: dir})
})

var etcdDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if etcdDir != "" {
		if server, err := sharedEtcd(); err == nil {
			server.Close()
		}
		os.RemoveAll(etcdDir)
	}
	os.Exit(code)
}

// edges counts them: a test that runs again finds no records of its own.
var edges atomic.Int64

// edge is a real Caddy with the handler, and the store that feeds it.
type edge struct {
	t      *testing.T
	addr   string
	log    string
	config string // JSON
	etcd   *clientv3.Client
	prefix string
	store  *etcdstore.Store
	http   *http.Client
	loads  int // the first is a start, all others are reloads
}

type settings map[string]any

// newEdge makes a store and a configuration, and starts nothing yet.
func newEdge(t *testing.T, more settings) *edge {
	t.Helper()
	server, err := sharedEtcd()
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{t: t, addr: freeAddr(t), log: filepath.Join(t.TempDir(), "log"), prefix: fmt.Sprintf("/%s-%d/", t.Name(), edges.Add(1))}
	app := settings{
		"base_url": "http://" + base, "hold": 5 * time.Second, "snapshot": t.TempDir(),
		"etcd": settings{"endpoints": []string{server.Endpoint()}, "prefix": e.prefix},
	}
	for name, value := range more {
		app[name] = value
	}
	if more["control_plane"] != nil {
		delete(app, "snapshot")
	}
	config, err := json.Marshal(settings{
		"admin":   settings{"disabled": true, "config": settings{"persist": false}},
		"storage": settings{"module": "file_system", "root": t.TempDir()},
		"logging": settings{"logs": settings{"default": settings{"writer": settings{"output": "file", "filename": e.log}}}},
		"apps": settings{"slipway": app, "http": settings{"grace_period": time.Second, "servers": settings{"edge": settings{
			"listen": []string{e.addr}, "protocols": []string{"h1", "h2c"}, "max_header_bytes": 64 << 10,
			"automatic_https": settings{"disable": true}, "listener_wrappers": []any{settings{"wrapper": "slipway"}},
			"routes": []any{settings{"handle": []any{settings{"handler": "slipway"}}}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.config = string(config)
	if e.store, err = etcdstore.Open(etcdstore.Config{Endpoints: []string{server.Endpoint()}, Prefix: e.prefix}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.store.Close() })
	e.share(true)
	if e.etcd, err = clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.etcd.Close() })
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", e.addr)
	}, DisableCompression: true}
	e.http = &http.Client{Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(transport.CloseIdleConnections)
	return e
}

// startEdge starts one and waits until it has its routes.
func startEdge(t *testing.T, more settings) *edge {
	t.Helper()
	e := newEdge(t, more)
	e.load()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
		if left := caddymodule.RuntimesInUse(); len(left) > 0 {
			t.Errorf("%d runtimes are left", len(left))
		}
	})
	eventually(t, "the first table", func() bool { return e.table().Table() != nil })
	return e
}

// load is what a start or a reload does.
func (e *edge) load() {
	e.t.Helper()
	e.loads++
	if err := caddy.Load([]byte(e.config), true); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) table() *caddymodule.Runtime {
	e.t.Helper()
	all := caddymodule.RuntimesInUse()
	if len(all) != 1 {
		e.t.Fatalf("there are %d runtimes, want 1", len(all))
	}
	return all[0]
}

// put writes records and waits until the edge knows them.
func (e *edge) put(records ...any) {
	e.t.Helper()
	e.update(func(tx controlplane.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e *edge) update(f func(controlplane.Tx) error) {
	e.t.Helper()
	revision, err := e.store.Update(e.t.Context(), f)
	if err != nil {
		e.t.Fatal(err)
	}
	eventually(e.t, "the change on the edge", func() bool { return e.table().Table().Revision() >= revision })
}

// share publishes whether instances of one host are opened to others.
func (e *edge) share(on bool) {
	e.t.Helper()
	_, err := e.store.Update(e.t.Context(), func(tx controlplane.Tx) error {
		tx.PutEdgeSettings(controlplane.EdgeSettings{BaseURLSharing: on})
		return nil
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// do sends a request; the header is names and values in turn.
func (e *edge) do(method, url string, header ...string) *http.Response {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, url, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := again(e, func() (*http.Response, error) { return e.http.Do(r) })
	if err != nil {
		e.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		e.t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

func text(resp *http.Response) string {
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// again does something that connects. Caddy drops connections that its old
// server accepted just before a reload; a client that repeats reaches the new
// one.
func again[T any](e *edge, do func() (T, error)) (T, error) {
	got, err := do()
	for range 3 {
		if err == nil || e.loads < 2 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			break
		}
		got, err = do()
	}
	return got, err
}

// raw sends bytes as they are and reads one answer.
func (e *edge) raw(request string) *http.Response {
	e.t.Helper()
	resp, err := again(e, func() (*http.Response, error) { return e.exchange(request) })
	if err != nil {
		e.t.Fatalf("no answer to %.80q: %v", request, err)
	}
	return resp
}

func (e *edge) exchange(request string) (*http.Response, error) {
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // closed before a byte of the answer
	}
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp, err
}

// errors are the lines of the log at level error.
func (e *edge) errors() string {
	e.t.Helper()
	log, err := os.ReadFile(e.log)
	if err != nil {
		e.t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"level":"error"`) {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}

func (e *edge) wantNoErrors() {
	e.t.Helper()
	if found := e.errors(); found != "" {
		e.t.Errorf("logged as errors:\n%s", found)
	}
}

func instanceID(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-00000000abcd", n) }

// instance is a record of a PUBLIC one that runs at endpoint.
func instance(n int, endpoint string) *controlplane.Instance {
	return &controlplane.Instance{
		ID: instanceID(n), AppID: instanceID(1000 + n), AppName: "test.app", AppVersion: "1.0.0", Owner: "ann",
		Visibility: controlplane.Public, Status: controlplane.Deployed, RoutingMode: controlplane.Domain,
		Launcher: "process", Generation: 1, Endpoint: endpoint,
	}
}

func alias(n int, name, to string) *controlplane.Alias {
	return &controlplane.Alias{ID: instanceID(2000 + n), Name: name, InstanceID: to}
}

func urlOf(in *controlplane.Instance) string { return "http://" + in.ID + "." + base }

// serve starts an app and returns where.
func serve(t *testing.T, app http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(app)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
