package console_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func (d *desk) sendLogout(token string) int {
	d.Helper()
	form := url.Values{"logout_token": {token}}.Encode()
	return d.browser().sendText("POST", "/backchannel-logout", form, "Content-Type: application/x-www-form-urlencoded").StatusCode
}

// Anybody may send tokens that nobody has signed: they cost the provider a
// request a second at most.
func TestForgedLogoutTokensDoNotBurdenTheProvider(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{})
	h.person("ada").enter()
	before, began := h.idp.Counts().Keys, time.Now()
	forged := func() {
		if got := h.sendLogout(h.idp.LogoutToken(t, "ada", oidctest.Logout{Signature: oidctest.UnknownKey})); got != 400 {
			t.Errorf("a forged token: %d", got)
		}
	}
	for range 3 {
		forged()
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(forged)
	}
	all.Wait()
	most := 1 + int(time.Since(began)/time.Second)
	if got := h.idp.Counts().Keys - before; got < 1 || got > most {
		t.Errorf("the keys were asked for %d times, want 1 to %d", got, most)
	}
	// New keys are found all the same.
	h.idp.RotateKeys(true)
	p := h.person("ada")
	p.enter()
	if got := h.sendLogout(h.idp.LogoutToken(t, "ada", oidctest.Logout{})); got != 200 || p.signedIn() {
		t.Errorf("a good token by a new key: %d, signed in %v", got, p.signedIn())
	}
}

func TestLogoutTokensThatAreNotFollowed(t *testing.T) {
	idp := oidctest.Start(t, oidctest.Config{})
	idp.AddUser(oidctest.User{Username: "ada", Roles: []string{"admin"}})
	provider := newProvider(t, idp, new(clock), nil)
	core, logged := observer.New(zapcore.InfoLevel)
	d := newDesk(t, options{provider: provider, rights: controlplane.Rights{AdminRole: "admin"}, log: zap.New(core)})
	for _, c := range []struct {
		name   string
		with   oidctest.Logout
		down   bool
		status int
		warns  int
	}{
		{name: "a token of another issuer", with: oidctest.Logout{Claims: map[string]any{"iss": "fetching keys "}}, status: 400},
		{name: "a token that is expired", with: oidctest.Logout{Claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}}, status: 400},
		{name: "a token by a key that nobody has", with: oidctest.Logout{Signature: oidctest.UnknownKey}, status: 400},
		{name: "a provider that is away", with: oidctest.Logout{Signature: oidctest.UnknownKey}, down: true, status: 503, warns: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := idp.LogoutToken(t, "ada", c.with)
			if c.down {
				idp.Down(oidctest.Unavailable)
			}
			if got := d.sendLogout(token); got != c.status {
				t.Errorf("%d, want %d", got, c.status)
			}
			if lines := logged.TakeAll(); len(lines) != c.warns {
				t.Errorf("it logs %v", lines)
			}
		})
	}
}
