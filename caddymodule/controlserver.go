package caddymodule

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// controlServer serves the control plane of this process to other edges, and
// makes it known in the store.
type controlServer struct {
	server  *http.Server
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// controlStop is how long calls of other edges get to end.
const controlStop = 2 * time.Second

func startControlServer(c *ControlListener, rt *Runtime, site *routing.Site, control ControlPlane) (*controlServer, error) {
	config, err := c.tls()
	if err != nil {
		return nil, fmt.Errorf("listen for other edges: %w", err)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for other edges: %w", err)
	}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	s := &controlServer{server: &http.Server{
		Handler:           controlHandler(site, control),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: zap.NewStdLog(rt.log.Named("control_plane")),
	}}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.running.Go(func() { _ = s.server.Serve(listener) }) // it ends by stop alone
	s.running.Go(func() {
		rt.store.Present(ctx, etcdstore.Presence{
			Key:   etcdstore.ControlKey(rt.edge.name),
			Value: func() any { return etcdstore.ControlAddress{Address: c.advertised(), TLSName: c.tlsName()} },
		})
	})
	return s, nil
}

// controlHandler decides again what the other edge has decided: a control
// plane answers for its own hosts and paths only, whoever asks.
func controlHandler(site *routing.Site, control ControlPlane) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The other edge says who its client is; nobody else reaches this listener.
		r = r.WithContext(controlplane.WithClientAddress(r.Context(), r.Header.Get("X-Forwarded-For")))
		d := (*routing.Table)(nil).Decide(site, routing.Request{Method: r.Method, Host: r.Host, Target: r.RequestURI})
		var answers http.Handler
		switch {
		case d.Kind == routing.Console:
			answers = control.Console()
		case d.Kind == routing.Control && strings.HasPrefix(d.Path, "/api/"):
			answers = control.API()
		default:
			answers = http.NotFoundHandler()
		}
		if answers == nil {
			w.Header().Set("Retry-After", strconv.Itoa(noControlPlane.retryAfter))
			http.Error(w, noControlPlane.text, noControlPlane.status)
			return
		}
		answers.ServeHTTP(w, r)
	})
}

func (s *controlServer) stop() {
	s.cancel() // no edge is to find it any more
	ctx, cancel := context.WithTimeout(context.Background(), controlStop)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // what does not end by itself is cut
	}
	s.running.Wait()
}
