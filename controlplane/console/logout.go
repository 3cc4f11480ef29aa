package console

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// logout ends the session, or with everywhere all of the user's, and at the
// provider too, if that has a page for it.
func (s *console) logout(w http.ResponseWriter, r *http.Request) {
	actor, ok := s.formActor(w, r)
	if !ok {
		return
	}
	session, err := s.Service.SignOut(r.Context(), actor, r.PostFormValue("everywhere") != "")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Sessions.clear(w)
	v := view{Title: "Signed out", Text: "You are signed out here.", Links: []linkTo{{s.origin + "/", "Console"}}}
	if s.Provider != nil && session != nil {
		// A redirect would be stopped by form-action, so that the page leads on.
		v.Onward = s.Provider.EndSessionURL(r.Context(), s.Sealer.IDToken(session), s.Site.ConsoleURL(), "signed-out")
	}
	s.show(w, r, http.StatusOK, v)
}

// backChannelLogout takes the provider's word that a session has ended (OpenID
// Connect Back-Channel Logout 1.0 §2.5 to §2.8).
func (s *console) backChannelLogout(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	answer := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // a provider that left asks again, or not
	}
	refused := func(err error) {
		switch controlplane.CodeOf(err) {
		case controlplane.CodeUnavailable, controlplane.CodeInternal:
			s.Log.Warn("a sign-out at the provider was not followed; sessions end within 5 minutes by themselves", zap.Error(err))
			answer(http.StatusServiceUnavailable, `{"error":"temporarily_unavailable","error_description":"the logout token could not be checked or followed"}`)
		default:
			s.Log.Debug("logout token refused", zap.Error(err)) // anybody may send one
			answer(http.StatusBadRequest, `{"error":"invalid_request","error_description":"the logout token was not taken"}`)
		}
	}
	if err := r.ParseForm(); err != nil {
		refused(controlplane.Errorf(controlplane.CodeInvalid, "read form: %v", err))
		return
	}
	token, err := s.Provider.ReadLogoutToken(ctx, r.PostFormValue("logout_token"))
	if err != nil {
		refused(err)
		return
	}
	first, err := s.Service.FirstUse(ctx, controlplane.OnceLogout, hash(s.Provider.Issuer+" "+token.ID), logoutMemory)
	if err == nil && !first {
		err = controlplane.Errorf(controlplane.CodeConflict, "it was used already")
	}
	if err == nil {
		err = s.Service.ProviderSignOut(ctx, s.Provider.Issuer, token.Subject, token.Session)
	}
	if err != nil {
		refused(err)
		return
	}
	answer(http.StatusOK, "{}")
}
