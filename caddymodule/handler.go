package caddymodule

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	_ "github.com/seed-dbc68772/slipway/caddymodule/extendedconnect" // WebSockets over HTTP/2
	"github.com/seed-dbc68772/slipway/caddymodule/framing"
	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler is the Caddy handler `slipway`. It belongs into one site for all
// hosts: the route table decides about hosts, never Caddy's host matcher. It
// answers every request and calls no next handler.
type Handler struct {
	site      *routing.Site
	runtime   *Runtime
	hold      time.Duration
	grace     time.Duration // of a page load
	probes    *probes
	firstByte time.Duration
	trusted   trustedProxies
	cookies   session.Cookies
	log       *zap.Logger
	accessLog bool // the server writes one
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
	h.take(app)
	h.log = ctx.Logger()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		prepareServer(server, h.log)
		h.accessLog = server.Logs != nil
		app.countConnections(server)
		// The server waits for WebSockets over HTTP/2 before it gives the
		// runtime up, and knows nothing of those over HTTP/1.1.
		runtime := app.runtime
		server.RegisterOnShutdown(func() {
			if caddy.Exiting() {
				runtime.upstream.Drain()
			}
		})
	}
	return nil
}

// take takes over what the app's settings say.
func (h *Handler) take(app *App) {
	h.site, h.runtime, h.trusted = app.site, app.runtime, app.trusted
	h.cookies = session.NewCookies(app.site)
	h.grace, h.probes = time.Duration(app.PageGrace), newProbes(app.Probes)
	h.hold, h.firstByte = time.Duration(app.Hold), time.Duration(app.FirstByteTimeout)
}

// ServeHTTP answers a request as routing.md says. What an operator is told of a
// request (explain.go) goes through the same functions.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	v := visit{began: time.Now()}
	if r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		w = newHTTP10Writer(w)
	}
	if status, code, bad := framing.Refusal(r); bad {
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		return h.end(w, r, &v, outDenied, pageOfRefusal(status, code))
	}
	if status, code, bad := oversized(r); bad {
		return h.end(w, r, &v, outDenied, pageOfRefusal(status, code))
	}
	table := h.runtime.Table()
	request := requestOf(r)
	d := table.Decide(h.site, request)
	if table == nil && d.Kind == routing.NotFound {
		if table = h.runtime.awaitTable(r.Context()); table == nil {
			return h.end(w, r, &v, outUnavailable, starting)
		}
		d = table.Decide(h.site, request)
	}
	v.decided(table, &d)
	if isMisdirected(r, d.Kind) {
		return h.end(w, r, &v, outDenied, misdirected)
	}
	if request.Protocol != "" && (d.Kind == routing.Control || d.Kind == routing.Console) {
		// A 200 would say that the WebSocket is open.
		return h.end(w, r, &v, outDenied, noWebSocket)
	}
	webSocket := request.Upgrade || request.Protocol != ""
	if d.Kind == routing.Own && d.Own == "ticket" {
		return h.ticket(w, r, &v, d) // it is for those who are not signed in yet
	}
	if d.Kind == routing.Serve || d.Kind == routing.Own {
		if v.admission = h.admit(table, d.Instance, r, webSocket); !v.admission.allowed() {
			return h.refuse(w, r, &v, d)
		}
	}
	switch d.Kind {
	case routing.Serve:
		return h.serve(w, r, d, &v, webSocket)
	case routing.Control:
		err := h.control(w, r, d)
		h.note(w, r, &v, "")
		return err
	case routing.Console:
		err := h.handOn(w, r, h.runtime.consoleSite())
		h.note(w, r, &v, "")
		return err
	case routing.Redirect:
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", d.Location)
		w.WriteHeader(d.Status)
		h.done(w, r, &v, outcomeOf(d), d.Status)
		return nil
	case routing.Own:
		return h.own(w, r, &v, d)
	case routing.Options:
		w.Header().Set("Allow", allow)
		w.WriteHeader(http.StatusOK)
		h.note(w, r, &v, "")
		return nil
	}
	return h.end(w, r, &v, outcomeOf(d), pageOf(d))
}

// Attempts to reach an instance that refuses connections while it is said to
// run. The interval is a route change's time to arrive.
const (
	connectRetries  = 3
	connectInterval = 50 * time.Millisecond
	connectPatience = 10 * time.Second // no further attempt after that
)

// forEver is longer than a connection lives.
const forEver = 10 * 365 * 24 * time.Hour

// crashNotice is how long the news of a crash may take to the edge. An app
// that refuses connections while it is said to run costs its visitors as much.
const crashNotice = 2 * time.Second

