package launcher_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
)

// gateway is between a launcher and the API server: it loses answers, holds them
// up, or is not there.
type gateway struct {
	address string
	forward http.Handler

	mu     sync.Mutex
	server *http.Server
	served chan struct{}
	lose   func(call string) bool // a call's answer; the call itself is made
	delay  time.Duration
	lost   []string
	calls  []string
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
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ErrorLog:       quiet,
		ModifyResponse: g.answered,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
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

// answered has what the API server has answered before the launcher has it.
func (g *gateway) answered(r *http.Response) error {
	call := callOf(r.Request)
	g.mu.Lock()
	g.calls = append(g.calls, call)
	delay := g.delay
	lose := g.lose != nil && g.lose(call)
	if lose {
		g.lost = append(g.lost, call)
	}
	g.mu.Unlock()
	if watching := r.Request.URL.Query().Get("watch") != ""; !watching {
		time.Sleep(delay)
	}
	if lose {
		return fmt.Errorf("the answer to %s is lost", call)
	}
	return nil
}

// callOf is the method and the kind of a call: "PATCH deployments".
func callOf(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	kind := "?"
	for i, part := range parts {
		if part == "namespaces" && i+2 < len(parts) {
			kind = strings.Join(append([]string{parts[i+2]}, parts[min(i+4, len(parts)):]...), "/")
		}
	}
	method := r.Method
	if r.URL.Query().Get("watch") != "" {
		method = "WATCH"
	}
	return method + " " + kind
}

// through has a launcher call by the gateway.
func (g *gateway) through(cfg *kubernetes.Config) {
	cfg.REST = &rest.Config{Host: "http://" + g.address}
}
