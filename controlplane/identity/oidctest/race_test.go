package oidctest_test

import (
	"sync"
	"testing"

	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

// Of many that use one code or one refresh token at once, one gets tokens.
func TestOneOfManyAtOnceGetsTokens(t *testing.T) {
	p := start(t, oidctest.Config{})
	race := func(use func() (*oauth2.Token, error)) (won *oauth2.Token) {
		t.Helper()
		var (
			mu    sync.Mutex
			group sync.WaitGroup
		)
		for range 8 {
			group.Go(func() {
				token, err := use()
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					wantOAuthError(t, err, "invalid_grant")
				case won != nil:
					t.Error("a second one got tokens")
				default:
					won = token
				}
			})
		}
		group.Wait()
		if won == nil {
			t.Fatal("nobody got tokens")
		}
		return won
	}
	verifier := oauth2.GenerateVerifier()
	back := p.SignIn(t, p.browser, p.oauth.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "ada")
	race(func() (*oauth2.Token, error) {
		return p.oauth.Exchange(p.ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
	})
	token, _ := p.signIn("ada")
	race(func() (*oauth2.Token, error) { return p.refresh(token) })
}
