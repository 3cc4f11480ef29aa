package main

import (
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v3"
)

// The types below are those of wire.go in the package oidctest. A field that
// one side does not know is an error on that side.

// question is one line of the input.
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

// answer is one line of the output: an HTTP answer. The status 0 says of a
// check that nothing is wrong.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// world is all that the provider knows and the engine does not keep.
type world struct {
	Issuer        string
	Lifetime      time.Duration
	Skew          time.Duration
	RefreshAlways bool
	ReuseRefresh  bool
	RolesIn       int
	Clients       []client
	Sessions      []login
	Keys          jose.JSONWebKeySet // the last one signs
}

type client struct {
	ClientID, ClientSecret   string
	Public                   bool
	RedirectURIs, LogoutURIs []string
}

// login is a session of a user, alive or not.
type login struct {
	ID       string
	Alive    bool
	AuthTime time.Time
	User     user
}

type user struct {
	Username, Subject, Name, Email string
	EmailVerified                  bool
	Roles, Groups                  []string
	Claims                         map[string]any
}

// The places where roles may be.
const (
	inIDToken = 1 << iota
	inAccessToken
	inUserinfo
)
