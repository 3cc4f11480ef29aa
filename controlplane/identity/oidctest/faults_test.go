package oidctest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func TestAnOutageEnds(t *testing.T) {
	p := start(t, oidctest.Config{})
	token, _ := p.signIn("ada")

	p.Down(oidctest.Unavailable)
	var refused *oauth2.RetrieveError
	if _, err := p.refresh(token); !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("unavailable: %v", err)
	}
	p.Down(oidctest.Refused)
	p.Down(oidctest.Refused)
	var dialer net.Dialer // the client may still hold a connection that was cut
	if _, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(p.Issuer(), "http://")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v", err)
	}
	p.Up()
	p.Up()
	p.transport.CloseIdleConnections()
	if _, err := p.refresh(token); err != nil {
		t.Errorf("up: %v", err)
	}
	if _, err := p.trySignIn("ada", oauth2.SetAuthURLParam("prompt", "none")); err != nil {
		t.Errorf("the session has not survived: %v", err)
	}
}

func TestASlowProviderIsNotWaitedForAtTheEnd(t *testing.T) {
	p := start(t, oidctest.Config{})
	p.Slow(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Issuer()+"/keys", http.NoBody)
		if err == nil {
			var resp *http.Response
			if resp, err = p.browser.Do(req); err == nil {
				resp.Body.Close()
			}
		}
		done <- err
	}()
	for p.Counts().Keys == 0 {
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-done:
		t.Errorf("answered at once: %v", err)
	default:
	}
	p.Down(oidctest.Refused) // waits for requests
	cancel()
	<-done
}

func TestKeysRotate(t *testing.T) {
	p := start(t, oidctest.Config{})
	var access *oauth2.Token
	raw := func() string {
		t.Helper()
		token, err := p.trySignIn("ada")
		if err != nil {
			t.Fatal(err)
		}
		access = token
		return token.Extra("id_token").(string)
	}
	check := func(token string) error {
		fresh := oidc.NewVerifier(p.Issuer(), oidc.NewRemoteKeySet(p.ctx, p.Issuer()+"/keys"), &oidc.Config{ClientID: p.ClientID()})
		_, err := fresh.Verify(p.ctx, token)
		return err
	}
	first := raw()
	before := access
	userinfo := func() error {
		_, err := p.client.UserInfo(p.ctx, oauth2.StaticTokenSource(before))
		return err
	}
	p.RotateKeys(false)
	if err := userinfo(); err != nil {
		t.Errorf("keys kept: %v", err)
	}
	second := raw()
	if keyOf(t, first) == keyOf(t, second) {
		t.Error("the old key signs")
	}
	for _, token := range []string{first, second} {
		if err := check(token); err != nil {
			t.Errorf("keys kept: %v", err)
		}
	}
	p.RotateKeys(true)
	if check(first) == nil || check(second) == nil {
		t.Error("forgotten keys are published")
	}
	if userinfo() == nil {
		t.Error("the provider takes a token of a key that it has forgotten")
	}
	if err := check(raw()); err != nil {
		t.Errorf("keys forgotten: %v", err)
	}
}

func TestTheClockIsSkewed(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			p := start(t, oidctest.Config{})
			p.Skew(skew)
			p.verifier = p.client.VerifierContext(p.ctx, &oidc.Config{ClientID: p.ClientID(), Now: func() time.Time { return time.Now().Add(skew) }})
			token, claims := p.signIn("ada")
			for name, after := range map[string]time.Duration{"iat": 0, "auth_time": 0, "exp": 5 * time.Minute} {
				at := time.Unix(int64(claims[name].(float64)), 0)
				if off := at.Sub(time.Now().Add(skew + after)).Abs(); off > time.Minute {
					t.Errorf("%s is off by %s", name, off)
				}
			}
			if left := time.Until(token.Expiry); left < 4*time.Minute || left > 5*time.Minute {
				t.Errorf("expires_in is %s", left)
			}
			if _, err := p.client.UserInfo(p.ctx, oauth2.StaticTokenSource(token)); err != nil {
				t.Errorf("the provider refuses its own token: %v", err)
			}
		})
	}
}

