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

// authenticate finds out who calls by the bearer token. Cookies do not count.
func (s *server) authenticate(r *http.Request) (controlplane.Actor, error) {
	none := controlplane.Actor{}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if len(r.Header.Values("Authorization")) != 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return none, controlplane.Errorf(controlplane.CodeUnauthorized, "this needs a token").
			WithHint("send Authorization: Bearer slw_…; slipway up writes one to cli.toml in its data folder")
	}
	return s.Service.Authenticate(r.Context(), identity.HashToken(token))
}
