package caddymodule

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// admission is what came of the question whether a visitor may come to an
// instance.
type admission struct {
	visitor   session.Visitor
	verdict   controlplane.Verdict
	badOrigin bool // a WebSocket by cookie, of a page that is not the app's own
	identity  *upstream.Identity
}

// allowed reports whether the request goes on.
func (a *admission) allowed() bool { return a.verdict == controlplane.Allowed && !a.badOrigin }

// admit decides whether the visitor may come (spec access.md §3). It reads
// nothing but memory.
func (h *Handler) admit(t *routing.Table, in *routing.Instance, r *http.Request, webSocket bool) admission {
	checker := h.runtime.visitors
	open, wanted := checker.IsOpen(t, in), identityWanted(t, in)
	if open && !wanted {
		return admission{verdict: controlplane.Allowed} // who it is does not matter
	}
	a := admission{visitor: checker.Visitor(t, in, h.cookies, r)}
	if a.visitor.Cookie && webSocket && !sameOrigin(r, t.CanonicalOrigin(h.site, in)) {
		// Any page can open a WebSocket with the cookies of its visitor.
		if !open {
			a.badOrigin = true
			return a
		}
		a.visitor = session.Visitor{}
	}
	known := a.visitor.Known
	a.verdict = checker.MayOpen(t, in, known)
	if wanted && a.verdict == controlplane.Allowed {
		a.identity = identityOf(in, known)
	}
	return a
}

// identityWanted reports whether the app asked to be told who visits it.
func identityWanted(t *routing.Table, in *routing.Instance) bool {
	p := t.Policy(in.App)
	return p != nil && p.Identity
}

// identityOf is what an app is told (spec routing.md §5).
func identityOf(in *routing.Instance, known *session.Known) *upstream.Identity {
	id := &upstream.Identity{Instance: in.ID.String()}
	if known != nil {
		actor := known.Actor()
		id.User, id.Email, id.Roles = actor.User, actor.Email, rolesForApps(actor.Roles)
	}
	return id
}

// rolesForApps joins roles by commas. One that an app would read as others, or
// as another, is left out.
func rolesForApps(roles []string) string {
	roles = slices.DeleteFunc(slices.Clone(roles), func(role string) bool {
		return strings.Contains(role, ",") || strings.TrimSpace(role) != role || strings.ContainsFunc(role, unicode.IsControl)
	})
	return strings.Join(roles, ",")
}

// sameOrigin reports whether the one Origin of a request is this one.
func sameOrigin(r *http.Request, origin string) bool {
	values := r.Header["Origin"]
	return len(values) == 1 && strings.EqualFold(values[0], origin)
}

// refuse answers who may not come.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) error {
	a := &v.admission
	if a.visitor.Spoiled {
		w.Header().Add("Set-Cookie", h.cookies.Set(h.cookies.Pass(d.Instance.ID.String()), "", 0))
	}
	p, signIn := refusalOf(r, a)
	if signIn {
		return h.signIn(w, r, v, d)
	}
	o := outDenied
	switch p.status {
	case http.StatusNotFound:
		o = outNoRoute
	case http.StatusUnauthorized:
		challenge := `Bearer realm="slipway"`
		if a.visitor.Foreign {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		p.signIn = h.runtime.Table().CanonicalURL(h.site, d.Instance, "/", "")
	}
	return h.end(w, r, v, o, p)
}

// refusalOf is the answer to a visitor who may not come: a page, or the way to
// a sign-in.
func refusalOf(r *http.Request, a *admission) (p page, signIn bool) {
	switch {
	case a.badOrigin:
		return badOrigin, false
	case a.verdict == controlplane.Forbidden:
		return forbidden, false
	case a.verdict != controlplane.SignIn:
		return notFound, false
	case a.visitor.Foreign:
		return foreignToken, false
	case isPageLoad(r):
		return page{}, true
	}
	return unauthenticated, false
}

