package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/test/bench/fill"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// patience is how long anything may take before the benchmark gives up.
const patience = 5 * time.Minute

// store is an etcd in this process.
type store struct {
	*clientv3.Client
	endpoint string
	stop     func()
}

// newStore starts an etcd that holds n instances of one endpoint.
func newStore(b *testing.B, n int, endpoint string) *store {
	b.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		b.Fatal(err)
	}
	server, err := embedded.Start(b.Context(), embedded.Config{DataDir: filepath.Join(dir, "data"), SocketDir: dir})
	if err != nil {
		b.Fatal(err)
	}
	s := &store{endpoint: server.Endpoint(), stop: sync.OnceFunc(server.Close)}
	b.Cleanup(func() { s.stop(); os.RemoveAll(dir) })
	if s.Client, err = clientv3.New(clientv3.Config{Endpoints: []string{s.endpoint}, Logger: zap.NewNop()}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := fill.Instances(b.Context(), s.Client, n, endpoint); err != nil {
		b.Fatal(err)
	}
	return s
}

// do writes, in one transaction.
func (s *store) do(b *testing.B, ops ...clientv3.Op) {
	b.Helper()
	if _, err := s.Txn(b.Context()).Then(ops...).Commit(); err != nil {
		b.Fatal(err)
	}
}

// proxy is a slipway: an edge, or Caddy's own reverse_proxy.
type proxy struct {
	*slipwaytest.Process // nil before its first start
	name, dir, address   string
}

// newProxy prepares a folder with a Caddyfile of one site.
func newProxy(b *testing.B, name, options, site string) *proxy {
	b.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		b.Fatal(err)
	}
	port := slipwaytest.FreePort(b)
	slipwaytest.WriteCaddyfile(b, dir, fmt.Sprintf(`
	admin unix/%s/admin.sock
	grace_period 1s
	log {
		level ERROR
	}
	%s`, dir, options), fmt.Sprintf("http://:%s {\n\t%s\n}", port, site))
	p := &proxy{name: name, dir: dir, address: "127.0.0.1:" + port}
	b.Cleanup(func() {
		p.Kill()
		os.RemoveAll(dir)
	})
	return p
}

// newEdge is a pure edge on a store.
func newEdge(b *testing.B, name string, endpoint string) *proxy {
	b.Helper()
	return newProxy(b, name, fmt.Sprintf(`slipway {
		base_url http://%s
		etcd %s
		edge_name %s
	}`, base, endpoint, name), "slipway")
}

// newReverseProxy is the baseline: Caddy's reverse_proxy, with one route.
func newReverseProxy(b *testing.B, endpoint string) *proxy {
	b.Helper()
	return newProxy(b, "caddy", "", "reverse_proxy "+endpoint)
}

// start runs it, on its CPU, and waits until it answers a request for the host.
func (p *proxy) start(b *testing.B, host string) (took time.Duration) {
	b.Helper()
	p.Process = slipwaytest.RunCaddyfile(b, p.dir, append(os.Environ(), "GOMAXPROCS=1"))
	if err := pin(p.PID, measured()); err != nil {
		b.Fatal(err)
	}
	p.await(b, host)
	return time.Since(p.Began)
}

func (p *proxy) await(b *testing.B, host string) {
	b.Helper()
	p.awaitTarget(b, host, "/")
}

func (p *proxy) awaitTarget(b *testing.B, host, target string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	for ; ; time.Sleep(time.Millisecond) {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+target, nil)
		r.Host = host
		a, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			a.Body.Close()
			if a.StatusCode == http.StatusOK {
				return
			}
		}
		if ctx.Err() != nil {
			b.Fatalf("%s does not answer: %v\n%s", p.name, err, p.Tail())
		}
	}
}

// base is the edges' base domain.
const base = "bench.localhost"

// hostOf is the host of the i-th instance.
func hostOf(i int) string { return fill.ID(i).String() + "." + base }
