package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// edge is a `slipway run` with a Caddyfile of its own.
type edge struct {
	t       *testing.T
	name    string
	dir     string
	port    string
	etcd    string // the socket
	more    string // settings of the block slipway
	cmd     *exec.Cmd
	log     *buffer
	exited  chan error
	visitor *http.Client // a connection for each request
}

func newEdge(t *testing.T, name, etcd string, more ...string) *edge {
	t.Helper()
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{t: t, name: name, dir: dir, port: freePort(t), etcd: etcd, more: strings.Join(more, "\n"), log: new(buffer)}
	e.visitor = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: e.dial}}
	t.Cleanup(func() {
		e.kill()
		if said := e.log.String(); t.Failed() {
			t.Logf("the end of %s's log:\n%s", name, said[max(0, len(said)-4000):])
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

func (e *edge) caddyfile() string { return filepath.Join(e.dir, "Caddyfile") }

// configure writes the Caddyfile, with a comment that makes it another one.
func (e *edge) configure(hold string) {
	e.t.Helper()
	snapshot := "snapshot " + e.snapshots()
	if strings.Contains(e.more, "control_plane") || strings.Contains(e.more, "snapshot ") {
		snapshot = ""
	}
	text := fmt.Sprintf(`{
	admin unix/%s/admin.sock
	persist_config off
	auto_https off
	default_bind 127.0.0.1
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
		etcd unix://%s
		%s
		%s
	}
}
http://:%s {
	slipway
}
`, e.dir, e.name, hold, e.etcd, snapshot, e.more, e.port)
	if err := os.WriteFile(e.caddyfile(), []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// launch starts the process and does not wait for it.
func (e *edge) launch() {
	e.t.Helper()
	e.configure("2s")
	e.cmd = exec.Command(binary(e.t, "slipway"), "run", "--config", e.caddyfile(), "--adapter", "caddyfile")
	e.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+e.dir, "XDG_CONFIG_HOME="+e.dir, "HOME="+e.dir, "XDG_RUNTIME_DIR="+e.dir)
	e.cmd.Stderr = e.log
	if err := e.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.exited = make(chan error, 1)
	go func(cmd *exec.Cmd, exited chan error) { exited <- cmd.Wait() }(e.cmd, e.exited)
}

// start starts it and waits until it is ready.
func (e *edge) start() {
	e.t.Helper()
	e.launch()
	eventually(e.t, e.name+" is ready", func() bool { return e.status("localhost", "/readyz") == http.StatusOK })
}

func (e *edge) kill() {
	if e.cmd != nil {
		e.cmd.Process.Kill()
		<-e.exited
		e.cmd = nil
	}
}

// stop ends it by TERM, and wants that to be clean.
func (e *edge) stop() {
	e.t.Helper()
	e.signal(syscall.SIGTERM)
	select {
	case err := <-e.exited:
		if err != nil {
			e.t.Errorf("%s ended with %v", e.name, err)
		}
		e.cmd = nil
	case <-time.After(patience):
		e.t.Fatalf("%s did not end by TERM in %s", e.name, patience)
	}
}

func (e *edge) signal(sig syscall.Signal) { e.cmd.Process.Signal(sig) }

// reload gives it a configuration that differs.
func (e *edge) reload() {
	e.t.Helper()
	e.configure("3s")
	out, err := exec.Command(binary(e.t, "slipway"), "reload", "--config", e.caddyfile(), "--adapter", "caddyfile",
		"--address", "unix/"+e.dir+"/admin.sock").CombinedOutput()
	if err != nil {
		e.t.Fatalf("reload %s: %v\n%s", e.name, err, out)
	}
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

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}
