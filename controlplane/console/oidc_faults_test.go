package console_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

func TestWhatTheProviderDoesWrongIsAPage(t *testing.T) {
	for name, c := range map[string]struct {
		wrong  func(h *house)
		status int
		says   string
	}{
		"down, 503":      {func(h *house) { h.idp.Down(oidctest.Unavailable) }, 503, "does not answer"},
		"down, refused":  {func(h *house) { h.idp.Down(oidctest.Refused) }, 503, "does not answer"},
		"clock ahead":    {func(h *house) { h.idp.Skew(2 * time.Minute) }, 503, "clocks"},
		"clock behind":   {func(h *house) { h.idp.Skew(-10 * time.Minute) }, 503, "clocks"},
		"unknown key":    {func(h *house) { h.idp.SignIDTokens(oidctest.UnknownKey) }, 503, "key that it does not publish"},
		"forged key":     {func(h *house) { h.idp.SignIDTokens(oidctest.ForgedKey) }, 503, "key that it does not publish"},
		"unsigned":       {func(h *house) { h.idp.SignIDTokens(oidctest.Unsigned) }, 503, "does not hold"},
		"no subject":     {func(h *house) { h.idp.Omit("sub") }, 503, "did not say who"},
		"no nonce":       {func(h *house) { h.idp.Omit("nonce") }, 503, "does not hold"},
		"another nonce":  {edit("nonce", "x"), 503, "does not hold"},
		"another client": {edit("aud", "other"), 503, "does not hold"},
		"azp of another": {edit("azp", "other"), 503, "does not hold"},
		"another issuer": {edit("iss", "https://evil.example"), 503, "does not hold"},
		"no exp":         {func(h *house) { h.idp.Omit("exp") }, 503, "does not hold"},
		"roles a number": {edit("realm_access", map[string]any{"roles": 7}), 503, "is no list of texts"},
		"denied by user": {func(h *house) { h.idp.Disable("ada") }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := newHouse(t, oidctest.Config{})
			p := h.person("ada")
			if name == "denied by user" {
				back := p.leave("/")
				query := back.Query()
				query.Del("code")
				query.Set("error", "access_denied")
				query.Set("error_description", "<script>alert(1)</script>")
				back.RawQuery = query.Encode()
				if a := p.arrive(back); a.StatusCode != 403 || !strings.Contains(a.body, "The sign-in was denied.") || strings.Contains(a.body, "alert") {
					t.Errorf("%d\n%s", a.StatusCode, a.body)
				}
				return
			}
			back := p.leave("/")
			c.wrong(h)
			a := p.arrive(back)
			if a.StatusCode != c.status || !strings.Contains(a.body, c.says) || !strings.Contains(a.body, "Sign in</a>") || p.signedIn() {
				t.Errorf("%d, want %d and %q\n%s", a.StatusCode, c.status, c.says, a.body)
			}
			for _, secret := range []string{h.idp.ClientSecret(), back.Query().Get("code"), "eyJ", "go-oidc", "oauth2:"} {
				if strings.Contains(a.body, secret) {
					t.Errorf("the page tells %q", secret)
				}
			}
		})
	}
}

func edit(claim string, value any) func(h *house) {
	return func(h *house) { h.idp.EditIDTokens(func(claims map[string]any) { claims[claim] = value }) }
}

// A provider that is down keeps nobody out who is in, and is found when it is
// back.
func TestAProviderMayBeDownAtOurStart(t *testing.T) {
	h, c := newHouse(t, oidctest.Config{})
	inside := h.person("ada")
	inside.enter()
	h.idp.Down(oidctest.Refused)
	provider := newProvider(t, h.idp, c, nil)
	if _, err := provider.AuthURL(t.Context(), &identity.Login{State: "s", Nonce: "n", Verifier: strings.Repeat("v", 43)}); controlplane.CodeOf(err) != controlplane.CodeUnavailable {
		t.Errorf("down: %v", err)
	}
	if !inside.signedIn() {
		t.Error("who was in is out")
	}
	h.idp.Up()
	if _, err := provider.AuthURL(t.Context(), &identity.Login{State: "s"}); err == nil {
		t.Error("it is asked again at once")
	}
	c.ahead += 3 * time.Second
	if _, err := provider.AuthURL(t.Context(), &identity.Login{State: "s", Nonce: "n", Verifier: strings.Repeat("v", 43)}); err != nil {
		t.Errorf("up: %v", err)
	}
	// New keys are fetched when one is met.
	h.idp.RotateKeys(true)
	h.person("bob").enter()
}

func TestWrongSettingsAreNamed(t *testing.T) {
	h, c := newHouse(t, oidctest.Config{})
	for name, change := range map[string]func(*identity.ProviderConfig){
		"secret": func(p *identity.ProviderConfig) {
			p.SecretFile = filepath.Join(t.TempDir(), "wrong")
			if err := os.WriteFile(p.SecretFile, []byte("wrong"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		provider := newProvider(t, h.idp, c, change)
		_, err := provider.Exchange(t.Context(), "code", &identity.Login{Verifier: strings.Repeat("v", 43)})
		if controlplane.CodeOf(err) != controlplane.CodeUnavailable || !strings.Contains(err.Error(), "does not know this installation") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, config := range map[string]identity.ProviderConfig{"secret": {SecretFile: "/nonexistent"}, "ca": {CA: "/nonexistent"}} {
		if _, err := identity.NewProvider(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMissingRolesAreNone(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{RolesIn: oidctest.Nowhere})
	p := h.person("ada")
	p.enter()
	if strings.Contains(p.get("/").body, "(admin)") {
		t.Error("an admin without a role")
	}
}

// Sign-ins that nobody means to finish cost the provider and the store only so
// much, from one address.
func TestSignInsFromOneAddressAreBounded(t *testing.T) {
	h, c := newHouse(t, oidctest.Config{})
	p := h.person("ada")
	back := p.leave("/")
	for controlplane.CodeOf(h.service.MayFinishSignIn("203.0.113.7")) != controlplane.CodeTooMany {
	}
	asked := h.idp.Counts().Token
	if a := p.arrive(back); a.StatusCode != 429 || !strings.Contains(a.body, "too many sign-ins") && !strings.Contains(a.body, "Too many sign-ins") {
		t.Errorf("%d\n%s", a.StatusCode, a.body)
	}
	if again := h.idp.Counts().Token; again != asked {
		t.Errorf("the provider was asked %d times more", again-asked)
	}
	if err := h.service.MayFinishSignIn("198.51.100.9"); err != nil {
		t.Errorf("another address: %v", err)
	}
	c.ahead = 11 * time.Minute
	if err := h.service.MayFinishSignIn("203.0.113.7"); err != nil {
		t.Errorf("later: %v", err)
	}
}
