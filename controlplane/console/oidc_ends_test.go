package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func TestSessionsAreAskedAboutAtTheProvider(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		t.Run(fmt.Sprintf("reuse %v", reuse), func(t *testing.T) {
			h, c := newHouse(t, oidctest.Config{RefreshAlways: true, ReuseRefresh: reuse})
			p := h.person("ada")
			p.enter()
			sweep := func(want int) {
				t.Helper()
				before := h.idp.Counts().Refresh
				if err := h.poller.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := h.idp.Counts().Refresh - before; got != want {
					t.Errorf("%d refreshes, want %d", got, want)
				}
			}
			sweep(0)
			for range 3 { // tokens rotate
				c.ahead += 5*time.Minute + time.Second
				h.idp.Skew(c.ahead)
				sweep(1)
				sweep(0)
			}
			h.idp.SetRoles("ada", "staff")
			epoch := p.actorNow().Epoch
			c.ahead += 5*time.Minute + time.Second
			h.idp.Skew(c.ahead)
			sweep(1)
			if a := p.actorNow(); a.Admin || a.Epoch <= epoch {
				t.Errorf("after a role is gone: %+v", a)
			}
			// A provider that is down ends nothing.
			h.idp.Down(oidctest.Unavailable)
			c.ahead += 5*time.Minute + time.Second
			if err := h.poller.Sweep(t.Context()); err == nil {
				t.Error("no error while the provider is down")
			}
			if !p.signedIn() {
				t.Error("the session has ended while the provider was down")
			}
			h.idp.Up()
			h.idp.Disable("ada")
			c.ahead += 5*time.Minute + time.Second
			h.idp.Skew(c.ahead)
			sweep(1)
			if p.signedIn() {
				t.Error("the session goes on after its end at the provider")
			}
			sweep(0)
		})
	}
}

// Two control planes ask about many sessions once.
func TestManySessionsAreSharedOut(t *testing.T) {
	h, c := newHouse(t, oidctest.Config{RefreshAlways: true})
	const many = 20
	people := make([]*person, many)
	for i := range people {
		people[i] = h.person("ada")
		people[i].enter()
	}
	c.ahead = 5*time.Minute + time.Second
	h.idp.Skew(c.ahead)
	before := h.idp.Counts().Refresh
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := h.poller.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if got := h.idp.Counts().Refresh - before; got != many {
		t.Errorf("%d refreshes, want %d", got, many)
	}
	for _, p := range people {
		if !p.signedIn() {
			t.Error("a session has ended")
		}
	}
}

func (p *person) actorNow() controlplane.Actor {
	p.Helper()
	a, err := p.service.SessionActor(p.Context(), identity.SessionID(p.cookies["slipway-session-8080"]))
	if err != nil {
		p.Fatal(err)
	}
	return a
}

func TestASignOutGoesToTheProvider(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{})
	p := h.person("ada")
	p.enter()
	a := p.post("/logout", url.Values{})
	onward := regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`).FindStringSubmatch(a.body)
	if a.StatusCode != 200 || onward == nil || p.signedIn() {
		t.Fatalf("logout: %d\n%s", a.StatusCode, a.body)
	}
	to, err := url.Parse(strings.ReplaceAll(onward[1], "&amp;", "&"))
	if err != nil || to.Query().Get("post_logout_redirect_uri") != "http://console.localhost:8080/" || to.Query().Get("id_token_hint") == "" {
		t.Errorf("it leads to %s", to)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *p.other
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if back := resp.Header.Get("Location"); !strings.HasPrefix(back, "http://console.localhost:8080/") {
		t.Errorf("the provider answers %d %s", resp.StatusCode, back)
	}
}

func TestTheProviderSignsOutByTheBackChannel(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{RefreshAlways: true})
	post := func(token string) int {
		return h.browser().sendText("POST", "/backchannel-logout", url.Values{"logout_token": {token}}.Encode(), "Content-Type: application/x-www-form-urlencoded").StatusCode
	}
	const event = "http://schemas.openid.net/event/backchannel-logout"
	p := h.person("ada")
	p.enter()
	for name, with := range map[string]oidctest.Logout{
		"another client":    {ClientID: "other"},
		"another issuer":    {Claims: map[string]any{"iss": "https://evil.example"}},
		"no event":          {Claims: map[string]any{"events": nil}},
		"another event":     {Claims: map[string]any{"events": map[string]any{"x": map[string]any{}}}},
		"event no object":   {Claims: map[string]any{"events": map[string]any{event: true}}},
		"a nonce":           {Claims: map[string]any{"nonce": "n"}},
		"no jti":            {Claims: map[string]any{"jti": nil}},
		"nobody":            {Claims: map[string]any{"sub": nil, "sid": nil}},
		"expired":           {Claims: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}},
		"no exp":            {Claims: map[string]any{"exp": nil}},
		"of tomorrow":       {Claims: map[string]any{"iat": time.Now().Add(time.Hour).Unix()}},
		"too old":           {Claims: map[string]any{"iat": time.Now().Add(-time.Hour).Unix()}},
		"an unknown key":    {Signature: oidctest.UnknownKey},
		"a forged key":      {Signature: oidctest.ForgedKey},
		"unsigned":          {Signature: oidctest.Unsigned},
		"another's session": {Claims: map[string]any{"sub": "sub-bob"}},
	} {
		want := 400
		if name == "another's session" {
			want = 200 // a token that holds, and ends nothing
		}
		if got := post(h.idp.LogoutToken(t, "ada", with)); got != want || !p.signedIn() {
			t.Errorf("%s: %d, signed in %v", name, got, p.signedIn())
		}
	}
	for _, token := range []string{"", "x", "a.b.c"} {
		if got := post(token); got != 400 {
			t.Errorf("%q: %d", token, got)
		}
	}
	for name, with := range map[string]oidctest.Logout{
		"by session": {Claims: map[string]any{"sub": nil}}, "by subject": {Claims: map[string]any{"sid": nil}}, "by both": {},
	} {
		p := h.person("ada")
		p.enter()
		token := h.idp.LogoutToken(t, "ada", with)
		if got := post(token); got != 200 || p.signedIn() {
			t.Errorf("%s: %d, signed in %v", name, got, p.signedIn())
		}
		p.enter()
		if got := post(token); got != 400 || !p.signedIn() {
			t.Errorf("%s, again: %d, signed in %v", name, got, p.signedIn())
		}
	}
	// While the provider is away nothing can be checked, and nothing ends.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.provider.ReadLogoutToken(ctx, "a.b.c"); err == nil {
		t.Error("a token that is none")
	}
}

func TestADisabledUserDoesNotSignIn(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{})
	p := h.person("bob")
	p.enter()
	if _, err := h.service.DisableUser(t.Context(), controlplane.Actor{User: "x", Admin: true}, "bob", true); err != nil {
		t.Fatal(err)
	}
	if p.signedIn() {
		t.Error("the session goes on")
	}
	if a := p.arrive(p.leave("/")); a.StatusCode != 403 || !strings.Contains(a.body, "disabled") || p.signedIn() {
		t.Errorf("%d\n%s", a.StatusCode, a.body)
	}
	// There are no links where there is a provider.
	for _, target := range []string{"GET /link?token=x", "POST /link"} {
		method, path, _ := strings.Cut(target, " ")
		if a := p.send(method, path, nil, "Sec-Fetch-Site: same-origin"); a.StatusCode != 404 {
			t.Errorf("%s: %d", target, a.StatusCode)
		}
	}
}
