package oidctest

import (
	"cmp"
	"crypto/rand"
	"slices"
	"time"
)

// User is one who can sign in.
type User struct {
	Username      string         // claim preferred_username, and what one types to sign in
	Subject       string         // claim sub; "sub-" and the name by default
	Name          string         // claim name, with the scope profile
	Email         string         // claim email, with the scope email
	EmailVerified bool           // claim email_verified, present with Email
	Roles         []string       // claim realm_access.roles, as Keycloak has it
	Groups        []string       // claim groups
	Claims        map[string]any // more claims of ID tokens, access tokens and userinfo, whatever the scopes
}

// Place is where roles and groups appear. Places are added with |.
type Place int

// The places.
const (
	InIDToken Place = 1 << iota
	InAccessToken
	InUserinfo
	Nowhere
	Everywhere = InIDToken | InAccessToken | InUserinfo
)

type user struct {
	User
	disabled bool
}

// session is a browser that is signed in. It survives as a record when it ends.
type session struct {
	id       string // claim sid
	cookie   string
	user     *user
	authTime time.Time
	ended    bool
}

func (s *session) alive() bool { return !s.ended && !s.user.disabled }

// AddUser adds a user, or replaces one of the same name: sessions and tokens
// of the replaced one go on and show it as it was.
func (p *Provider) AddUser(u User) {
	u.Subject = cmp.Or(u.Subject, "sub-"+u.Username)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users[u.Username] = &user{User: u}
}

// SetRoles replaces the roles of a user. Tokens that are out keep the old ones,
// the next refresh has the new ones.
func (p *Provider) SetRoles(username string, roles ...string) {
	p.change(username, func(u *user) { u.Roles = slices.Clone(roles) })
}

// PlaceRoles changes where roles and groups appear from now on.
func (p *Provider) PlaceRoles(place Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.RolesIn = place
}

// Disable refuses a user's sign-in, refreshes (invalid_grant) and userinfo.
func (p *Provider) Disable(username string) { p.change(username, func(u *user) { u.disabled = true }) }

// Enable takes a Disable back. Sessions and tokens that have not ended go on.
func (p *Provider) Enable(username string) { p.change(username, func(u *user) { u.disabled = false }) }

func (p *Provider) change(username string, f func(*user)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.users[username]
	if !ok {
		p.t.Errorf("the provider has no user %q", username)
		return
	}
	f(u)
}

// EndSession ends all sessions of a user: single sign-on, refresh tokens, and
// access tokens as far as the provider itself is asked.
func (p *Provider) EndSession(username string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sessions {
		if s.user.Username == username {
			s.ended = true
		}
	}
}

// SessionID is the sid of the session that a user began last, ended or not;
// empty if there was none.
func (p *Provider) SessionID(username string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.lastSession(username); s != nil {
		return s.id
	}
	return ""
}

// lastSession needs p.mu.
func (p *Provider) lastSession(username string) (last *session) {
	for _, s := range p.sessions {
		if s.user.Username == username && (last == nil || s.authTime.After(last.authTime)) {
			last = s
		}
	}
	return last
}

// begin signs a user in, who stays in the session that the browser has, if it
// is one of the same user. It needs p.mu.
func (p *Provider) begin(u *user, cookie string) *session {
	s := p.sessions[cookie]
	if s == nil || s.ended || s.user != u {
		s = &session{id: rand.Text(), cookie: rand.Text(), user: u}
		p.sessions[s.cookie] = s
	}
	s.authTime = time.Now()
	return s
}