// serve sends a request to its instance, and waits before that for one that
// does not run. All the waiting together takes as long as one wait may.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, d routing.Decision, v *visit, webSocket bool) error {
	out := h.outgoing(r, d, webSocket)
	out.Identity = v.admission.identity
	defer h.stay(v, d.Instance, out).End()
	h.renew(w, r, d.Instance, &v.admission, out)
	if r.ProtoMajor > 1 && (webSocket || out.IsGRPC()) {
		// Its body is half of a conversation, in which it may be silent as long
		// as it likes.
		if reader, _ := caddyhttp.IdleTimeoutsFromContext(r.Context()); reader != nil {
			reader.Override(forEver, 0)
		}
	}
	in, answered := d.Instance, outProxied
	for {
		if in == nil || !hold.Running(in) {
			answered = outHeld
			var err error
			if in, err = h.wait(w, r, d, v, webSocket); in == nil {
				return err
			}
		}
		if in = h.enter(out, in, house{h.runtime}); in == nil || !hold.Running(in) {
			continue // it was marked since, and this is a visit to a sleeper
		}
		var err error
		v.out = out
		in, err = h.send(w, out, in)
		v.instance = in
		if err == nil {
			h.done(w, r, v, answered, out.Status)
			return nil
		}
		switch {
		case errors.Is(err, upstream.ErrCutOff):
			h.done(w, r, v, answered, out.Status)
			panic(http.ErrAbortHandler) // the answer must not pass for whole
		case errors.Is(err, upstream.ErrEnded):
			return h.end(w, r, v, outDenied, ended)
		case !errors.Is(err, upstream.ErrConnect):
			return h.end(w, r, v, outcomeOfFailure(err), pageOfFailure(w, err))
		}
		// The instance went to sleep under the request, or it has just
		// crashed and the control plane is about to say so: then it is a
		// visit to one that does not run.
		tried, began := in, time.Now()
		in = h.runtime.room.News(r.Context(), tried, crashNotice)
		out.Waited += time.Since(began)
		switch in {
		case nil:
			return h.end(w, r, v, outUnavailable, notFound)
		case tried:
			return h.end(w, r, v, outcomeOfFailure(err), pageOfFailure(w, err))
		}
	}
}

// outgoing is the request as it goes to the instance.
func (h *Handler) outgoing(r *http.Request, d routing.Decision, webSocket bool) *upstream.Request {
	out := &upstream.Request{
		Request: r, Target: targetOf(r, d), WebSocket: webSocket,
		Forwarded: h.trusted.forwarded(r), FirstByte: h.firstByte,
	}
	if d.Instance.Mode == routing.BaseURL {
		out.Prefix = baseOf(d) + "/"
	}
	return out
}

// baseOf is the path that an instance's own paths are below: empty where it has a
// host of its own.
func baseOf(d routing.Decision) string { return d.Path[:len(d.Path)-len(d.Rest)] }

// instances is the present route table at each call.
type instances interface {
	Instance(id routing.ID) *routing.Instance
}

// enter counts the request at its instance, to be on its way there until
// out.Use ends. It returns the instance as the table has it once the request is
// counted, and nil if it is gone: if that is asleep, or about to be, the request
// is not counted and must not be sent. Whoever marks an instance as about to
// sleep finds every request counted that does not find the mark.
func (h *Handler) enter(out *upstream.Request, in *routing.Instance, table instances) *routing.Instance {
	use := h.runtime.meters.Begin(in, h.probes.sent(out.Request))
	now := table.Instance(in.ID)
	if now == nil || !hold.Running(now) {
		use.End()
		return now
	}
	out.Use = use.For(now.Generation)
	return now
}

// end answers with a page, and counts that.
func (h *Handler) end(w http.ResponseWriter, r *http.Request, v *visit, o outcome, p page) error {
	err := h.answer(w, r, p)
	h.done(w, r, v, o, p.status)
	return err
}

// send sends a request to the instance as the route table has it at each
// attempt, and returns what it has been at the last one.
func (h *Handler) send(w http.ResponseWriter, out *upstream.Request, in *routing.Instance) (*routing.Instance, error) {
	defer out.Use.End()
	began := time.Now()
	for attempt := 0; ; attempt++ {
		err := h.runtime.upstream.Serve(w, out, in)
		if !errors.Is(err, upstream.ErrConnect) || attempt == connectRetries || time.Since(began) > connectPatience {
			return in, err
		}
		select {
		case <-time.After(connectInterval):
			out.Waited += connectInterval
		case <-out.Context().Done():
			return in, upstream.ErrLeft
		}
		now := h.runtime.Table().Instance(in.ID)
		if now == nil || !hold.Running(now) {
			return in, err
		}
		in, out.Use = now, out.Use.For(now.Generation)
	}
}

// targetOf is the request target in origin form.
func targetOf(r *http.Request, d routing.Decision) string {
	switch {
	case strings.HasPrefix(r.RequestURI, "/"):
		return r.RequestURI
	case d.HasQuery:
		return d.Path + "?" + d.Query
	}
	return d.Path
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
	return h.answer(w, r, notFound)
}

// handOn lets the control plane of this process answer, or a live one elsewhere.
func (h *Handler) handOn(w http.ResponseWriter, r *http.Request, to http.Handler) error {
	client := h.trusted.client(r)
	if remote := h.runtime.remote.Load(); remote != nil {
		if p, failed := remote.forward(w, r, h.trusted.forwarded(r), client); failed {
			return h.answer(w, r, p)
		}
		return nil
	}
	if to == nil {
		return h.answer(w, r, noControlPlane)
	}
	to.ServeHTTP(w, r.WithContext(controlplane.WithClientAddress(r.Context(), client)))
	return nil
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
