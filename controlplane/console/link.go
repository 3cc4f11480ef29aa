package console

import (
	"net/http"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// logoutMemory is how long a logout token is remembered.
const logoutMemory = identity.LogoutMemory + time.Minute

func hash(text string) string { return identity.HashToken(text) }

// link shows the form that a one-time link signs in by. Programs that fetch
// links in advance do not use it up.
func (s *console) link(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, view{
		Title: "Sign in", Text: "You follow a link that signs you in at this installation, once.",
		Form: &form{Action: "/link", Hidden: []field{{"token", r.URL.Query().Get("token")}}, Buttons: []field{{"", "Sign in"}}},
	})
}

func (s *console) useLink(w http.ResponseWriter, r *http.Request) {
	if !s.Sessions.ours(r) {
		s.fail(w, r, errForeign)
		return
	}
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, controlplane.Errorf(controlplane.CodeInvalid, "the form cannot be read"))
		return
	}
	secret := identity.NewSession()
	n := &controlplane.NewSession{
		ID: identity.SessionID(secret), ExpiresAt: s.Service.Now().Add(controlplane.SessionLife), Address: controlplane.ClientAddress(r.Context()),
	}
	n.Replaces, _ = s.Sessions.id(r)
	session, err := s.Service.UseLink(r.Context(), hash(r.PostFormValue("token")), n)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.Sessions.begin(w, secret, session)
	redirect(w, s.origin+"/")
}
