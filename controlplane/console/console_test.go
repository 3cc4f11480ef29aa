package console_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/console"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// desk is a console over a real store.
type desk struct {
	*testing.T
	handler http.Handler
	service *controlplane.Service
	store   *etcdstore.Store
	keys    *identity.Keyring
	sealer  *identity.Sealer
	site    *routing.Site
	admin   string // a token of the local admin's
	now     func() time.Time
}

// options change what newDesk makes.
type options struct {
	base     string
	provider *identity.Provider
	rights   controlplane.Rights
	rules    access.Rules
	now      func() time.Time
	log      *zap.Logger
}

func newDesk(t *testing.T, o options) *desk {
	t.Helper()
	if o.base == "" {
		o.base = "http://localhost:8080"
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.log == nil {
		o.log = zap.NewNop()
	}
	d := &desk{T: t, store: etcdtest.Shared(t).Open(t), now: o.now}
	d.admin = etcdtest.Admin(t, d.store)
	var err [4]error
	d.site, err[0] = routing.NewSite(routing.SiteConfig{BaseURL: o.base})
	d.keys, err[1] = identity.NewKeyring(t.Context(), d.store, o.now)
	key, keyErr := d.store.SigningKey(t.Context(), "login")
	err[2] = keyErr
	d.sealer, err[3] = identity.NewSealer(key)
	if err := errors.Join(err[:]...); err != nil {
		t.Fatal(err)
	}
	config := controlplane.Config{
		Store: d.store, Access: o.rules, Rights: o.rights, Passes: d.keys, Now: o.now, Launchers: launchers{},
	}
	if o.provider != nil {
		config.Provider = o.provider.Issuer
	}
	d.service = controlplane.NewService(config)
	sessions := console.NewSessions(d.service, d.site)
	d.handler = console.New(console.Config{
		Service: d.service, Site: d.site, Sessions: sessions, Provider: o.provider, Sealer: d.sealer, Log: o.log,
		API: api.New(api.Config{Service: d.service, Site: d.site, Log: zap.NewNop(), Session: sessions.Actor}),
	})
	return d
}

// launchers says that everything can run.
type launchers struct{}

func (launchers) Launcher(controlplane.AppMode) string          { return "process" }
func (launchers) Check(*controlplane.App) []controlplane.Reason { return nil }

// browser keeps the cookies of the console's host, and sends what browsers send.
type browser struct {
	*desk
	cookies map[string]string
	header  http.Header // added to each request
}

func (d *desk) browser() *browser {
	return &browser{desk: d, cookies: map[string]string{}, header: http.Header{}}
}

type answer struct {
	*http.Response
	body string
}

// to is the URL that an answer redirects to.
func (a answer) to() *url.URL {
	u, _ := url.Parse(a.Header.Get("Location"))
	return u
}

func (b *browser) send(method, target string, form url.Values, header ...string) answer {
	b.Helper()
	if form != nil {
		header = append([]string{"Content-Type: application/x-www-form-urlencoded"}, header...)
	}
	return b.sendText(method, target, form.Encode(), header...)
}

// json is a call of the API without a credential.
func (b *browser) json(target, body string) answer {
	b.Helper()
	return b.sendText(http.MethodPost, target, body, "Content-Type: application/json")
}

func (b *browser) sendText(method, target, body string, header ...string) answer {
	b.Helper()
	u, err := url.Parse(b.site.ConsoleURL())
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequestWithContext(controlplane.WithClientAddress(b.Context(), "203.0.113.7"), method, target, strings.NewReader(body))
	r.Host = u.Host
	for name, values := range b.header {
		r.Header[name] = values
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
		if value == "" {
			r.Header.Del(name)
		}
	}
	var cookies []string
	for name, value := range b.cookies {
		cookies = append(cookies, name+"="+value)
	}
	if len(cookies) > 0 && r.Header.Get("Cookie") == "" {
		r.Header.Set("Cookie", strings.Join(cookies, "; "))
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	resp := w.Result()
	raw, _ := io.ReadAll(resp.Body)
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode || c.Secure != (b.site.Scheme() == "https") ||
			c.Secure != strings.HasPrefix(c.Name, "__Host-") || len(c.String()) > 4096 {
			b.Errorf("cookie %s", c)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	if strings.Contains(string(raw), "slw_s_") {
		b.Errorf("the secret of a session is in a page:\n%s", raw)
	}
	return answer{resp, string(raw)}
}

// get is what following a link sends.
func (b *browser) get(target string, header ...string) answer {
	b.Helper()
	return b.send(http.MethodGet, target, nil, append([]string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"}, header...)...)
}

// post is what a form of the console sends.
func (b *browser) post(target string, form url.Values, header ...string) answer {
	b.Helper()
	origin := strings.TrimSuffix(b.site.ConsoleURL(), "/")
	return b.send(http.MethodPost, target, form, append([]string{"Sec-Fetch-Site: same-origin", "Origin: " + origin}, header...)...)
}

// signIn uses a one-time link.
func (b *browser) signIn() {
	b.Helper()
	secret := identity.NewLink()
	if _, err := b.service.CreateLink(b.Context(), controlplane.Actor{User: controlplane.LocalAdmin, Admin: true}, identity.HashToken(secret)); err != nil {
		b.Fatal(err)
	}
	if a := b.post("/link", url.Values{"token": {secret}}); a.StatusCode != http.StatusFound {
		b.Fatalf("the link answers %d:\n%s", a.StatusCode, a.body)
	}
}

// signedIn reports whether the console knows the browser.
func (b *browser) signedIn() bool {
	b.Helper()
	return strings.Contains(b.get("/").body, "Sign out")
}

// put keeps records.
func (d *desk) put(records ...any) {
	d.Helper()
	if _, err := d.store.Update(d.Context(), func(tx controlplane.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		d.Fatal(err)
	}
}

// run keeps an app and an instance of an owner.
func (d *desk) run(owner string, v controlplane.Visibility) *controlplane.Instance {
	d.Helper()
	app := &controlplane.App{ID: uuid.NewString(), Name: "demo-" + uuid.NewString()[:8], Version: "1", Title: "Demo", Owner: owner, Visibility: v}
	in := &controlplane.Instance{
		ID: uuid.NewString(), AppID: app.ID, AppName: app.Name, AppVersion: "1", Owner: owner, Visibility: v, Status: controlplane.Deployed,
		RoutingMode: controlplane.Domain,
	}
	d.put(app, in)
	return in
}

func TestTheList(t *testing.T) {
	d := newDesk(t, options{})
	b := d.browser()
	if a := b.get("/"); a.StatusCode != 200 || !strings.Contains(a.body, "Sign in") || strings.Contains(a.body, "None yet") {
		t.Errorf("signed out: %d\n%s", a.StatusCode, a.body)
	}
	b.signIn()
	if body := b.get("/").body; strings.Count(body, "None yet") != 2 {
		t.Errorf("an empty installation:\n%s", body)
	}
	app := &controlplane.App{ID: uuid.NewString(), Name: "demo", Version: "1", Title: "<script>alert(1)</script>", Owner: "admin"}
	runs := []*controlplane.Instance{
		{ID: uuid.NewString(), AppID: app.ID, AppName: "demo", AppVersion: "1", Owner: "admin", Status: controlplane.Deployed, RoutingMode: controlplane.Domain},
		{ID: uuid.NewString(), AppID: app.ID, AppName: "demo", AppVersion: "1", Owner: "admin", Status: controlplane.Failed, RoutingMode: controlplane.BaseURL,
			Reason: &controlplane.Reason{Code: controlplane.Crashed, Text: "it said <b>no</b>"}},
		{ID: uuid.NewString(), AppID: app.ID, AppName: "demo", AppVersion: "1", Owner: "admin", Status: controlplane.Deployed, RoutingMode: controlplane.Domain,
			PrimaryAlias: "sales"},
	}
	d.put(app, runs[0], runs[1], runs[2])
	body := b.get("/").body
	for _, want := range []string{
		`href="http://` + runs[0].ID + `.localhost:8080/"`,
		`href="http://localhost:8080/instance/` + runs[1].ID + `/"`,
		`href="http://sales.localhost:8080/"`,
		"DEPLOYED", "FAILED", "crashed: it said &lt;b&gt;no&lt;/b&gt;", "&lt;script&gt;", app.ID,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the list lacks %s:\n%s", want, body)
		}
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "None yet") {
		t.Errorf("the list:\n%s", body)
	}
	if body := d.browser().get("/").body; strings.Contains(body, app.ID) || strings.Contains(body, runs[0].ID) {
		t.Errorf("signed out:\n%s", body)
	}
}

func TestEachPageHasItsHeaders(t *testing.T) {
	for scheme, base := range map[string]string{"http": "http://localhost:8080", "https": "https://apps.example.com"} {
		t.Run(scheme, func(t *testing.T) {
			b := newDesk(t, options{base: base}).browser()
			for target, want := range map[string]struct {
				status int
				allow  string
			}{
				"GET /": {200, ""}, "HEAD /": {200, ""}, "POST /": {405, "GET, HEAD"}, "GET /x": {404, ""}, "POST /x": {404, ""}, "GET /logout": {405, "POST"},
				"GET /login": {200, ""}, "GET /device": {302, ""}, "PUT /device": {405, "GET, HEAD, POST"}, "GET /tokens": {302, ""}, "POST /tokens": {401, ""},
				"GET /link?token=x": {200, ""}, "POST /link": {401, ""}, "GET /open/x": {400, ""}, "GET /callback": {404, ""}, "POST /backchannel-logout": {404, ""},
			} {
				method, path, _ := strings.Cut(target, " ")
				a := b.send(method, path, nil, "Sec-Fetch-Site: same-origin")
				h := a.Header
				csp := h.Get("Content-Security-Policy")
				if a.StatusCode != want.status || h.Get("Allow") != want.allow {
					t.Errorf("%s: status %d, Allow %q", target, a.StatusCode, h.Get("Allow"))
				}
				if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" ||
					h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Cross-Origin-Resource-Policy") != "same-origin" || h.Get("Permissions-Policy") == "" ||
					!strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") ||
					(h.Get("Strict-Transport-Security") != "") != (scheme == "https") {
					t.Errorf("%s: header %v", target, h)
				}
				if method == "HEAD" && a.body != "" {
					t.Errorf("%s: body %q", target, a.body)
				}
			}
		})
	}
}

func TestAStoreThatIsAwayIsNoSignOut(t *testing.T) {
	d := newDesk(t, options{})
	b := d.browser()
	b.signIn()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
}

// hidden finds the value of a form's field.
func hidden(t *testing.T, body, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no field %s in\n%s", name, body)
	}
	return found[1]
}
