package oidctest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const callback = "http://127.0.0.1:9/callback" // never fetched

// party is a relying party of other people's making, and a browser.
type party struct {
	*testing.T
	*oidctest.Provider
	ctx      context.Context
	oauth    oauth2.Config
	client   *oidc.Provider
	verifier *oidc.IDTokenVerifier
	browser  *http.Client

	transport *http.Transport // of the relying party
}

// start starts a provider with the user ada, who has the role admin.
func start(t *testing.T, config oidctest.Config) *party {
	t.Helper()
	config.RedirectURIs = append(config.RedirectURIs, callback)
	p := oidctest.Start(t, config)
	p.AddUser(oidctest.User{Username: "ada", Name: "Ada L.", Email: "ada@example.com", Roles: []string{"admin"}, Groups: []string{"staff"}})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: transport})
	client, err := oidc.NewProvider(ctx, p.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	in := &party{T: t, Provider: p, ctx: ctx, client: client, browser: newBrowser(t), transport: transport}
	in.verifier = client.VerifierContext(ctx, &oidc.Config{ClientID: p.ClientID()})
	in.oauth = oauth2.Config{
		ClientID: p.ClientID(), ClientSecret: p.ClientSecret(), Endpoint: client.Endpoint(), RedirectURL: callback,
		Scopes: []string{"openid", "profile", "email", "offline_access"},
	}
	// Without a style the client tries another after each refusal: a second use.
	in.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if config.Public {
		in.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return in
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// signIn runs the whole flow and returns the tokens and the ID token's claims.
func (p *party) signIn(username string, options ...oauth2.AuthCodeOption) (*oauth2.Token, map[string]any) {
	p.Helper()
	token, err := p.trySignIn(username, options...)
	if err != nil {
		p.Fatal(err)
	}
	return token, p.claims(token)
}

func (p *party) trySignIn(username string, options ...oauth2.AuthCodeOption) (*oauth2.Token, error) {
	p.Helper()
	verifier := oauth2.GenerateVerifier()
	options = append([]oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier), oidc.Nonce("n-1")}, options...)
	back, err := p.TrySignIn(p.browser, p.oauth.AuthCodeURL("state-1", options...), username)
	if err != nil {
		return nil, err
	}
	if fault := back.Query().Get("error"); fault != "" {
		return nil, errors.New(fault)
	}
	if got := back.Query().Get("state"); got != "state-1" {
		p.Errorf("state %q", got)
	}
	return p.oauth.Exchange(p.ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
}

// refresh uses a refresh token.
func (p *party) refresh(token *oauth2.Token) (*oauth2.Token, error) {
	return p.oauth.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
}

// claims are those of a good ID token.
func (p *party) claims(token *oauth2.Token) map[string]any {
	p.Helper()
	raw, _ := token.Extra("id_token").(string)
	return p.verified(p.verifier, raw)
}

func (p *party) verified(verifier *oidc.IDTokenVerifier, raw string) map[string]any {
	p.Helper()
	parsed, err := verifier.Verify(p.ctx, raw)
	if err != nil {
		p.Fatal(err)
	}
	claims := map[string]any{}
	if err := parsed.Claims(&claims); err != nil {
		p.Fatal(err)
	}
	return claims
}

// roles are those in claims, nil if the claim is not there.
func roles(claims map[string]any) []any {
	access, _ := claims["realm_access"].(map[string]any)
	list, _ := access["roles"].([]any)
	return list
}

// post sends a form as the first client, and returns the status.
func (p *party) post(path string, form url.Values) int {
	p.Helper()
	form.Set("client_id", p.ClientID())
	form.Set("client_secret", p.ClientSecret())
	resp, err := p.browser.PostForm(p.Issuer()+path, form)
	if err != nil {
		p.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// wantOAuthError checks the error code of a token endpoint's refusal.
func wantOAuthError(t *testing.T, err error, code string) {
	t.Helper()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != code {
		t.Errorf("error %v, want %s", err, code)
	}
}
