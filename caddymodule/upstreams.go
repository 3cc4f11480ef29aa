package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/routing"
)

func init() {
	caddy.RegisterModule(Upstreams{})
	caddy.RegisterModule(Transport{})
}

// instanceVar names the request variable that holds the *routing.Instance
// which the request goes to.
const instanceVar = "slipway.instance"

func instanceOf(r *http.Request) *routing.Instance {
	in, _ := caddyhttp.GetVar(r.Context(), instanceVar).(*routing.Instance)
	return in
}

// Upstreams is the source `slipway` of Caddy's reverse proxy: the endpoint of
// the request's instance, as the route table has it at each attempt. It works
// only inside the handler `slipway`.
type Upstreams struct {
	runtime *Runtime
}

// CaddyModule implements caddy.Module.
func (Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.slipway", New: func() caddy.Module { return new(Upstreams) }}
}

// Provision takes the app's runtime.
func (u *Upstreams) Provision(ctx caddy.Context) error {
	mod, err := ctx.App("slipway")
	if err != nil {
		return err
	}
	u.runtime = mod.(*App).runtime
	return nil
}

// GetUpstreams implements reverseproxy.UpstreamSource. The proxy writes into
// an Upstream, so that each attempt gets its own. The address was parsed when
// the route was read: the proxy would expand placeholders in it.
func (u *Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	was := instanceOf(r)
	if was == nil {
		return nil, errors.New("the upstream source slipway works only inside the handler slipway")
	}
	in := u.runtime.Table().Instance(was.ID)
	if in == nil || !hold.Running(in) {
		return nil, nil
	}
	if in != was {
		caddyhttp.SetVar(r.Context(), instanceVar, in)
	}
	dial := in.Endpoint.Address()
	if in.Endpoint.Network() == "unix" {
		dial = "unix/" + dial
	}
	return []*reverseproxy.Upstream{{Dial: dial}}, nil
}

// Transport is the transport `slipway` of Caddy's reverse proxy. It keeps
// connections by instance and generation, not by address, and checks each new
// one: a port that another instance took over never gets this one's requests.
// It works only inside the handler `slipway`.
type Transport struct {
	// How long to wait for the first byte of an answer. Default: 300s.
	FirstByteTimeout caddy.Duration `json:"first_byte_timeout,omitempty"`

	http *reverseproxy.HTTPTransport
}

// CaddyModule implements caddy.Module.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.slipway", New: func() caddy.Module { return new(Transport) }}
}

// Provision makes the connection pool.
func (t *Transport) Provision(ctx caddy.Context) error {
	off := false
	t.http = &reverseproxy.HTTPTransport{
		DialTimeout:           caddy.Duration(3 * time.Second),
		ResponseHeaderTimeout: t.FirstByteTimeout,
		MaxResponseHeaderSize: 64 << 10,
		Compression:           &off, // bodies are the app's
		NetworkProxyRaw:       json.RawMessage(`{"from":"none"}`),
		KeepAlive: &reverseproxy.KeepAlive{
			IdleConnTimeout: caddy.Duration(2 * time.Minute), MaxIdleConns: 4096, MaxIdleConnsPerHost: 64,
		},
	}
	if err := t.http.Provision(ctx); err != nil {
		return err
	}
	mod, err := ctx.App("slipway")
	if err != nil {
		return err
	}
	runtime := mod.(*App).runtime
	t.http.Transport.DialContext = checked(t.http.Transport.DialContext, runtime.Table, runtime.checker)
	return nil
}

// Cleanup closes the idle connections.
func (t *Transport) Cleanup() error {
	if t.http == nil {
		return nil
	}
	return t.http.Cleanup()
}

// RoundTrip implements http.RoundTripper. The request is the proxy's own copy.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	in := instanceOf(r)
	if in == nil {
		return nil, errNotRunning
	}
	r.URL.Host = poolName(in)
	delete(r.Header, "Via")
	return t.http.RoundTrip(r)
}

var errNotRunning = errors.New("the instance does not run")

var (
	_ caddy.Provisioner           = (*Upstreams)(nil)
	_ reverseproxy.UpstreamSource = (*Upstreams)(nil)
	_ caddy.Provisioner           = (*Transport)(nil)
	_ caddy.CleanerUpper          = (*Transport)(nil)
	_ http.RoundTripper           = (*Transport)(nil)
)
