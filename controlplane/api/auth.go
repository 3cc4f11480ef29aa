package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

type (
	actorKey     struct{}
	requestIDKey struct{}
)

func actorOf(ctx context.Context) controlplane.Actor {
	actor, _ := ctx.Value(actorKey{}).(controlplane.Actor)
	return actor
}

func withRequestID(ctx context.Context) (context.Context, string) {
	id := strings.ToLower(rand.Text()[:16])
	return context.WithValue(ctx, requestIDKey{}, id), id
}

func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// authorize finds out who calls, and whether their credential is good for the
// operation of that pattern.
func (s *server) authorize(r *http.Request, pattern string) (controlplane.Actor, error) {
	actor, err := s.authenticate(r)
	if err != nil {
		return actor, err
	}
	actor.Address = controlplane.ClientAddress(r.Context())
	if actor.Anonymous() {
		if !s.anonymous(pattern) {
			return actor, controlplane.Errorf(controlplane.CodeUnauthorized, "this needs a token").
				WithHint("send Authorization: Bearer slw_…; slipway login gets one, and slipway up writes one to cli.toml in its data folder")
		}
		return actor, nil
	}
	if actor.Instance != "" && !instanceOperations[pattern] {
		return actor, controlplane.Errorf(controlplane.CodeForbidden, "an instance's own token is not good for that").
			WithHint("use a personal token: slipway token create")
	}
	if scope := scopeOf(r.Method, pattern); actor.Instance == "" && scope != "" && !actor.May(scope) {
		return actor, controlplane.LacksScope(scope)
	}
	return actor, nil
}

// authenticate finds out who calls by the bearer token, or, at the console's
// host, by its session.
func (s *server) authenticate(r *http.Request) (controlplane.Actor, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		if s.Session == nil {
			return controlplane.Actor{}, nil
		}
		return s.Session(r)
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.TrimSpace(token)
	if len(headers) != 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return controlplane.Actor{}, controlplane.Errorf(controlplane.CodeUnauthorized, "this is no bearer token").
			WithHint("send Authorization: Bearer slw_…")
	}
	if identity.IsInstanceToken(token) {
		return s.Service.AuthenticateInstance(r.Context(), token)
	}
	return s.Service.Authenticate(r.Context(), identity.HashToken(token))
}

// anonymousOperations are those that need no credential, or carry their own.
var anonymousOperations = map[string]bool{
	"GET /api/v1/login": true, "POST /api/v1/login/device": true, "POST /api/v1/login/device/token": true,
	"POST /api/v1/edge/ticket": true, "POST /api/v1/edge/renew": true, "POST /api/v1/edge/icon": true,
	"GET /api/v1/bundles/{digest}": true,
}

// instanceOperations are those that an instance's own token is good for.
var instanceOperations = map[string]bool{
	"GET /api/v1/me": true, "PUT /api/v1/instance/busy": true, "PUT /api/v1/instance/progress": true,
}

// publicOperations are those of apps that are shown to people who are not
// signed in, if the tables say so of any.
var publicOperations = map[string]bool{
	"GET /api/v1/apps": true, "GET /api/v1/apps/{id}": true, "GET /api/v1/apps/{id}/visit": true,
	"GET /api/v1/apps/{id}/icon": true, "GET /api/v1/apps/{id}/screenshots/{n}": true, "GET /api/v1/apps/{id}/description": true,
}

func (s *server) anonymous(pattern string) bool {
	if anonymousOperations[pattern] {
		return true
	}
	public := controlplane.Resource{Visibility: controlplane.Public}
	return publicOperations[pattern] && s.Service.Access.Decide(&controlplane.Actor{}, controlplane.SeeApp, &public) == controlplane.Allowed
}

// scopes are the scopes of operations that their methods do not tell; empty:
// any token will do, or the operation itself looks.
var scopes = map[string]controlplane.Scope{
	"POST /api/v1/instances/{id}/ticket": controlplane.ScopeOpen,
	"POST /api/v1/explain":               controlplane.ScopeRead,
	"POST /api/v1/logout":                "",
	"DELETE /api/v1/tokens/{id}":         "",
	"GET /api/v1/me":                     "",
}

func scopeOf(method, pattern string) controlplane.Scope {
	if anonymousOperations[pattern] {
		return ""
	}
	if scope, ok := scopes[pattern]; ok {
		return scope
	}
	if method == http.MethodGet || method == http.MethodHead {
		return controlplane.ScopeRead
	}
	return controlplane.ScopeWrite
}

// challenger says with each 401 what would be taken.
type challenger struct{ http.ResponseWriter }

func (c challenger) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c challenger) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", `Bearer realm="slipway"`)
	}
	c.ResponseWriter.WriteHeader(status)
}
