package oidctest_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func TestASignInGivesTokensThatVerify(t *testing.T) {
	for name, config := range map[string]oidctest.Config{
		"confidential": {},
		"public":       {Client: oidctest.Client{Public: true}},
		"ES256":        {ES256: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, config)
			token, claims := p.signIn("ada")
			got := map[string]any{}
			for _, name := range []string{"sub", "nonce", "preferred_username", "name", "email", "email_verified", "sid", "groups", "realm_access", "aud"} {
				got[name] = claims[name]
			}
			want := map[string]any{
				"sub": "sub-ada", "nonce": "n-1", "preferred_username": "ada", "name": "Ada L.", "email": "ada@example.com",
				"email_verified": false, "sid": p.SessionID("ada"), "groups": []any{"staff"},
				"realm_access": map[string]any{"roles": []any{"admin"}}, "aud": []any{p.ClientID()},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			parsed, err := p.verifier.Verify(p.ctx, token.Extra("id_token").(string))
			if err == nil {
				err = parsed.VerifyAccessToken(token.AccessToken)
			}
			if err != nil {
				t.Error(err)
			}
			info, err := p.client.UserInfo(p.ctx, oauth2.StaticTokenSource(token))
			if err != nil {
				t.Fatal(err)
			}
			if info.Subject != "sub-ada" || info.Email != "ada@example.com" {
				t.Errorf("userinfo %+v", info)
			}
			counts := oidctest.Counts{Discovery: 1, Authorize: 1, Login: 2, Token: 1, Userinfo: 1, Keys: 1}
			if diff := cmp.Diff(counts, p.Counts()); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPKCEIsDemanded(t *testing.T) {
	p := start(t, oidctest.Config{})
	for name, options := range map[string][]oauth2.AuthCodeOption{
		"none":  nil,
		"plain": {oauth2.SetAuthURLParam("code_challenge", "x"), oauth2.SetAuthURLParam("code_challenge_method", "plain")},
	} {
		t.Run(name, func(t *testing.T) {
			back := p.SignIn(t, p.browser, p.oauth.AuthCodeURL("s", options...), "ada").Query()
			if back.Get("error") != "invalid_request" || back.Get("state") != "s" || back.Get("code") != "" {
				t.Errorf("callback %v", back)
			}
		})
	}
	for name, option := range map[string]oauth2.AuthCodeOption{
		"another": oauth2.VerifierOption(oauth2.GenerateVerifier()), "none": oauth2.SetAuthURLParam("x", "x"),
	} {
		t.Run("verifier: "+name, func(t *testing.T) {
			back := p.SignIn(t, p.browser, p.oauth.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())), "ada")
			_, err := p.oauth.Exchange(p.ctx, back.Query().Get("code"), option)
			wantOAuthError(t, err, "invalid_grant")
		})
	}
}

func TestACodeIsGoodOnce(t *testing.T) {
	p := start(t, oidctest.Config{})
	verifier := oauth2.GenerateVerifier()
	back := p.SignIn(t, p.browser, p.oauth.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "ada")
	for i, want := range []string{"", "invalid_grant"} {
		_, err := p.oauth.Exchange(p.ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
		if want != "" {
			wantOAuthError(t, err, want)
		} else if err != nil {
			t.Errorf("use %d: %v", i+1, err)
		}
	}
}

func TestUnknownClientsSecretsAndRedirectsAreRefused(t *testing.T) {
	p := start(t, oidctest.Config{})
	elsewhere := p.oauth
	var address string
	for _, elsewhere.RedirectURL = range []string{"http://127.0.0.1:10/callback", "http://127.0.0.1:9/elsewhere"} {
		address = elsewhere.AuthCodeURL("s", oauth2.S256ChallengeOption("v"))
		if back, err := p.TrySignIn(p.browser, address, "ada"); err == nil {
			t.Errorf("unknown redirect URI: %s", back)
		}
	}
	p.AllowRedirect(elsewhere.RedirectURL)
	p.SignIn(t, p.browser, address, "ada")

	p.oauth.ClientSecret = "wrong"
	_, err := p.trySignIn("ada")
	wantOAuthError(t, err, "invalid_client")

	p.AddClient(oidctest.Client{ClientID: "other", ClientSecret: "its own", RedirectURIs: []string{callback}})
	p.oauth.ClientID, p.oauth.ClientSecret = "other", "its own"
	p.verifier = p.client.VerifierContext(p.ctx, &oidc.Config{ClientID: "other"})
	p.signIn("ada")
}

func TestASecondSignInIsSilent(t *testing.T) {
	prompt := func(value string) oauth2.AuthCodeOption { return oauth2.SetAuthURLParam("prompt", value) }
	p := start(t, oidctest.Config{})
	if _, err := p.trySignIn("ada", prompt("none")); err == nil || err.Error() != "login_required" {
		t.Errorf("prompt=none without a session: %v", err)
	}
	token, first := p.signIn("ada")
	hint := oauth2.SetAuthURLParam("id_token_hint", token.Extra("id_token").(string))

	forms := func(options ...oauth2.AuthCodeOption) (int, map[string]any) {
		before := p.Counts().Login
		_, claims := p.signIn("ada", options...)
		return p.Counts().Login - before, claims
	}
	for _, c := range []struct {
		name    string
		options []oauth2.AuthCodeOption
		asked   int // 1 if passed silently, 2 if shown and sent
	}{
		{"again", nil, 1},
		{"prompt=none", []oauth2.AuthCodeOption{prompt("none")}, 1},
		{"prompt=none with the user's hint", []oauth2.AuthCodeOption{prompt("none"), hint}, 1},
		{"prompt=login", []oauth2.AuthCodeOption{prompt("login")}, 2},
		{"max_age of an hour", []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("max_age", "3600")}, 1},
		{"max_age of nothing", []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("max_age", "0")}, 2},
	} {
		asked, claims := forms(c.options...)
		if asked != c.asked || claims["sid"] != first["sid"] {
			t.Errorf("%s: asked %d times, want %d; sid %v, want %v", c.name, asked, c.asked, claims["sid"], first["sid"])
		}
	}

	p.AddUser(oidctest.User{Username: "bob"})
	if _, claims := p.signIn("bob", prompt("login")); claims["sub"] != "sub-bob" || claims["sid"] == first["sid"] {
		t.Errorf("another user in the browser: %v", claims)
	}
	if _, err := p.trySignIn("ada", prompt("none"), hint); err == nil || err.Error() != "login_required" {
		t.Errorf("prompt=none with another user's hint: %v", err)
	}
	if asked, claims := forms(hint); asked != 2 || claims["sub"] != "sub-ada" {
		t.Errorf("another user's hint: asked %d times, want 2; %v", asked, claims)
	}
}

