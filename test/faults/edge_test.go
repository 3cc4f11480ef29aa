package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// edge is a `slipway run` with a Caddyfile of its own.
type edge struct {
	*slipwaytest.Process // nil before its first start

	t       *testing.T
	name    string
	dir     string
	port    string
	line    *etcdtest.Line // to the store
	more    string         // settings of the block slipway
	hold    string         // that setting
	program string         // slipway, of whatever build
	env     []string       // beside this process's
	visitor *http.Client   // a connection for each request
}

func newEdge(t *testing.T, name, store string, more ...string) *edge {
	t.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "edge")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{t: t, name: name, dir: dir, port: freePort(t), line: etcdtest.NewLine(t, store), hold: "2s", program: slipwaytest.Binary, more: strings.Join(more, "\n")}
	e.visitor = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: e.dial}}
	t.Cleanup(func() {
		if e.Kill(); t.Failed() {
			t.Log(e.name, e.Tail())
		}
		os.RemoveAll(dir)
	})
	return e
}

func (e *edge) address() string { return "127.0.0.1:" + e.port }

func (e *edge) snapshots() string { return filepath.Join(e.dir, "snapshots") }

func (e *edge) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", e.address())
}

// launch starts the process and does not wait for it.
func (e *edge) launch() {
	e.t.Helper()
	snapshot := "snapshot " + e.snapshots()
	if strings.Contains(e.more, "control_plane") || strings.Contains(e.more, "snapshot ") {
		snapshot = ""
	}
	slipwaytest.WriteCaddyfile(e.t, e.dir, fmt.Sprintf(`
	admin unix/%s/admin.sock
	grace_period 5s
	servers {
		protocols h1 h2c
		listener_wrappers {
			slipway
		}
	}
	slipway {
		base_url http://localhost
		edge_name %s
		hold %s
		etcd %s
		%s
		%s
	}`, e.dir, e.name, e.hold, e.line.Endpoint(), snapshot, e.more), slipwaytest.Site(e.port))
	e.Process = slipwaytest.RunCaddyfileBy(e.t, e.program, e.dir, append(append(os.Environ(), "XDG_RUNTIME_DIR="+e.dir), e.env...))
}

// start starts it and waits until it is ready.
func (e *edge) start() {
	e.t.Helper()
	e.launch()
	eventually(e.t, e.name+" is ready", func() bool { return e.status("localhost", "/readyz") == http.StatusOK })
}

// answer is what a visitor got; err where nothing came.
type answer struct {
	status int
	header http.Header
	body   string
	took   time.Duration
	err    error
}

func (e *edge) get(host, target string) answer {
	began := time.Now()
	a := answer{}
	r, err := http.NewRequest(http.MethodGet, "http://"+host+target, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	resp, err := e.visitor.Do(r)
	if err == nil {
		var raw []byte
		raw, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		a.status, a.header, a.body = resp.StatusCode, resp.Header, string(raw)
	}
	a.err, a.took = err, time.Since(began)
	return a
}

func (e *edge) status(host, target string) int { return e.get(host, target).status }

// wants503 is a visit that cannot be served now, and learns so in good time.
func (e *edge) wants503(host string, within time.Duration) answer {
	e.t.Helper()
	a := e.get(host, "/")
	if a.err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
		e.t.Errorf("%s answers %d (%v) %v", e.name, a.status, a.err, a.header)
	}
	if a.took > within {
		e.t.Errorf("%s took %s for its 503, and %s are allowed", e.name, a.took, within)
	}
	return a
}

// metric reads one value without labels from the admin interface.
func (e *edge) metric(name string) float64 {
	e.t.Helper()
	h := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(e.dir, "admin.sock"))
	}}}
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Host = "" // a socket has none
	resp, err := h.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				e.t.Fatal(err)
			}
			return n
		}
	}
	e.t.Fatalf("%s has no metric %s:\n%.300s", e.name, name, raw)
	return 0
}
