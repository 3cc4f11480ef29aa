package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// remoteControl passes the control plane's paths and hosts on to a live one
// elsewhere, from an edge that has none (spec routing.md §1). Which are live
// comes from the store's feed.
type remoteControl struct {
	tls   *tls.Config // nil: plain HTTP to loopback alone
	log   *zap.Logger
	turn  atomic.Uint32
	proxy *httputil.ReverseProxy
	idle  remoteTransport

	mu   sync.Mutex
	live map[string]etcdstore.ControlAddress // by key
}

// The limits of a call to another control plane, which may stand still and
// have its connections taken by the kernel all the same.
const (
	remoteDial = 2 * time.Second // for each that is live
	// From the end of the request to the first byte of the answer. What follows
	// has no limit: logs and watches stream for hours.
	remoteFirstByte = 20 * time.Second // longer than a call of the store takes
	remoteWait      = time.Minute      // for one that asks to wait, which is 30 s at most
	remoteImport    = 5 * time.Minute  // for a bundle, which is unpacked and checked first
	// remoteProgress is how long a part of a request may find no room.
	remoteProgress = 20 * time.Second
	remoteIdle     = 90 * time.Second
)

func newRemoteControl(client *ControlClient, log *zap.Logger) (*remoteControl, error) {
	config, err := client.tls()
	if err != nil {
		return nil, fmt.Errorf("read control_client: %w", err)
	}
	c := &remoteControl{tls: config, log: log, live: map[string]etcdstore.ControlAddress{}}
	// Any live one is as good as any other. So the transport knows one host,
	// and dial chooses: a connect that fails goes on to the next whatever the
	// method, since nothing was sent; where a kept connection breaks, the
	// transport asks again by a new one only if that is safe.
	transport := newRemoteTransport(c.dial)
	c.idle = transport
	c.proxy = &httputil.ReverseProxy{
		Transport: transport, Rewrite: rewriteForControl, FlushInterval: -1, ErrorLog: zap.NewStdLog(log),
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			r.Context().Value(remoteCallKey{}).(*remoteCall).err = err
		},
	}
	return c, nil
}

// rewriteForControl keeps host and target as they came. Who the client is says
// this edge alone.
func rewriteForControl(r *httputil.ProxyRequest) {
	out := r.Out
	out.URL.Scheme, out.URL.Host = "http", "control-plane"
	out.URL.RawQuery = r.In.URL.RawQuery // unparsed
	out.Host = r.In.Host
	maps.DeleteFunc(out.Header, func(name string, _ []string) bool { return upstream.Forgeable(name) })
	call := r.In.Context().Value(remoteCallKey{}).(*remoteCall)
	from := call.from
	out.Header.Set("X-Forwarded-For", call.client)
	out.Header.Set("X-Forwarded-Host", from.Host)
	out.Header.Set("X-Forwarded-Proto", from.Proto)
}

// remoteCall goes with a call's context: what its request is told, and where
// the proxy leaves its error.
type remoteCall struct {
	from   upstream.Forwarded
	client string
	err    error
}

type remoteCallKey struct{}

var errNoControlPlane = errors.New("no control plane is live")

// forward answers a request by a live control plane, or says why it cannot:
// then nothing was written.
func (c *remoteControl) forward(w http.ResponseWriter, r *http.Request, from upstream.Forwarded, client string) (p page, failed bool) {
	call := remoteCall{from: from, client: client}
	c.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), remoteCallKey{}, &call)))
	err := call.err
	switch {
	case err == nil:
		return page{}, false
	case r.Context().Err() != nil:
		return visitorLeft, true
	case errors.Is(err, errNoControlPlane):
		return noControlPlane, true
	}
	c.log.Warn("a call to the control plane broke off", zap.Error(err))
	return page{status: http.StatusBadGateway, code: "control_plane_lost",
		text: "The control plane stopped answering. Look at the state before you try again."}, true
}

// noControlPlane is the answer where nobody can answer.
var noControlPlane = page{status: http.StatusServiceUnavailable, code: "no_control_plane", retryAfter: 5,
	text: "No control plane answers here."}

// take follows the feed.
func (c *remoteControl) take(b etcdstore.Batch) {
	c.mu.Lock()
	if b.Full {
		clear(c.live)
	}
	for _, e := range b.Events {
		delete(c.live, e.Key)
		if e.Value == nil {
			continue
		}
		a, err := etcdstore.ReadControlAddress(e)
		if err == nil {
			err = c.usable(a)
		}
		if err != nil {
			c.log.Error("control plane refused", zap.String("key", e.Key), zap.Error(err))
			continue
		}
		c.live[e.Key] = a
	}
	c.mu.Unlock()
	if b.Full || len(b.Events) > 0 {
		c.idle.CloseIdleConnections() // perhaps to one that is gone
	}
}

// usable refuses to carry tokens unprotected beyond this machine.
func (c *remoteControl) usable(a etcdstore.ControlAddress) error {
	switch {
	case a.TLSName != "" && c.tls == nil:
		return fmt.Errorf("%s speaks TLS, and control_client is not configured", a.Address)
	case a.TLSName == "" && (c.tls != nil || !isLoopback(a.Address)):
		return fmt.Errorf("%s speaks plain HTTP", a.Address)
	}
	return nil
}

// dial connects to a live control plane, each in turn.
func (c *remoteControl) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c.mu.Lock()
	live := slices.SortedFunc(maps.Values(c.live), func(a, b etcdstore.ControlAddress) int { return strings.Compare(a.Address, b.Address) })
	c.mu.Unlock()
	first := int(c.turn.Add(1) % uint32(max(1, len(live))))
	for i := range live {
		a := live[(first+i)%len(live)]
		conn, err := c.dialOne(ctx, a)
		if err == nil {
			return conn, nil
		}
		c.log.Warn("a control plane cannot be reached", zap.String("address", a.Address), zap.Error(err))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, errNoControlPlane
}

func (c *remoteControl) dialOne(ctx context.Context, a etcdstore.ControlAddress) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, remoteDial)
	defer cancel()
	plain, err := new(net.Dialer).DialContext(ctx, "tcp", a.Address)
	if err != nil {
		return nil, err
	}
	conn := progressConn{plain}
	if a.TLSName == "" {
		return conn, nil
	}
	config := c.tls.Clone()
	config.ServerName = a.TLSName
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}
