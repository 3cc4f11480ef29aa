package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/embedded"
	"github.com/seed-dbc68772/slipway/test/bench/fill"
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
	dir, err := os.MkdirTemp(workDir, "")
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
	b.Cleanup(func() { s.Client.Close() })
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

// proxy is a running slipway: an edge, or Caddy's own reverse_proxy.
type proxy struct {
	name, dir, config, address string
	cmd                        *exec.Cmd
}

func (p *proxy) pid() int { return p.cmd.Process.Pid }

// newProxy prepares a folder with a Caddyfile, in which %s is the site's address.
func newProxy(b *testing.B, name, options, site string) *proxy {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	l.Close()
	p := &proxy{name: name, address: l.Addr().String()}
	if p.dir, err = os.MkdirTemp(workDir, ""); err != nil {
		b.Fatal(err)
	}
	p.config = filepath.Join(p.dir, "Caddyfile")
	_, port, _ := net.SplitHostPort(p.address)
	caddyfile := fmt.Sprintf(`{
	admin unix/%s/admin.sock
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	grace_period 1s
	log {
		level ERROR
	}
	%s
}
http://:%s {
	%s
}
`, p.dir, options, port, site)
	if err := os.WriteFile(p.config, []byte(caddyfile), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.stop(); os.RemoveAll(p.dir) })
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
	begin := time.Now()
	p.cmd = exec.Command(binary, "run", "--config", p.config, "--adapter", "caddyfile")
	p.cmd.Env = append(os.Environ(), "HOME="+p.dir, "XDG_DATA_HOME="+p.dir, "XDG_CONFIG_HOME="+p.dir, "GOMAXPROCS=1")
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if err := pin(p.pid(), measured()); err != nil {
		b.Fatal(err)
	}
	p.await(b, host)
	return time.Since(begin)
}

func (p *proxy) await(b *testing.B, host string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	for ; ; time.Sleep(time.Millisecond) {
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/", nil)
		r.Host = host
		a, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			a.Body.Close()
			if a.StatusCode == http.StatusOK {
				return
			}
		}
		if ctx.Err() != nil {
			b.Fatalf("%s does not answer: %v", p.name, err)
		}
	}
}

// stop ends it as an operator would, and waits.
func (p *proxy) stop() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.cmd.Wait()
	p.cmd = nil
}

// reload loads the same configuration once more.
func (p *proxy) reload(b *testing.B) {
	b.Helper()
	cmd := exec.Command(binary, "reload", "--config", p.config, "--adapter", "caddyfile", "--address", "unix/"+p.dir+"/admin.sock", "--force")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("reload: %v\n%s", err, out)
	}
}

// base is the edges' base domain.
const base = "bench.localhost"

// hostOf is the host of the i-th instance.
func hostOf(i int) string { return fill.ID(i).String() + "." + base }
