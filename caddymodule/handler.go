package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/routing"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler is the Caddy handler `slipway`. It belongs into one site for all
// hosts: the route table decides about hosts, never Caddy's host matcher. It
// answers every request and calls no next handler.
type Handler struct {
	site    *routing.Site
	runtime *Runtime
	hold    time.Duration
	proxy   caddyhttp.MiddlewareHandler
	log     *zap.Logger
}

// CaddyModule implements caddy.Module.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.slipway", New: func() caddy.Module { return new(Handler) }}
}

// Provision takes the app's runtime and settings.
func (h *Handler) Provision(ctx caddy.Context) error {
	mod, err := ctx.App("slipway")
	if err != nil {
		return err
	}
	app := mod.(*App)
	app.countConnections(ctx)
	h.site, h.runtime, h.hold, h.log = app.site, app.runtime, time.Duration(app.Hold), ctx.Logger()
	raw, err := json.Marshal(proxyConfig(app))
	if err != nil {
		return err
	}
	// Loaded by its ID, the proxy logs under its own name, which a
	// configuration can exclude: building its log fields costs a fifth of a
	// request even when nothing is written.
	proxy, err := ctx.LoadModuleByID("http.handlers.reverse_proxy", raw)
	if err != nil {
		return err
	}
	h.proxy = proxy.(caddyhttp.MiddlewareHandler)
	return nil
}

// proxyConfig is Caddy's reverse proxy as the edge uses it.
func proxyConfig(app *App) map[string]any {
	return map[string]any{
		"dynamic_upstreams": map[string]any{"source": "slipway"},
		"transport": map[string]any{
			"protocol": "slipway", "first_byte_timeout": app.FirstByteTimeout,
		},
		// A connect that failed is tried again, whatever the method: nothing
		// was sent. The interval is a route change's time to arrive.
		// An app that has had its time for the first byte is not asked again.
		"load_balancing": map[string]any{
			"retries": 3, "try_interval": caddy.Duration(50 * time.Millisecond),
			"try_duration": min(caddy.Duration(10*time.Second), app.FirstByteTimeout),
		},
		// An answer of known length may trickle as well as one of unknown
		// length, which the proxy flushes at once. To flush this one at once
		// too would cost a second write of every small answer, a fifth of a
		// request; a few milliseconds cost nothing and nobody notices them.
		"flush_interval": caddy.Duration(5 * time.Millisecond),
	}
}

// ServeHTTP answers a request as routing.md says.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		w = newHTTP10Writer(w)
	}
	if p, bad := oversized(r); bad {
		return h.answer(w, r, p)
	}
	table := h.runtime.Table()
	protocol := ""
	if r.Method == http.MethodConnect {
		protocol = r.Header.Get(":protocol")
	}
	request := routing.Request{
		Method: r.Method, Host: r.Host, Target: r.RequestURI, Protocol: protocol,
		Upgrade: isWebSocket(r), Bearer: hasBearer(r),
	}
	d := table.Decide(h.site, request)
	if table == nil && d.Kind == routing.NotFound {
		// This process has just started and does not know its routes.
		if table = h.runtime.awaitTable(r.Context()); table == nil {
			return h.answer(w, r, page{status: http.StatusServiceUnavailable, code: "starting", retryAfter: 1,
				text: "This edge has just started and does not know its routes yet."})
		}
		d = table.Decide(h.site, request)
	}
	switch d.Kind {
	case routing.Serve:
		return h.serve(w, r, d)
	case routing.Control:
		return h.control(w, r, d)
	case routing.Console:
		return h.handOn(w, r, h.runtime.consoleSite())
	case routing.Redirect:
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", d.Location)
		w.WriteHeader(d.Status)
		return nil
	case routing.Options:
		w.Header().Set("Allow", allow)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return h.answer(w, r, pageOf(d))
}

