package console_test

import (
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

const callback = "http://console.localhost:8080/callback"

// house is a console with a provider.
type house struct {
	*desk
	idp      *oidctest.Provider
	provider *identity.Provider
	poller   *identity.Poller
}

// clock is the test's own time, as far as it differs from the real one.
type clock struct{ ahead time.Duration }

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

func newHouse(t *testing.T, config oidctest.Config) (*house, *clock) {
	t.Helper()
	config.RedirectURIs, config.LogoutURIs = []string{callback}, []string{"http://console.localhost:8080/"}
	idp := oidctest.Start(t, config)
	idp.AddUser(oidctest.User{Username: "ada", Name: "Ada L.", Email: "ada@example.com", EmailVerified: true, Roles: []string{"admin"}})
	idp.AddUser(oidctest.User{Username: "bob", Roles: []string{"staff"}})
	c := new(clock)
	provider := newProvider(t, idp, c, nil)
	h := &house{idp: idp, provider: provider}
	h.desk = newDesk(t, options{provider: provider, rights: controlplane.Rights{AdminRole: "admin"}, now: c.now})
	h.poller = &identity.Poller{Service: h.service, Provider: provider, Sealer: h.sealer, Log: zap.NewNop()}
	return h, c
}

func newProvider(t *testing.T, idp *oidctest.Provider, c *clock, change func(*identity.ProviderConfig)) *identity.Provider {
	t.Helper()
	config := identity.ProviderConfig{
		Issuer: idp.Issuer(), ClientID: idp.ClientID(), Scopes: []string{"profile", "email", "roles"}, RolesClaim: "realm_access.roles",
		RedirectURL: callback, Now: c.now,
	}
	if secret := idp.ClientSecret(); secret != "" {
		config.SecretFile = filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(config.SecretFile, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(&config)
	}
	p, err := identity.NewProvider(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// person is somebody at a browser, which knows the provider too.
type person struct {
	*browser
	house *house
	name  string
	other *http.Client
}

func (h *house) person(name string) *person {
	h.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.Fatal(err)
	}
	return &person{browser: h.browser(), house: h, name: name, other: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// leave goes to the provider, and returns where that sends the browser back to.
func (p *person) leave(next string) *url.URL {
	p.Helper()
	a := p.get("/login?" + url.Values{"next": {next}, "fragment": {""}}.Encode())
	if a.StatusCode != 302 || !strings.HasPrefix(a.to().String(), p.house.idp.Issuer()) {
		p.Fatalf("login: %d %s\n%s", a.StatusCode, a.to(), a.body)
	}
	return p.house.idp.SignIn(p.T, p.other, a.to().String(), p.name)
}

// arrive comes back from the provider.
func (p *person) arrive(back *url.URL) answer {
	p.Helper()
	return p.get(back.RequestURI(), "Sec-Fetch-Site: cross-site")
}

func (p *person) enter() {
	p.Helper()
	if a := p.arrive(p.leave("/")); a.StatusCode != 302 || !p.signedIn() {
		p.Fatalf("callback: %d\n%s", a.StatusCode, a.body)
	}
}

// session is the record of who is signed in.
func (p *person) session() *controlplane.Session {
	p.Helper()
	var s *controlplane.Session
	_, err := p.store.Update(p.Context(), func(tx controlplane.Tx) (err error) {
		s, err = tx.Session(identity.SessionID(p.cookies["slipway-session-8080"]))
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return s
}

func TestASignInThroughTheProvider(t *testing.T) {
	for name, config := range map[string]oidctest.Config{
		"confidential": {}, "public": {Client: oidctest.Client{Public: true}}, "refresh tokens": {RefreshAlways: true}, "ES256": {ES256: true},
		"roles in the ID token": {RolesIn: oidctest.InIDToken}, "roles in the access token": {RolesIn: oidctest.InAccessToken}, "roles in userinfo": {RolesIn: oidctest.InUserinfo},
	} {
		t.Run(name, func(t *testing.T) {
			h, c := newHouse(t, config)
			p := h.person("ada")
			p.enter()
			body := p.get("/").body
			if !strings.Contains(body, "ada (admin)") {
				t.Errorf("the console:\n%s", body)
			}
			s := p.session()
			user, err := h.service.Me(t.Context(), controlplane.Actor{User: s.User})
			if err != nil || user.Email != "ada@example.com" || user.DisplayName != "Ada L." || user.Subject != "sub-ada" || user.Issuer != h.idp.Issuer() {
				t.Errorf("user %+v, %v", user, err)
			}
			life := s.ExpiresAt.Sub(c.now())
			if refresh := config.RefreshAlways; (len(s.Refresh) > 0) != refresh || refresh != (life > 11*time.Hour) || !refresh && life > 5*time.Minute || s.ProviderSession != h.idp.SessionID("ada") {
				t.Errorf("session %+v lives for %v", s, life)
			}
			if strings.Contains(string(s.IDToken)+string(s.Refresh), "eyJ") || len(s.IDToken) == 0 {
				t.Error("the provider's tokens are kept as they came")
			}
			if len(p.cookies) != 1 {
				t.Errorf("cookies are left: %v", p.cookies)
			}
			counts := h.idp.Counts()
			if want := config.RolesIn == oidctest.InUserinfo; (counts.Userinfo > 0) != want || counts.Discovery != 1 {
				t.Errorf("counts %+v", counts)
			}
		})
	}
}

// A deep link survives the provider's form, its fragment too.
func TestADeepLinkSurvivesASignIn(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{})
	p := h.person("ada")
	in := h.run("ada", controlplane.Private)
	rest := "/x?q=" + strings.Repeat("%C3%A4", 1700) // 10 KB
	for _, rest := range []string{"/", rest, "/a?b=%2F%2e&c=+;d"} {
		p.cookies = map[string]string{}
		nonce := identity.HashToken("n")
		a := p.get("/open/" + in.ID + "?" + url.Values{"rest": {rest}, "nonce": {nonce}}.Encode())
		if length := len(a.to().RequestURI()); length > 25<<10 {
			t.Errorf("the way to the login has %d bytes", length)
		}
		page := p.get(a.to().RequestURI()) // a browser gets the short page
		onward := regexp.MustCompile(`id="onward" href="([^"]*)"`).FindStringSubmatch(page.body)
		csp := page.Header.Get("Content-Security-Policy")
		if page.StatusCode != 200 || onward == nil || !strings.Contains(csp, "script-src 'sha256-") || strings.Contains(page.body, "refresh") {
			t.Fatalf("the page before: %d %s\n%.2000s", page.StatusCode, csp, page.body)
		}
		// What its script does.
		a = p.get(strings.ReplaceAll(onward[1], "&amp;", "&") + url.QueryEscape("part?x=1&y"))
		if a.StatusCode != 302 {
			t.Fatalf("login: %d\n%.500s", a.StatusCode, a.body)
		}
		back := h.idp.SignIn(t, p.other, a.to().String(), "ada")
		a = p.arrive(back)
		if a.StatusCode != 302 || a.to().Fragment != "part?x=1&y" || !strings.HasPrefix(a.to().Path, "/open/") {
			t.Fatalf("callback: %d %.200s\n%s", a.StatusCode, a.to(), a.body)
		}
		a = p.get(a.to().RequestURI())
		if got := a.to().Query().Get("rest"); got != rest || a.to().Host != in.ID+".localhost:8080" {
			t.Errorf("opened %.100q, want %.100q", a.to(), rest)
		}
	}
	// What runs no scripts goes straight on.
	fetch := h.browser()
	if a := fetch.send("GET", "/login?next=/tokens", nil); a.StatusCode != 302 || !strings.HasPrefix(a.to().String(), h.idp.Issuer()) {
		t.Errorf("without Sec-Fetch-Mode: %d %s", a.StatusCode, a.to())
	}
}

func TestSeveralTabsSignInAtOnce(t *testing.T) {
	h, _ := newHouse(t, oidctest.Config{})
	p := h.person("ada")
	first, second := p.leave("/tokens"), p.leave("/device")
	if a := p.arrive(first); a.to().Path != "/tokens" {
		t.Errorf("first: %d %s", a.StatusCode, a.to())
	}
	if a := p.arrive(second); a.to().Path != "/device" {
		t.Errorf("second: %d %s", a.StatusCode, a.to())
	}
	if !p.signedIn() {
		t.Error("not signed in")
	}
	// Those that were never finished do not pile up.
	p = h.person("ada")
	long := "/open/0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01?rest=%2F" + strings.Repeat("a", 8<<10) + "&nonce=" + identity.HashToken("")
	var last answer
	for range 6 {
		last = p.get("/login?" + url.Values{"next": {long}, "fragment": {""}}.Encode())
	}
	size := 0
	for name, value := range p.cookies {
		size += len(name) + len(value)
	}
	if size > 30<<10 {
		t.Errorf("%d bytes of cookies", size)
	}
	if a := p.arrive(h.idp.SignIn(t, p.other, last.to().String(), "ada")); a.StatusCode != 302 || a.to().Path[:6] != "/open/" {
		t.Errorf("the last one: %d\n%s", a.StatusCode, a.body)
	}
}

func TestASignInIsFinishedOnceAndByItsBrowser(t *testing.T) {
	h, c := newHouse(t, oidctest.Config{})
	for name, attempt := range map[string]func(p *person, back *url.URL) answer{
		"another browser": func(_ *person, back *url.URL) answer { return h.person("ada").arrive(back) },
		"again, cookies kept": func(p *person, back *url.URL) answer {
			kept := maps.Clone(p.cookies)
			if a := p.arrive(back); a.StatusCode != 302 {
				t.Errorf("the first time: %d", a.StatusCode)
			}
			p.cookies = kept
			return p.arrive(back)
		},
		"too late": func(p *person, back *url.URL) answer {
			c.ahead = 11 * time.Minute
			defer func() { c.ahead = 0 }()
			return p.arrive(back)
		},
		"another state": func(p *person, back *url.URL) answer {
			q := back.Query()
			q.Set("state", strings.Repeat("a", 34))
			back.RawQuery = q.Encode()
			return p.arrive(back)
		},
		"no state": func(p *person, back *url.URL) answer {
			q := back.Query()
			q.Del("state")
			back.RawQuery = q.Encode()
			return p.arrive(back)
		},
		"another's cookies": func(p *person, back *url.URL) answer {
			other := h.person("bob")
			other.leave("/")
			for name := range p.cookies {
				for _, value := range other.cookies {
					p.cookies[name] = value
				}
			}
			return p.arrive(back)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.person("ada")
			p.desk = &desk{T: t, handler: h.handler, service: h.service, site: h.site, store: h.store}
			a := attempt(p, p.leave("/"))
			if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "Sign in again") || strings.Contains(a.Header.Get("Set-Cookie"), "slw_s_") {
				t.Errorf("%d %v\n%s", a.StatusCode, a.Header, a.body)
			}
		})
	}
	// The code of another sign-in is no good: its verifier is not known here.
	p, q := h.person("ada"), h.person("bob")
	mine, theirs := p.leave("/"), q.leave("/")
	query := mine.Query()
	query.Set("code", theirs.Query().Get("code"))
	mine.RawQuery = query.Encode()
	if a := p.arrive(mine); a.StatusCode == 302 || p.signedIn() {
		t.Errorf("a code of somebody else's: %d", a.StatusCode)
	}
	// Another issuer in the answer (RFC 9207).
	p = h.person("ada")
	mine = p.leave("/")
	query = mine.Query()
	query.Set("iss", "https://evil.example")
	mine.RawQuery = query.Encode()
	if a := p.arrive(mine); a.StatusCode != 400 || p.signedIn() {
		t.Errorf("another issuer: %d", a.StatusCode)
	}
}
