package console_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func TestASessionIsACookieOfThisHostAlone(t *testing.T) {
	for base, name := range map[string]string{
		"http://localhost:8080": "slipway-session-8080", "http://localhost": "slipway-session", "https://apps.example.com": "__Host-slipway-session",
		"https://apps.example.com:8443": "__Host-slipway-session",
	} {
		b := newDesk(t, options{base: base}).browser()
		b.signIn()
		if len(b.cookies) != 1 || !strings.HasPrefix(b.cookies[name], "slw_s_") {
			t.Errorf("%s: cookies %v", base, b.cookies)
		}
		if !b.signedIn() {
			t.Errorf("%s: not signed in", base)
		}
	}
}

func TestUnusableSessionsAreClearedAndTellNothing(t *testing.T) {
	const name = "slipway-session-8080"
	d := newDesk(t, options{})
	b := d.browser()
	b.signIn()
	good := b.cookies[name]
	anonymous := d.browser().get("/").body
	for kind, cookies := range map[string]string{
		"unknown":              name + "=" + identity.NewSession(),
		"a personal token":     name + "=" + d.admin,
		"empty":                name + "=",
		"two":                  name + "=" + good + "; " + name + "=" + good,
		"a foreign one before": name + "=x; " + name + "=" + good,
		"its hash":             name + "=" + identity.SessionID(good),
	} {
		for _, target := range []string{"/", "/api/v1/me"} {
			a := d.browser().send("GET", target, nil, "Cookie: "+cookies, "Sec-Fetch-Site: same-origin")
			if target == "/" && (a.body != anonymous || !strings.HasPrefix(a.Header.Get("Set-Cookie"), name+"=; Path=/; Max-Age=0")) {
				t.Errorf("%s: Set-Cookie %q\n%s", kind, a.Header.Get("Set-Cookie"), a.body)
			}
			if target != "/" && a.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: the API answers %d", kind, a.StatusCode)
			}
		}
	}
}

func TestASessionEnds(t *testing.T) {
	for name, end := range map[string]func(b *browser){
		"by its user": func(b *browser) { b.post("/logout", url.Values{}) },
		"with all others": func(b *browser) {
			other := b.browser()
			other.signIn()
			other.post("/logout", url.Values{"everywhere": {"1"}})
		},
		"by the API": func(b *browser) {
			a := b.send("POST", "/api/v1/logout", nil, "Content-Type: application/json", "Sec-Fetch-Site: same-origin")
			if a.StatusCode != 400 {
				b.Errorf("without a body: %d", a.StatusCode)
			}
			if _, err := b.service.SignOut(b.Context(), controlplane.Actor{User: "admin", Credential: identity.SessionID(b.cookies["slipway-session-8080"])}, false); err != nil {
				b.Error(err)
			}
		},
		"by time": func(b *browser) {
			b.service.Now = func() time.Time { return time.Now().Add(controlplane.SessionLife + time.Second) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, options{})
			b := d.browser()
			b.signIn()
			before := maps.Clone(b.cookies)
			if !b.signedIn() {
				t.Fatal("not signed in")
			}
			end(b)
			b.cookies = before
			if b.signedIn() {
				t.Error("signed in")
			}
		})
	}
}

// A sign-in ends the one that the browser had before.
func TestASignInReplacesTheOneBefore(t *testing.T) {
	b := newDesk(t, options{}).browser()
	b.signIn()
	before := maps.Clone(b.cookies)
	b.signIn()
	if !b.signedIn() {
		t.Error("not signed in")
	}
	b.cookies = before
	if b.signedIn() {
		t.Error("the session before goes on")
	}
}

func TestTheAPITakesTheSessionFromPagesOfTheConsoleAlone(t *testing.T) {
	b := newDesk(t, options{}).browser()
	b.signIn()
	const ours, origin = "Sec-Fetch-Site: same-origin", "Origin: http://console.localhost:8080"
	body := []string{"Content-Type: application/json"}
	for name, c := range map[string]struct {
		method string
		header []string
		status int
	}{
		"read, a script of ours":     {"GET", []string{ours}, 200},
		"read, the address bar":      {"GET", []string{"Sec-Fetch-Site: none"}, 200},
		"read, a sibling":            {"GET", []string{"Sec-Fetch-Site: same-site"}, 401},
		"read, anybody else":         {"GET", []string{"Sec-Fetch-Site: cross-site"}, 401},
		"read, an unknown site":      {"GET", []string{"Sec-Fetch-Site: x"}, 401},
		"read, old browser, ours":    {"GET", []string{origin}, 200},
		"read, old browser, a link":  {"GET", nil, 200},
		"read, old browser, foreign": {"GET", []string{"Origin: http://app.localhost:8080"}, 401},
		"read, no origin":            {"GET", []string{"Origin: null"}, 401},
		"write, ours":                {"POST", []string{ours, origin}, 201},
		"write, no origin given":     {"POST", []string{ours}, 201},
		"write, old browser":         {"POST", []string{origin}, 201},
		"write, no header":           {"POST", nil, 403},
		"write, a sibling":           {"POST", []string{"Sec-Fetch-Site: same-site", "Origin: http://app.localhost:8080"}, 403},
		"write, a sibling lies":      {"POST", []string{"Sec-Fetch-Site: same-site", origin}, 403},
		"write, they disagree":       {"POST", []string{ours, "Origin: http://app.localhost:8080"}, 403},
		"write, other port":          {"POST", []string{"Origin: http://console.localhost:8081"}, 403},
		"write, other scheme":        {"POST", []string{"Origin: https://console.localhost:8080"}, 403},
		"write, null":                {"POST", []string{"Origin: null"}, 403},
		"write, anybody else":        {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			b := *b
			b.desk = &desk{T: t, handler: b.handler, service: b.service, site: b.site}
			target := "/api/v1/me"
			if c.method == "POST" {
				target = "/api/v1/login/link"
			}
			if a := b.send(c.method, target, nil, append(body, c.header...)...); a.StatusCode != c.status {
				t.Errorf("status %d, want %d: %s", a.StatusCode, c.status, a.body)
			}
		})
	}
	// A bearer is no cookie: it counts wherever it comes from.
	if a := b.send("POST", "/api/v1/login/link", nil, "Authorization: Bearer "+b.admin, "Sec-Fetch-Site: cross-site"); a.StatusCode != 201 {
		t.Errorf("a bearer: %d %s", a.StatusCode, a.body)
	}
	if a := b.send("GET", "/api/v1/me", nil, "Authorization: Bearer x", ours); a.StatusCode != 401 {
		t.Errorf("a wrong bearer beside the cookie: %d", a.StatusCode)
	}
}

func TestFormsOfOthersChangeNothing(t *testing.T) {
	b := newDesk(t, options{}).browser()
	b.signIn()
	for name, header := range map[string][]string{
		"a sibling": {"Sec-Fetch-Site: same-site", "Origin: http://app.localhost:8080"}, "anybody": {"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"nobody": {"Sec-Fetch-Site: ", "Origin: "}, "an old browser's sibling": {"Sec-Fetch-Site: ", "Origin: http://app.localhost:8080"},
	} {
		for _, target := range []string{"/logout", "/tokens", "/device", "/link"} {
			a := b.post(target, url.Values{"name": {"x"}, "scope": {"read"}}, header...)
			if a.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s answers %d", name, target, a.StatusCode)
			}
		}
	}
	if !b.signedIn() || strings.Contains(b.get("/tokens").body, "open instances</td>") {
		t.Error("something has changed")
	}
}
