package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// etcd is the endpoint of the embedded etcd.
func (s *slipway) etcd() string {
	s.t.Helper()
	sockets, err := filepath.Glob(filepath.Join(s.sockets, "*", "etcd.sock"))
	if err != nil || len(sockets) != 1 {
		s.t.Fatalf("etcd's sockets are %v, %v", sockets, err)
	}
	return "unix://" + sockets[0]
}

// pureEdge starts a pure edge of this slipway's routes in a process of its own,
// with these settings and site. It ends with the test.
func (s *slipway) pureEdge(settings, site string) {
	s.t.Helper()
	dir := s.t.TempDir()
	slipwaytest.WriteCaddyfile(s.t, dir, fmt.Sprintf(`
	admin off
	slipway {
		etcd %s
		%s
	}`, s.etcd(), settings), site)
	p := slipwaytest.RunCaddyfile(s.t, dir, s.env)
	s.t.Cleanup(func() {
		p.Kill()
		if s.t.Failed() {
			s.t.Log(p.Tail())
		}
	})
}

// edge is a pureEdge with the same base URL. visit asks it and returns the
// status; 0 is no answer.
func (s *slipway) edge() (visit func(host, target string) int) {
	s.t.Helper()
	port := freePort(s.t)
	return s.edgeOf(port, slipwaytest.Site(port))
}

// edgeOf is edge with a site of its own at this port.
func (s *slipway) edgeOf(port, site string) (visit func(host, target string) int) {
	s.t.Helper()
	s.pureEdge("base_url "+s.origin(""), site)
	browser := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
		},
	}}
	visit = func(host, target string) int {
		resp, err := browser.Get("http://" + host + target)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	eventually(s.t, "the edge is ready", func() bool {
		return visit(s.host(""), "/readyz") == http.StatusOK
	})
	return visit
}

// TestAnEdgeThatIsAloneReachesNoStranger: the control plane and etcd are gone,
// the instance dies, and another program takes its port. The edge's route goes
// on to name it, and no visitor may be sent there.
func TestAnEdgeThatIsAloneReachesNoStranger(t *testing.T) {
	t.Parallel()
	s := up(t)
	in := s.run(app{Name: "app"})
	e, err := s.api().Explain(t.Context(), v1.ExplainRequest{URL: s.origin(in.ID) + "/"})
	if err != nil {
		t.Fatal(err)
	}
	ask := s.edge()
	visit := func() int { return ask(s.host(in.ID), "/") }
	if got := visit(); got != http.StatusOK {
		t.Fatalf("the edge answers %d", got)
	}
	s.kill()
	if got := visit(); got != http.StatusOK {
		t.Fatalf("without a control plane the edge answers %d", got)
	}
	s.killApp(in.ID)
	slipwaytest.Stranger(t, e.Endpoint)

	const visitors = 500
	requests := 2_000
	if slipwaytest.All {
		requests = 10_000
	}
	var mu sync.Mutex
	answers := map[int]int{}
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			for range requests / visitors {
				status := visit()
				mu.Lock()
				answers[status]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(answers) != 1 || answers[http.StatusBadGateway] != requests {
		t.Errorf("answers by status: %v, want %d of 502; 418 is the stranger's", answers, requests)
	}
}