func TestAPersonSeesAForm(t *testing.T) {
	p := start(t, oidctest.Config{})
	resp, err := p.browser.Get(p.oauth.AuthCodeURL("s", oauth2.S256ChallengeOption("v"), oauth2.SetAuthURLParam("login_hint", "<ada>")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`<form method="post">`, `name="username" value="&lt;ada&gt;"`, `<button id="continue" type="submit">`} {
		if !strings.Contains(string(page), part) {
			t.Errorf("%s is not in the page:\n%s", part, page)
		}
	}
}

func TestWhoIsDisabledDoesNotEnter(t *testing.T) {
	p := start(t, oidctest.Config{})
	if _, err := p.trySignIn("nobody"); err == nil {
		t.Error("an unknown user signed in")
	}
	token, _ := p.signIn("ada")
	p.Disable("ada")
	if _, err := p.trySignIn("ada"); err == nil || !strings.Contains(err.Error(), "This account is disabled.") {
		t.Errorf("a disabled user: %v", err)
	}
	_, err := p.refresh(token)
	wantOAuthError(t, err, "invalid_grant")
	p.Enable("ada")
	if _, err := p.refresh(token); err != nil {
		t.Error(err)
	}
}

func TestRefreshTokensRotate(t *testing.T) {
	p := start(t, oidctest.Config{})
	first, before := p.signIn("ada")
	p.SetRoles("ada", "viewer")
	second, err := p.refresh(first)
	if err != nil {
		t.Fatal(err)
	}
	after := p.claims(second)
	if second.RefreshToken == first.RefreshToken || after["nonce"] != nil || after["sid"] != before["sid"] || after["auth_time"] != before["auth_time"] {
		t.Errorf("claims %v after %v", after, before)
	}
	if diff := cmp.Diff([]any{"viewer"}, roles(after)); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	if got := p.Counts(); got.Refresh != 1 || got.Token != 2 {
		t.Errorf("counts %+v", got)
	}
	_, err = p.refresh(first)
	wantOAuthError(t, err, "invalid_grant")
	_, err = p.refresh(second) // the second use of the first has ended all
	wantOAuthError(t, err, "invalid_grant")
	if _, err := p.client.UserInfo(p.ctx, oauth2.StaticTokenSource(second)); err == nil {
		t.Error("userinfo with a revoked token")
	}
}

func TestRefreshTokensAsKeycloakHasThem(t *testing.T) {
	p := start(t, oidctest.Config{RefreshAlways: true, ReuseRefresh: true})
	p.oauth.Scopes = []string{"openid"}
	token, _ := p.signIn("ada")
	for range 2 {
		again, err := p.refresh(token)
		if err != nil {
			t.Fatal(err)
		}
		if again.RefreshToken != token.RefreshToken {
			t.Error("the refresh token has changed")
		}
	}
	q := start(t, oidctest.Config{})
	q.oauth.Scopes = []string{"openid"}
	if token, _ := q.signIn("ada"); token.RefreshToken != "" {
		t.Error("a refresh token without offline_access")
	}
}

func TestRolesAppearWhereTheyAreTold(t *testing.T) {
	for name, place := range map[string]oidctest.Place{
		"ID token": oidctest.InIDToken, "access token": oidctest.InAccessToken, "userinfo": oidctest.InUserinfo,
		"nowhere": oidctest.Nowhere, "everywhere": 0,
		"two": oidctest.InAccessToken | oidctest.InUserinfo,
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, oidctest.Config{RolesIn: place})
			token, inID := p.signIn("ada")
			inAccess := p.verified(p.client.VerifierContext(p.ctx, &oidc.Config{SkipClientIDCheck: true}), token.AccessToken)
			info, err := p.client.UserInfo(p.ctx, oauth2.StaticTokenSource(token))
			if err != nil {
				t.Fatal(err)
			}
			inInfo := map[string]any{}
			if err := info.Claims(&inInfo); err != nil {
				t.Fatal(err)
			}
			if place == 0 {
				place = oidctest.Everywhere
			}
			for where, claims := range map[oidctest.Place]map[string]any{
				oidctest.InIDToken: inID, oidctest.InAccessToken: inAccess, oidctest.InUserinfo: inInfo,
			} {
				if got := roles(claims) != nil && claims["groups"] != nil; got != (place&where != 0) {
					t.Errorf("in place %b: %v", where, claims)
				}
			}
		})
	}
}

func TestTokensExpire(t *testing.T) {
	p := start(t, oidctest.Config{TokenLifetime: time.Hour})
	check := func(want time.Duration) {
		t.Helper()
		token, claims := p.signIn("ada")
		valid := time.Duration(claims["exp"].(float64)-claims["iat"].(float64)) * time.Second
		if off := (valid - want).Abs(); off > time.Second || time.Until(token.Expiry) > want {
			t.Errorf("valid for %s and until %s, want %s", valid, token.Expiry, want)
		}
	}
	check(time.Hour)
	p.TokenLifetime(time.Minute)
	check(time.Minute)
	p.Skew(-time.Hour)
	token, err := p.trySignIn("ada")
	if err != nil {
		t.Fatal(err)
	}
	var expired *oidc.TokenExpiredError
	if _, err := p.verifier.Verify(p.ctx, token.Extra("id_token").(string)); !errors.As(err, &expired) {
		t.Errorf("error %v", err)
	}
}
