package console

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// login sends a browser to the provider. That it comes back to where it was, to
// the fragment even, which no server sees, is what the short page before is for.
func (s *console) login(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	next := safeNext(q.Get("next"))
	actor, err := s.actor(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if actor.User != "" {
		redirect(w, s.origin+next+safeFragment(q.Get("fragment")))
		return
	}
	if s.Provider == nil {
		s.show(w, r, http.StatusOK, view{
			Title: "Sign in", Text: "This installation has no sign-in service. A link that works once, within a minute, signs you in.",
			Code: "slipway login --link",
		})
		return
	}
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" && !q.Has("fragment") {
		w.Header().Set("Content-Security-Policy", policy(onwardHash))
		s.show(w, r, http.StatusOK, view{
			Title: "Signing in", Onward: s.origin + "/login?" + escaped("next", next, "fragment="),
		})
		return
	}
	now := s.Service.Now()
	l, state := newLogin(next, q.Get("fragment"), now)
	if len(state.Fragment) > maxNext {
		state.Fragment = ""
	}
	to, err := s.Provider.AuthURL(r.Context(), l)
	if err == nil {
		err = s.keepLogin(w, r, l.State, state)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, to)
}

// loginURL is where somebody signs in, to come back to next.
func (s *console) loginURL(next string) string {
	return s.origin + "/login?" + escaped("next", next, "")
}

// callback is where the provider sends a browser back to.
func (s *console) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	state := q.Get("state")
	l := s.readLogin(r, state, s.Service.Now())
	s.clearLogin(w, r, state)
	// Whoever says that the provider refused gets nothing, and costs nothing.
	if l != nil && !q.Has("error") {
		if err := s.Service.MayFinishSignIn(controlplane.ClientAddress(r.Context())); err != nil {
			s.fail(w, r, err)
			return
		}
		first, err := s.Service.FirstUse(r.Context(), controlplane.OnceLogin, state, loginLife)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if !first {
			l = nil
		}
	}
	if l == nil {
		if actor, err := s.actor(w, r); err == nil && actor.User != "" {
			redirect(w, s.origin+"/") // back from the history
			return
		}
		s.fail(w, r, errLoginLost)
		return
	}
	if iss, said := q.Get("iss"), q.Has("iss"); said && iss != s.Provider.Issuer { // RFC 9207
		s.fail(w, r, controlplane.Errorf(controlplane.CodeInvalid, "another sign-in service answered than was asked").WithHint("sign in again"))
		return
	}
	if q.Has("error") {
		s.fail(w, r, s.Provider.Refused(q.Get("error")))
		return
	}
	secret, session, err := s.finish(r, q.Get("code"), &identity.Login{State: state, Nonce: l.Nonce, Verifier: l.Verifier})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Sessions.begin(w, secret, session)
	redirect(w, s.origin+safeNext(l.Next)+safeFragment(l.Fragment))
}

var errLoginLost = controlplane.Errorf(controlplane.CodeUnauthorized, "this sign-in is not known here, was finished already, or took longer than 10 minutes").
	WithHint("sign in again; if that does not help, allow cookies for this site")

// finish trades the code and begins a session.
func (s *console) finish(r *http.Request, code string, l *identity.Login) (secret string, session *controlplane.Session, err error) {
	// The code is spent with the answer, whether the visitor waits or not.
	ctx := context.WithoutCancel(r.Context())
	grant, err := s.Provider.Exchange(ctx, code, l)
	if err != nil {
		return "", nil, err
	}
	if grant.NoRoles {
		s.Log.Warn("the sign-in service gave no roles", zap.String("setting", "roles_claim"), zap.String("claim", s.Provider.RolesClaim))
	}
	secret = identity.NewSession()
	n, err := s.Sealer.NewSession(identity.SessionID(secret), grant, s.Service.Now())
	if err != nil {
		return "", nil, err
	}
	n.Address = controlplane.ClientAddress(ctx)
	n.Replaces, _ = s.Sessions.id(r)
	session, err = s.Service.SignIn(ctx, &grant.Who, n)
	return secret, session, err
}
