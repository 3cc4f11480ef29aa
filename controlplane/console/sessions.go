package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// Sessions reads and writes the cookies of the console's host.
type Sessions struct {
	service *controlplane.Service
	origin  string // of the console, without a final slash
	names   cookieNames
	// protection is the standard library's, which allows no more than ours.
	protection *http.CrossOriginProtection
}

// cookieNames have the prefix __Host- on https, so that no sibling host can set
// such cookies. On http://, where there is no such prefix and all ports share
// cookies, they have the port in them.
type cookieNames struct {
	prefix, suffix string
	secure         bool
}

// NewSessions makes those of a site.
func NewSessions(service *controlplane.Service, site *routing.Site) *Sessions {
	s := &Sessions{service: service, origin: strings.TrimSuffix(site.ConsoleURL(), "/"), protection: http.NewCrossOriginProtection()}
	if site.Scheme() == "https" {
		s.names = cookieNames{prefix: "__Host-slipway-", secure: true}
		return s
	}
	s.names = cookieNames{prefix: "slipway-"}
	if port := site.Port(); port != "" {
		s.names.suffix = "-" + port
	}
	return s
}

func (n cookieNames) session() string { return n.prefix + "session" + n.suffix }

// write is a cookie of this host alone; a life of 0 clears it.
func (n cookieNames) write(w http.ResponseWriter, name, value string, life time.Duration) {
	cookie := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), Secure: n.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if life < time.Second {
		cookie.Value, cookie.MaxAge = "", -1
	}
	http.SetCookie(w, &cookie)
}

// begin gives the browser a session's secret.
func (s *Sessions) begin(w http.ResponseWriter, secret string, session *controlplane.Session) {
	s.names.write(w, s.names.session(), secret, session.ExpiresAt.Sub(s.service.Now()))
}

func (s *Sessions) clear(w http.ResponseWriter) { s.names.write(w, s.names.session(), "", 0) }

// id is the session that a request says it is of; empty for none. Of two
// cookies of one name nobody knows which is ours: then there is none.
func (s *Sessions) id(r *http.Request) (id string, present bool) {
	found := r.CookiesNamed(s.names.session())
	if len(found) == 1 {
		id = identity.SessionID(found[0].Value)
	}
	return id, len(found) > 0
}

// find finds who is signed in. Unusable is set where a cookie is to be cleared;
// nobody is told what is wrong with it.
func (s *Sessions) find(r *http.Request) (actor controlplane.Actor, unusable bool, err error) {
	id, present := s.id(r)
	if id == "" {
		return actor, present, nil
	}
	actor, err = s.service.SessionActor(r.Context(), id)
	if controlplane.CodeOf(err) == controlplane.CodeUnauthorized {
		return controlplane.Actor{}, true, nil
	}
	return actor, false, err
}

// Actor is api.Config's Session: who is signed in, if this console's own pages
// sent the request.
func (s *Sessions) Actor(r *http.Request) (controlplane.Actor, error) {
	_, present := s.id(r)
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case !present:
		return controlplane.Actor{}, nil
	case safe && !s.mine(r):
		return controlplane.Actor{}, nil
	case !safe && !s.ours(r):
		return controlplane.Actor{}, errForeign
	}
	actor, _, err := s.find(r)
	return actor, err
}

// mine reports whether a request that changes nothing comes from this host, or
// from the person.
func (s *Sessions) mine(r *http.Request) bool {
	switch site := r.Header.Values("Sec-Fetch-Site"); {
	case len(site) == 0: // a browser of before 2023, or none
		origin := r.Header.Values("Origin")
		return len(origin) == 0 || len(origin) == 1 && origin[0] == s.origin
	case len(site) == 1:
		return site[0] == "same-origin" || site[0] == "none"
	}
	return false
}

// ours reports whether a request that changes something comes from a page of
// this host. A sibling host is an app's.
func (s *Sessions) ours(r *http.Request) bool {
	site, origin := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	if s.protection.Check(r) != nil {
		return false
	}
	if len(site) > 1 || len(origin) > 1 || len(site)+len(origin) == 0 {
		return false
	}
	if len(origin) == 1 && origin[0] != s.origin {
		return false
	}
	return len(site) == 0 || site[0] == "same-origin" || site[0] == "none"
}
