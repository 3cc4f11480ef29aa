package framing

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Wrapper{})
}

// Wrapper is the Caddy listener wrapper `slipway`. It has no settings: the
// limits are spec routing.md §7, and the time for heads is its server's.
type Wrapper struct {
	server *caddyhttp.Server
}

// CaddyModule implements caddy.Module.
func (Wrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.slipway", New: func() caddy.Module { return new(Wrapper) }}
}

// guarded are the servers that have a wrapper. Caddy forgets that of a server
// before it makes its handlers.
var guarded sync.Map // *caddyhttp.Server to struct{}

// Guards reports whether a server's connections are checked.
func Guards(server *caddyhttp.Server) bool {
	_, ok := guarded.Load(server)
	return ok
}

// Provision notes the server, whose settings are not complete yet.
func (w *Wrapper) Provision(ctx caddy.Context) error {
	w.server, _ = ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if w.server != nil {
		guarded.Store(w.server, struct{}{})
		BeforeServing(w.server, advertise)
		w.server.RegisterConnContext(func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, clientConnKey{}, c)
		})
	}
	return nil
}

// BeforeServing lets tell set what Caddy has no settings for: it is called when
// the first connection comes, before net/http's server, which Caddy shows no
// earlier, serves it.
func BeforeServing(server *caddyhttp.Server, tell func(*http.Server)) {
	var once sync.Once
	server.RegisterConnContext(func(ctx context.Context, _ net.Conn) context.Context {
		once.Do(func() {
			if inner, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok {
				tell(inner)
			}
		})
		return ctx
	})
}

// Cleanup implements caddy.CleanerUpper.
func (w *Wrapper) Cleanup() error {
	if w.server != nil {
		guarded.Delete(w.server)
	}
	return nil
}

// WrapListener implements caddy.ListenerWrapper.
func (w *Wrapper) WrapListener(l net.Listener) net.Listener {
	timeout := defaultHeaderTimeout
	if w.server != nil && w.server.ReadHeaderTimeout > 0 {
		timeout = time.Duration(w.server.ReadHeaderTimeout)
	}
	return Listen(l, timeout)
}

const defaultHeaderTimeout = 10 * time.Second // spec routing.md §7

// UnmarshalCaddyfile reads the name in listener_wrappers { … }.
func (*Wrapper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.Err("the listener wrapper slipway has no options")
	}
	return nil
}

var (
	_ caddy.Provisioner     = (*Wrapper)(nil)
	_ caddy.CleanerUpper    = (*Wrapper)(nil)
	_ caddy.ListenerWrapper = (*Wrapper)(nil)
	_ caddyfile.Unmarshaler = (*Wrapper)(nil)
)
