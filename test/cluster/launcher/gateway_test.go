package launcher_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
)

// gateway is between a launcher and the API server, and is there or not: all
// connections are cut with it. For single requests see wire.
type gateway struct {
	address string
	forward http.Handler

	mu     sync.Mutex
	server *http.Server
	served chan struct{}
}

func newGateway(t *testing.T, y *yard) *gateway {
	t.Helper()
	target, err := url.Parse(y.rest.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(y.rest)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{address: "127.0.0.1:0"}
	quiet := log.New(io.Discard, "", 0)
	g.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      quiet,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	g.open(t)
	t.Cleanup(g.shut)
	return g
}

// open lets calls through, at the address that it had before.
func (g *gateway) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Error(err)
		return
	}
	server, served := &http.Server{Handler: g.forward, ErrorLog: log.New(io.Discard, "", 0)}, make(chan struct{})
	g.mu.Lock()
	g.address, g.server, g.served = l.Addr().String(), server, served
	g.mu.Unlock()
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
}

// shut cuts all connections and accepts none.
func (g *gateway) shut() {
	g.mu.Lock()
	server, served := g.server, g.served
	g.server = nil
	g.mu.Unlock()
	if server != nil {
		server.Close()
		<-served
	}
}

// through has a launcher call by the gateway.
func (g *gateway) through(cfg *kubernetes.Config) {
	cfg.REST = &rest.Config{Host: "http://" + g.address}
}
