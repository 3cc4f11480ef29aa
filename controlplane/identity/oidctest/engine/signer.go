package main

import (
	"context"
	"errors"
	"maps"

	"github.com/ory/fosite/token/jwt"
)

// signer signs with the provider's last key, and by the provider's clock.
type signer struct {
	*jwt.DefaultSigner
	engine *engine
}

func (e *engine) signingKey(context.Context) (any, error) {
	if len(e.world.Keys.Keys) == 0 {
		return nil, errors.New("the provider has no key")
	}
	return &e.world.Keys.Keys[len(e.world.Keys.Keys)-1], nil
}

// Generate implements jwt.Signer.
func (s *signer) Generate(ctx context.Context, claims jwt.MapClaims, header jwt.Mapper) (token, signature string, err error) {
	claims = maps.Clone(claims)
	for _, name := range []string{"iat", "exp", "auth_time", "rat"} {
		if at, ok := claims[name].(int64); ok {
			claims[name] = at + int64(s.engine.world.Skew.Seconds())
		}
	}
	return s.DefaultSigner.Generate(ctx, claims, header)
}

// Decode implements jwt.Signer: any key that is published is good.
func (s *signer) Decode(_ context.Context, token string) (*jwt.Token, error) {
	return jwt.ParseWithClaims(token, jwt.MapClaims{}, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		for _, key := range s.engine.world.Keys.Key(id) {
			if key.Algorithm == string(t.Method) {
				return key.Public().Key, nil
			}
		}
		return nil, errors.New("the key is unknown")
	})
}

// Validate implements jwt.Signer.
func (s *signer) Validate(ctx context.Context, token string) (string, error) {
	if _, err := s.Decode(ctx, token); err != nil {
		return "", err
	}
	return s.GetSignature(ctx, token)
}