// The answers to those who may not come.
var (
	forbidden = page{status: http.StatusForbidden, code: "forbidden",
		text: "You may know of this app, but not open it: it is its owner's. Ask the owner to share it."}
	badOrigin = page{status: http.StatusForbidden, code: "bad_origin",
		text: "This WebSocket was not opened by a page of the app itself."}
	unauthenticated = page{status: http.StatusUnauthorized, code: "unauthenticated",
		text: "This app is not open to everybody. Sign in first; programs send a bearer of POST /api/v1/instances/ID/ticket."}
	ended = page{status: http.StatusForbidden, code: "forbidden",
		text: "The right to be here has ended while the app was at work. The request may have had its effect."}
	foreignToken = page{status: http.StatusUnauthorized, code: "invalid_token",
		text: "This token is not good for this app, or not any more. Trade a personal token at POST /api/v1/instances/ID/ticket."}
)

// isPageLoad reports whether a browser loads a page, which a redirect can lead
// to a sign-in and back.
func isPageLoad(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && !isWebSocket(r) && prefersHTML(r)
}

// stay keeps the request among those that are asked again whether they may go
// on, until its end.
func (h *Handler) stay(v *visit, in *routing.Instance, out *upstream.Request) *session.Stay {
	s := &session.Stay{Instance: in.ID, Owner: in.Owner, Known: v.admission.visitor.Known, Began: v.began, Cut: out.Cut}
	if s.Known == nil {
		s.Unread = h.unread(in, out.Request, out.WebSocket)
	}
	if v.alias != nil {
		s.Alias = v.alias.Name
	}
	stays := &h.runtime.stays
	stays.Begin(s)
	if out.WebSocket {
		// It outlives the request, and is closed in its own way.
		out.Opened = func(end func(uint16)) func() {
			s.End()
			open := &session.Stay{Instance: s.Instance, Owner: s.Owner, Known: s.Known, Unread: s.Unread.Kept(s.Instance), Began: s.Began, Alias: s.Alias}
			open.Cut = func() { end(upstream.PolicyViolation) }
			stays.Begin(open)
			return open.End
		}
	}
	return s
}

// unread is what came with a visitor at whom nobody looked. A cookie with a
// WebSocket of a page that is not the app's own is none of it (see admit).
func (h *Handler) unread(in *routing.Instance, r *http.Request, webSocket bool) session.Unread {
	return session.NewUnread(r, &h.cookies, !webSocket || sameOrigin(r, h.runtime.Table().CanonicalOrigin(h.site, in)))
}

// renewPatience is how long an answer waits for a newer pass, from the request on.
const renewPatience = 100 * time.Millisecond

// renew puts a newer pass into the visitor's cookie, where it is time. The request
// goes to the app meanwhile; where a control plane takes longer than the app, the
// next request has the cookie.
func (h *Handler) renew(w http.ResponseWriter, r *http.Request, in *routing.Instance, a *admission, out *upstream.Request) {
	if !a.visitor.Cookie || r.Header.Get("Sec-Fetch-Mode") == "websocket" {
		return
	}
	runtime, known, name := h.runtime, a.visitor.Known, h.cookies.Pass(in.ID.String())
	ask := func(ctx context.Context, old string) (*session.Known, error) {
		return runtime.renewPass(ctx, in.ID, old)
	}
	set := func(header http.Header) <-chan struct{} {
		pass, seconds, coming := runtime.visitors.Renewed(known, ask)
		if pass != "" {
			header.Add("Set-Cookie", h.cookies.Set(name, pass, seconds))
		}
		return coming
	}
	coming := set(w.Header())
	if coming == nil {
		return
	}
	patience := time.NewTimer(renewPatience)
	out.Answering = func(header http.Header) {
		defer patience.Stop()
		select {
		case <-coming:
		case <-patience.C:
		case <-r.Context().Done():
		}
		set(header)
	}
}

// again reports whether a visitor who waited may still come to the instance as
// it is now.
func (h *Handler) again(r *http.Request, v *visit, in *routing.Instance, webSocket bool) bool {
	checker, t, known := h.runtime.visitors, h.runtime.Table(), v.admission.visitor.Known
	if known != nil && !known.Lasts(t, time.Now()) {
		return false
	}
	if known == nil && !checker.IsOpen(t, in) {
		came := h.unread(in, r, webSocket)
		known = checker.Read(t, in, &came, v.began)
	}
	return checker.MayOpen(t, in, known) == controlplane.Allowed
}
