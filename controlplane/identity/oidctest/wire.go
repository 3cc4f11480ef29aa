package oidctest

import (
	"maps"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The types below are what the engine reads and writes: engine/wire.go. They
// are there twice, since the engine is a module of its own. A field that one
// side does not know is an error on that side.

// question is what the engine is asked to do.
type question struct {
	Do    string // check, grant, refuse, token, userinfo, introspect or revoke
	World world

	// For check, grant and refuse: what the client has asked for, and when.
	Form  string
	Asked time.Time
	// For grant: the session that grants it.
	Session string

	// For the others: the HTTP request.
	Authorization string
	Body          string
	Method        string
}

// answer is an HTTP answer. The status 0 says of a check that nothing is wrong.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(a.Body)) // the client is gone
}

// world is all that the provider knows and the engine does not keep.
type world struct {
	Issuer        string
	Lifetime      time.Duration
	Skew          time.Duration
	RefreshAlways bool
	ReuseRefresh  bool
	RolesIn       Place
	Clients       []Client
	Sessions      []login
	Keys          jose.JSONWebKeySet // the last one signs
}

// login is a session of a user, alive or not.
type login struct {
	ID       string
	Alive    bool
	AuthTime time.Time
	User     User
}

// world tells the engine of the provider. It needs p.mu.
func (p *Provider) world() world {
	w := world{
		Issuer: p.issuer, Lifetime: p.config.TokenLifetime, Skew: p.faults.skew,
		RefreshAlways: p.config.RefreshAlways, ReuseRefresh: p.config.ReuseRefresh, RolesIn: p.config.RolesIn,
	}
	for _, c := range p.clients {
		w.Clients = append(w.Clients, *c)
	}
	for _, s := range p.sessions {
		w.Sessions = append(w.Sessions, login{ID: s.id, Alive: s.alive(), AuthTime: s.authTime, User: s.user.User})
	}
	for _, k := range p.keys {
		w.Keys.Keys = append(w.Keys.Keys, jose.JSONWebKey{Key: k.key, KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
	return w
}
