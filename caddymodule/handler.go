package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/textproto"
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
		"load_balancing": map[string]any{"retries": 3, "try_interval": caddy.Duration(50 * time.Millisecond)},
	}
}

// ServeHTTP answers a request as routing.md says.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	table := h.runtime.Table()
	protocol := ""
	if r.Method == http.MethodConnect {
		protocol = r.Header.Get(":protocol")
	}
	d := table.Decide(h.site, routing.Request{
		Method: r.Method, Host: r.Host, Target: r.RequestURI, Protocol: protocol,
		Upgrade: isWebSocket(r), Bearer: hasBearer(r),
	})
	if table == nil && d.Kind != routing.Control && d.Status != http.StatusBadRequest {
		return h.answer(w, r, page{status: http.StatusServiceUnavailable, code: "starting", retryAfter: 1,
			text: "This edge has just started and does not know its routes yet."})
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
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return h.answer(w, r, pageOf(d))
}

// serve sends a request to its instance, and waits before that for one that
// does not run.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, d routing.Decision) error {
	cleanRequest(r)
	in := d.Instance
	for {
		if !hold.Running(in) {
			var err error
			if in, err = h.runtime.room.Wait(r.Context(), d.Instance.ID, h.hold); err != nil {
				return h.answer(w, r, pageOfWait(err))
			}
		}
		caddyhttp.SetVar(r.Context(), instanceVar, in)
		err := h.proxy.ServeHTTP(w, r, noNext)
		if err == nil {
			return nil
		}
		// Nothing was sent where the instance went to sleep under the
		// request: then it is a visit to a sleeping instance.
		if now := h.runtime.Table().Instance(in.ID); neverSent(err) && now != nil && !hold.Running(now) {
			in = now
			continue
		}
		return h.answer(w, r, pageOfProxy(err))
	}
}

// noNext stands for the handler that nothing is passed on to.
var noNext = caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })

// neverSent reports whether a failed request certainly never reached the app.
func neverSent(err error) bool {
	if _, ok := errors.AsType[reverseproxy.DialError](err); ok {
		return true
	}
	return errors.Is(err, errNotRunning)
}

// control answers for the base domain's own paths.
func (h *Handler) control(w http.ResponseWriter, r *http.Request, d routing.Decision) error {
	switch {
	case d.Path == "/livez":
		return health(w, true)
	case d.Path == "/readyz":
		return health(w, h.runtime.ready())
	case strings.HasPrefix(d.Path, "/api/"):
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

// handOn lets the control plane of this process answer.
func (h *Handler) handOn(w http.ResponseWriter, r *http.Request, to http.Handler) error {
	if to == nil {
		return h.answer(w, r, page{status: http.StatusServiceUnavailable, code: "no_control_plane", retryAfter: 5,
			text: "No control plane answers here."})
	}
	to.ServeHTTP(w, r)
	return nil
}

// dropped are headers that say where a request came from and that clients
// could forge (spec routing.md §5). X-Forwarded-For, -Host and -Proto are the
// proxy's: it drops and sets them.
var dropped = []string{
	"Forwarded", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Prefix", "Proxy",
	"X-Slipway-User", "X-Slipway-Email", "X-Slipway-Roles", "X-Slipway-Instance",
}

// cleanRequest takes from a request what must not reach an app.
func cleanRequest(r *http.Request) {
	for _, name := range dropped {
		delete(r.Header, textproto.CanonicalMIMEHeaderKey(name))
	}
	if r.Header.Get("Upgrade") != "" && !isWebSocket(r) {
		delete(r.Header, "Upgrade")
	}
}

// isWebSocket reports whether an HTTP/1.1 request asks for a WebSocket.
func isWebSocket(r *http.Request) bool {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return false
	}
	for _, line := range r.Header["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

func hasBearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && token != ""
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
		return page{} // the visitor left
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
		return page{} // the visitor left
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
