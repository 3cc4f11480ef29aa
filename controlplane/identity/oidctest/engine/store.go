package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"slices"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
)

// store is fosite's memory store, but for what it does too much of or too
// little.
type store struct {
	*storage.MemoryStore
	engine *engine
}

func newStore(e *engine) *store { return &store{MemoryStore: storage.NewMemoryStore(), engine: e} }

// GetClient implements fosite.ClientManager.
func (s *store) GetClient(_ context.Context, id string) (fosite.Client, error) {
	i := slices.IndexFunc(s.engine.world.Clients, func(c client) bool { return c.ClientID == id })
	if i < 0 {
		return nil, fosite.ErrNotFound
	}
	c := s.engine.world.Clients[i]
	return &fosite.DefaultClient{
		ID: c.ClientID, Secret: []byte(c.ClientSecret), Public: c.Public, RedirectURIs: c.RedirectURIs,
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Audience: []string{c.ClientID},
	}, nil
}

// RotateRefreshToken implements oauth2.RefreshTokenStorage. Access tokens that
// are out stay valid.
func (s *store) RotateRefreshToken(ctx context.Context, request, _ string) error {
	if s.engine.world.ReuseRefresh {
		return nil
	}
	return s.RevokeRefreshToken(ctx, request)
}

// RevokeAccessToken implements oauth2.TokenRevocationStorage. The memory store
// would revoke the last one of a sign-in alone.
func (s *store) RevokeAccessToken(_ context.Context, request string) error {
	maps.DeleteFunc(s.AccessTokens, func(_ string, r fosite.Requester) bool { return r.GetID() == request })
	return nil
}

// strategy makes the tokens.
type strategy struct {
	oauth2.CoreStrategy
	engine *engine
}

// GenerateRefreshToken gives the same token again where it may be used again.
func (s *strategy) GenerateRefreshToken(ctx context.Context, r fosite.Requester) (token, signature string, err error) {
	if used := r.GetRequestForm().Get("refresh_token"); used != "" && s.engine.world.ReuseRefresh {
		return used, s.RefreshTokenSignature(ctx, used), nil
	}
	return s.CoreStrategy.GenerateRefreshToken(ctx, r)
}

// plain compares secrets as they are: those of tests are no secrets.
type plain struct{}

func (plain) Hash(_ context.Context, secret []byte) ([]byte, error) { return secret, nil }

func (plain) Compare(_ context.Context, known, given []byte) error {
	if subtle.ConstantTimeCompare(known, given) != 1 {
		return errors.New("wrong secret")
	}
	return nil
}