func TestIDTokensAreSpoilt(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*party)
		says  string // the verifier's error, empty if it takes the token
		check func(map[string]any) bool
	}{
		{"a claim is left out", func(p *party) { p.Omit("sid", "email") }, "", func(claims map[string]any) bool {
			return claims["sid"] == nil && claims["email"] == nil && claims["sub"] == "sub-ada"
		}},
		{"a claim is changed", func(p *party) { p.EditIDTokens(func(claims map[string]any) { claims["nonce"] = "x" }) }, "",
			func(claims map[string]any) bool { return claims["nonce"] == "x" }},
		{"and no more", func(p *party) { p.Omit("sid"); p.Omit() }, "", func(claims map[string]any) bool { return claims["sid"] != nil }},
		{"exp is left out", func(p *party) { p.Omit("exp") }, "expired", nil},
		{"another issuer", func(p *party) { p.EditIDTokens(func(claims map[string]any) { claims["iss"] = "http://x" }) }, "different provider", nil},
		{"an unknown key", func(p *party) { p.SignIDTokens(oidctest.UnknownKey) }, "verify signature", nil},
		{"a forged key", func(p *party) { p.SignIDTokens(oidctest.ForgedKey) }, "verify signature", nil},
		{"no signature", func(p *party) { p.SignIDTokens(oidctest.Unsigned) }, "none", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, oidctest.Config{})
			c.spoil(p)
			token, err := p.trySignIn("ada")
			if err != nil {
				t.Fatal(err)
			}
			if c.says == "" {
				if claims := p.claims(token); !c.check(claims) {
					t.Errorf("claims %v", claims)
				}
				return
			}
			if _, err := p.verifier.Verify(p.ctx, token.Extra("id_token").(string)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestLogoutComesThroughTheBackChannel(t *testing.T) {
	var token, contentType string
	client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, contentType = r.PostFormValue("logout_token"), r.Header.Get("Content-Type")
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "taken")
	}))
	defer client.Close()
	p := start(t, oidctest.Config{})
	_, id := p.signIn("ada")
	p.EndSession("ada")
	resp := p.BackChannelLogout(t, "ada", client.URL, oidctest.Logout{})
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "taken" || resp.StatusCode != http.StatusTeapot {
		t.Errorf("answer %s %q, %v", resp.Status, body, err)
	}
	if contentType != "application/x-www-form-urlencoded" {
		t.Errorf("content type %q", contentType)
	}
	claims := p.verified(p.verifier, token)
	events, _ := json.Marshal(claims["events"])
	if claims["sub"] != "sub-ada" || claims["sid"] != id["sid"] || claims["jti"] == nil || claims["nonce"] != nil ||
		string(events) != `{"http://schemas.openid.net/event/backchannel-logout":{}}` {
		t.Errorf("claims %v", claims)
	}
	if typ := headerOf(t, token)["typ"]; typ != "logout+jwt" {
		t.Errorf("typ %v", typ)
	}
}

func keyOf(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Signatures[0].Header.KeyID
}

func headerOf(t *testing.T, token string) map[jose.HeaderKey]any {
	t.Helper()
	parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Signatures[0].Header.ExtraHeaders
}

func TestAForgedKeyHasTheNameOfTheRealOne(t *testing.T) {
	p := start(t, oidctest.Config{})
	id := func(with oidctest.Logout) string { return keyOf(t, p.LogoutToken(t, "ada", with)) }
	real := id(oidctest.Logout{})
	if got := id(oidctest.Logout{Signature: oidctest.ForgedKey}); got != real {
		t.Errorf("forged: kid %s, want %s", got, real)
	}
	if got := id(oidctest.Logout{Signature: oidctest.UnknownKey}); got == real {
		t.Errorf("unknown: kid %s is known", got)
	}
}

func TestLogoutTokensAreSpoilt(t *testing.T) {
	p := start(t, oidctest.Config{})
	p.signIn("ada")
	for _, c := range []struct {
		name string
		with oidctest.Logout
		says string
	}{
		{"another audience", oidctest.Logout{ClientID: "other"}, "audience"},
		{"another issuer", oidctest.Logout{Claims: map[string]any{"iss": "http://x"}}, "different provider"},
		{"expired", oidctest.Logout{Claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}}, "expired"},
		{"an unknown key", oidctest.Logout{Signature: oidctest.UnknownKey}, "verify signature"},
		{"a forged key", oidctest.Logout{Signature: oidctest.ForgedKey}, "verify signature"},
		{"no signature", oidctest.Logout{Signature: oidctest.Unsigned}, "none"},
	} {
		if _, err := p.verifier.Verify(p.ctx, p.LogoutToken(t, "ada", c.with)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", c.name, err, c.says)
		}
	}
	claims := p.verified(p.verifier, p.LogoutToken(t, "ada", oidctest.Logout{
		Claims: map[string]any{"events": nil, "sid": nil, "nonce": "x", "jti": "again"},
	}))
	if _, there := claims["events"]; there || claims["sid"] != nil || claims["nonce"] != "x" || claims["jti"] != "again" {
		t.Errorf("claims %v", claims)
	}
	if typ := fmt.Sprint(headerOf(t, p.LogoutToken(t, "ada", oidctest.Logout{Type: "JWT"}))["typ"]); typ != "JWT" {
		t.Errorf("typ %s", typ)
	}
}