// serve sends a request to its instance, and waits before that for one that
// does not run. All the waiting together takes as long as one wait may.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, d routing.Decision) error {
	cleanRequest(r)
	if r.ProtoMajor == 1 {
		// An app may answer while it still reads. Without this the server
		// throws away what it has not read by then. HTTP/2 needs it not.
		// A writer that cannot is no connection of the server.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	body := watchBody(r)
	in, waitLeft := d.Instance, h.hold
	for {
		if !hold.Running(in) {
			began := time.Now()
			var err error
			if in, err = h.runtime.room.Wait(r.Context(), d.Instance.ID, waitLeft); err != nil {
				return h.answer(w, r, pageOfWait(err))
			}
			waitLeft -= time.Since(began)
		}
		caddyhttp.SetVar(r.Context(), instanceVar, in)
		err := h.proxy.ServeHTTP(w, r, noNext)
		if err == nil {
			return nil
		}
		if body.broken.Load() {
			w.Header().Set("Connection", "close")
			return h.answer(w, r, pageOfBrokenBody)
		}
		if !neverSent(err) {
			return h.answer(w, r, pageOfProxy(err))
		}
		// The instance went to sleep under the request, or it has just
		// crashed and the control plane is about to say so: then it is a
		// visit to one that does not run.
		tried := instanceOf(r)
		in = h.runtime.room.News(r.Context(), tried, crashNotice)
		switch in {
		case nil:
			return h.answer(w, r, pageOfWait(hold.ErrGone))
		case tried:
			return h.answer(w, r, pageOfProxy(err))
		}
	}
}

// crashNotice is how long the news of a crash may take to the edge. An app
// that refuses connections while it is said to run costs its visitors as much.
const crashNotice = time.Second

// noNext stands for the handler that nothing is passed on to.
var noNext = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// neverSent reports whether a failed request certainly never reached the app.
func neverSent(err error) bool {
	if _, ok := errors.AsType[reverseproxy.DialError](err); ok {
		return true
	}
	// 503 is the proxy's for "no upstream" at the first attempt; later ones
	// keep the error of an attempt before.
	handled, ok := errors.AsType[caddyhttp.HandlerError](err)
	return ok && handled.StatusCode == http.StatusServiceUnavailable || errors.Is(err, errNotRunning)
}

// control answers for the base domain's own paths.
func (h *Handler) control(w http.ResponseWriter, r *http.Request, d routing.Decision) error {
	switch {
	case d.Path == "/livez":
		return health(w, true)
	case d.Path == "/readyz":
		return health(w, h.runtime.ready())
	case strings.HasPrefix(d.Path, "/api/"), strings.HasPrefix(d.Path, "/ocs/") && h.runtime.remote.Load() != nil:
		return h.handOn(w, r, h.runtime.api())
	}
	return h.answer(w, r, page{status: http.StatusNotFound, code: "not_found", text: notFoundText})
}

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

// handOn lets the control plane of this process answer, or a live one elsewhere.
func (h *Handler) handOn(w http.ResponseWriter, r *http.Request, to http.Handler) error {
	if remote := h.runtime.remote.Load(); remote != nil {
		if p, failed := remote.forward(w, r); failed {
			return h.answer(w, r, p)
		}
		return nil
	}
	if to == nil {
		return h.answer(w, r, noControlPlane)
	}
	to.ServeHTTP(w, r)
	return nil
}

// pageOfWait is the answer to a visitor who waited in vain.
func pageOfWait(err error) page {
	switch {
	case errors.Is(err, hold.ErrGone):
		return page{status: http.StatusNotFound, code: "not_found", text: notFoundText}
	case errors.Is(err, hold.ErrFailed):
		return page{status: http.StatusServiceUnavailable, code: "start_failed", retryAfter: 5,
			text: "The app failed to start. Nothing reached it. Its owner finds the reason with: slipway instance get"}
	case errors.Is(err, hold.ErrTimeout):
		return page{status: http.StatusServiceUnavailable, code: "still_starting", retryAfter: 5,
			text: "The app is still starting. Nothing reached it; try again."}
	case errors.Is(err, context.Canceled):
		return visitorLeft
	}
	return page{status: http.StatusServiceUnavailable, code: "wake_unavailable", retryAfter: 5,
		text: "The app sleeps and cannot be woken right now. Nothing reached it; try again."}
}

// pageOfProxy is the answer when the app did not give one.
func pageOfProxy(err error) page {
	status := http.StatusBadGateway
	if handled, ok := errors.AsType[caddyhttp.HandlerError](err); ok && handled.StatusCode != 0 {
		status = handled.StatusCode
	}
	switch status {
	case 499:
		return visitorLeft
	case http.StatusGatewayTimeout:
		return page{status: status, code: "app_timeout", text: "The app took too long to answer. The request may still be running."}
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return page{status: http.StatusBadGateway, code: "app_unreachable", text: "The app stopped answering."}
	}
	return page{status: status, code: "app_unreachable", text: "The request could not be passed on to the app."}
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
