package api

import (
	"context"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func (s *server) registerTokens(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: "/api/v1/tokens", Tags: []string{"identity"}, Summary: "List the caller's personal tokens",
	}, func(ctx context.Context, in *struct{ PageQuery }) (*page[v1.Token], error) {
		actor := actorOf(ctx)
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		list, err := s.Service.Tokens(ctx, actor, p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &page[v1.Token]{listOf(list, func(t *controlplane.Token) v1.Token { return tokenView(t, actor.Credential) })}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "create-token", Method: http.MethodPost, Path: "/api/v1/tokens", Tags: []string{"identity"}, DefaultStatus: http.StatusCreated,
		Summary: "Make a personal token", Description: "A token makes none that may do more than itself, or lives longer.",
	}, func(ctx context.Context, in *struct{ Body v1.TokenRequest }) (*struct{ Body v1.NewToken }, error) {
		secret := identity.NewToken()
		n := controlplane.NewToken{ID: identity.NewID(), Hash: identity.HashToken(secret), Name: in.Body.Name, Scopes: scopesFrom(in.Body.Scopes)}
		if text := value(in.Body.ExpiresIn); text != "" {
			life, err := time.ParseDuration(text)
			switch {
			case err != nil && duration.MatchString(text):
				return nil, s.fail(ctx, controlplane.TokenLifeTooLong())
			case err != nil || life <= 0:
				return nil, s.fail(ctx, controlplane.Errorf(controlplane.CodeInvalid, "expires_in %q is not a duration above 0", text).WithHint("for example 720h"))
			}
			n.Life = life
		}
		token, err := s.Service.CreateToken(ctx, actorOf(ctx), n)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.NewToken }{v1.NewToken{Token: tokenView(token, ""), Secret: secret}}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: "/api/v1/tokens/{id}", Tags: []string{"identity"}, DefaultStatus: http.StatusNoContent,
		Summary: "End a personal token, and what was issued for it", Description: `By its ID or a unique prefix of it of 6 characters or more. The ID "current" is the token that the call is made with, whatever its scopes.`,
	}, func(ctx context.Context, in *ByID) (*struct{}, error) {
		actor := actorOf(ctx)
		if in.ID == "current" || in.ID == actor.Credential {
			in.ID = actor.Credential
		} else if !actor.May(controlplane.ScopeWrite) {
			return nil, s.fail(ctx, controlplane.LacksScope(controlplane.ScopeWrite).WithHint("it can end itself: current"))
		}
		if err := s.Service.RevokeToken(ctx, actor, in.ID); err != nil {
			return nil, s.fail(ctx, err)
		}
		return nil, nil
	})
}

// duration is the form of one above 0, however long.
var duration = regexp.MustCompile(`^(?:[0-9]+(?:\.[0-9]*)?(?:ns|us|µs|ms|s|m|h))+$`)

func tokenView(t *controlplane.Token, current string) v1.Token {
	return v1.Token{
		ID: t.ID, Name: t.Name, Scopes: texts(scopeTexts(t.Scopes)), CreatedAt: t.CreatedAt, ExpiresAt: optional(t.ExpiresAt), Current: t.ID == current,
	}
}
