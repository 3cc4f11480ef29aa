package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// healthServer answers /livez and /readyz for any Host, on a listener of its
// own (spec routing.md §1).
type healthServer struct {
	server *http.Server
	ended  chan struct{}
}

// startHealth listens on address, as Caddy writes them; the listener of a
// configuration before this one may still have it.
func startHealth(ctx caddy.Context, address string, ready func() bool) (*healthServer, error) {
	a, err := parseHealthListen(address)
	if err != nil {
		return nil, err
	}
	listener, err := a.Listen(ctx, 0, net.ListenConfig{})
	if err != nil {
		return nil, fmt.Errorf("health_listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _ = health(w, true) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _ = health(w, ready()) })
	h := &healthServer{
		server: &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10},
		ended:  make(chan struct{}),
	}
	go func() { // ends with stop
		defer close(h.ended)
		_ = h.server.Serve(listener.(net.Listener)) // it returns when it is closed
	}()
	return h, nil
}

func parseHealthListen(address string) (caddy.NetworkAddress, error) {
	a, err := caddy.ParseNetworkAddress(address)
	if err == nil && (a.IsUnixNetwork() || a.Network == "tcp") && a.PortRangeSize() == 1 && (a.IsUnixNetwork() || a.StartPort > 0) {
		return a, nil
	}
	return a, errors.Join(fmt.Errorf("health_listen: %q is no address such as 127.0.0.1:9090 or unix//run/slipway/health.sock", address), err)
}

// apart refuses a health listener on a server's address: they would share its
// connections, and some visitors of apps would get to the wrong one.
func apart(ctx caddy.Context, address string) error {
	if address == "" {
		return nil
	}
	own, err := parseHealthListen(address)
	if err != nil {
		return err
	}
	return Servers(ctx, func(name string, a caddy.NetworkAddress) error {
		if a.IsUnixNetwork() != own.IsUnixNetwork() || a.IsUnixNetwork() && a.Host != own.Host ||
			own.StartPort < a.StartPort || own.StartPort > a.EndPort {
			return nil
		}
		return fmt.Errorf("health_listen: server %s has %s, health needs a port of its own", name, a)
	})
}

func (h *healthServer) stop() {
	_ = h.server.Close() // nobody is kept waiting by an answer of three bytes
	<-h.ended
}

// health writes the answer to a question for health.
func health(w http.ResponseWriter, good bool) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ok\n"
	if !good {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = "not ready: the route table has not been loaded\n"
	}
	_, err := w.Write([]byte(text))
	return err
}
