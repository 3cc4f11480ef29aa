package oidctest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func TestSessionsEnd(t *testing.T) {
	for name, end := range map[string]func(*party, *oauth2.Token){
		"by the provider": func(p *party, _ *oauth2.Token) { p.EndSession("ada") },
		"by end_session with a hint": func(p *party, token *oauth2.Token) {
			visit(p, newBrowser(p.T), url.Values{"id_token_hint": {token.Extra("id_token").(string)}}, "/goodbye")
		},
		"by end_session of the browser": func(p *party, _ *oauth2.Token) {
			p.AllowLogoutRedirect(callback)
			visit(p, p.browser, url.Values{"client_id": {p.ClientID()}, "post_logout_redirect_uri": {callback}, "state": {"x"}}, callback+"?state=x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, oidctest.Config{})
			token, before := p.signIn("ada")
			end(p, token)
			_, err := p.refresh(token)
			wantOAuthError(t, err, "invalid_grant")
			if _, err := p.trySignIn("ada", oauth2.SetAuthURLParam("prompt", "none")); err == nil || err.Error() != "login_required" {
				t.Errorf("single sign-on: %v", err)
			}
			if _, after := p.signIn("ada"); after["sid"] == before["sid"] {
				t.Error("the next session has the same sid")
			}
		})
	}
}

func TestTheSessionOfAnotherBrowserGoesOn(t *testing.T) {
	p := start(t, oidctest.Config{})
	here, _ := p.signIn("ada")
	browser := p.browser
	p.browser = newBrowser(t)
	there, _ := p.signIn("ada")
	visit(p, browser, url.Values{}, "/goodbye")
	_, err := p.refresh(here)
	wantOAuthError(t, err, "invalid_grant")
	if there, err = p.refresh(there); err != nil {
		t.Fatal(err)
	}
	p.signIn("ada")
	p.browser = browser
	here, _ = p.signIn("ada")
	visit(p, newBrowser(t), url.Values{"id_token_hint": {here.Extra("id_token").(string)}}, "/goodbye")
	_, err = p.refresh(here)
	wantOAuthError(t, err, "invalid_grant")
	if _, err := p.refresh(there); err != nil {
		t.Error(err)
	}
}

func TestEndSessionRefusesWhatItDoesNotKnow(t *testing.T) {
	p := start(t, oidctest.Config{})
	token, _ := p.signIn("ada")
	for name, query := range map[string]url.Values{
		"a URI that is not the client's": {"client_id": {p.ClientID()}, "post_logout_redirect_uri": {callback}},
		"no client":                      {"post_logout_redirect_uri": {callback}},
		"a hint of nobody":               {"id_token_hint": {"x.y.z"}},
	} {
		resp, err := p.browser.Get(p.Issuer() + "/end_session?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if _, err := p.refresh(token); err != nil {
		t.Error(err)
	}
}

// visit asks end_session, which must send the browser on.
func visit(p *party, browser *http.Client, query url.Values, to string) {
	p.Helper()
	stay := *browser
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stay.Get(p.Issuer() + "/end_session?" + query.Encode())
	if err != nil {
		p.Fatal(err)
	}
	resp.Body.Close()
	if got := resp.Header.Get("Location"); got != to && got != p.Issuer()+to {
		p.Errorf("end_session answered %s and leads to %q, want %q", resp.Status, got, to)
	}
}

func TestRevokedTokensAreGone(t *testing.T) {
	for _, hint := range []string{"access_token", "refresh_token", ""} {
		t.Run("hint: "+hint, func(t *testing.T) {
			p := start(t, oidctest.Config{})
			other, _ := p.signIn("ada")
			token, _ := p.signIn("ada")
			revoked := token.RefreshToken
			if hint == "access_token" {
				revoked = token.AccessToken
			}
			if status := p.post("/revoke", url.Values{"token": {revoked}, "token_type_hint": {hint}}); status != http.StatusOK {
				t.Errorf("revoke answered %d", status)
			}
			if _, err := p.client.UserInfo(p.ctx, oauth2.StaticTokenSource(token)); err == nil {
				t.Error("userinfo with a revoked token")
			}
			_, err := p.refresh(token)
			wantOAuthError(t, err, "invalid_grant")
			if _, err := p.refresh(other); err != nil {
				t.Errorf("another sign-in's tokens: %v", err)
			}
		})
	}
}

func TestIntrospectionTellsWhatATokenIs(t *testing.T) {
	p := start(t, oidctest.Config{})
	token, claims := p.signIn("ada")
	introspect := func() (answer map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer()+"/oauth/introspect",
			strings.NewReader(url.Values{"token": {token.AccessToken}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(url.QueryEscape(p.ClientID()), url.QueryEscape(p.ClientSecret()))
		resp, err := p.browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	got := introspect()
	if got["active"] != true || got["sub"] != "sub-ada" || got["username"] != "ada" || got["client_id"] != p.ClientID() || got["sid"] != claims["sid"] {
		t.Errorf("alive: %v", got)
	}
	p.SetRoles("ada", "viewer")
	if _, err := p.refresh(token); err != nil {
		t.Error(err)
	}
	if got := introspect(); !cmp.Equal(roles(got), []any{"admin"}) {
		t.Errorf("after a refresh: %v", got)
	}
	p.EndSession("ada")
	if diff := cmp.Diff(map[string]any{"active": false}, introspect()); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

func TestASecretMayBeInTheBody(t *testing.T) {
	p := start(t, oidctest.Config{})
	p.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	p.signIn("ada")
}
