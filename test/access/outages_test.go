package access

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// A provider that is down keeps nobody from working who is signed in.
func (w *world) askWithoutProvider(t *testing.T) {
	fiona, in := w.people["fiona"], w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]
	fresh := fiona.run(t, w.things.served["DOMAIN ON_DEMAND"], "PRIVATE") // that she never opened
	defer fiona.must(t, "DELETE", "/instances/"+fresh.ID, "", nil)
	w.await(t, fresh, "DEPLOYED")
	for _, outage := range []struct {
		name string
		how  oidctest.Outage
	}{{"port closed", oidctest.Refused}, {"503", oidctest.Unavailable}} {
		t.Run(outage.name, func(t *testing.T) {
			// Those who are on their way back from the provider.
			late := map[*edge]func() *answer{}
			for _, e := range w.edges {
				b := e.newBrowser("fiona")
				back := w.idp.SignIn(t, b.Client, w.console("/login?next=%2F"), "fiona")
				late[e] = func() *answer {
					return ask(t, b.Client, "GET "+back.String(), "", "Sec-Fetch-Site: cross-site", "Accept: text/html")
				}
			}
			w.idp.Down(outage.how)
			defer w.idp.Up()
			for _, e := range w.edges {
				b := fiona.browser(t, e)
				if got := b.visit(t, in) + b.visit(t, fresh); got != "✓✓" {
					t.Errorf("%s: who is signed in opens: %s", e.name, got)
				}
				if a := ask(t, b.Client, "GET "+w.console("/api/v1/me"), "", "Sec-Fetch-Site: same-origin"); a.StatusCode != 200 {
					t.Errorf("%s: the console of who is signed in: %s", e.name, a)
				}
				if got := fiona.call(t, e, in); got != "✓" {
					t.Errorf("%s: programs: %s", e.name, got)
				}
				a := late[e]()
				if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "does not answer") {
					t.Errorf("%s: a sign-in: %s", e.name, a)
				}
				// Now that it is known to be down, nobody is sent there.
				a = e.newBrowser("").page(t, in.URL)
				if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "does not answer") {
					t.Errorf("%s: who would have to sign in: %s", e.name, a)
				}
			}
			w.idp.Up()
			for _, e := range w.edges {
				b := e.newBrowser("fiona")
				slipwaytest.Eventually(t, "the provider is asked again", func() bool { return b.visit(t, in) == "login" })
				b.signIn(t)
			}
		})
	}
}

// Without a control plane a pure edge goes on letting in who has a cookie or a
// ticket, and tells others clearly.
func (w *world) askWithoutControl(t *testing.T) {
	e, in := w.pure(), w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]
	fiona := w.people["fiona"]
	b := fiona.browser(t, e)
	b.enter(t, in)
	bearer := bearerOf(t, fiona.ticket(t, e, in))
	socket := b.socket(t, in.URL)
	underWay := e.newBrowser("fiona")
	underWay.signIn(t)
	ticket := underWay.oneTimeTicket(t, in)
	signedIn := e.newBrowser("fiona")
	signedIn.signIn(t)

	before := w.controlKnown(t)
	w.control().process.Kill()
	w.saidBefore = w.control().process.Stderr.String()

	if got := b.visit(t, in); got != "✓" {
		t.Errorf("with a cookie: %s", got)
	}
	if a := ask(t, &http.Client{Transport: e.transport}, "GET "+in.URL, "", bearer); a.StatusCode != 200 {
		t.Errorf("with a ticket of before: %s", a)
	}
	if err := socket.say(t); err != nil {
		t.Errorf("an open WebSocket: %v", err)
	}
	if got := w.people[""].call(t, e, w.things.instances["PUBLIC DOMAIN ON_DEMAND"]); got != "✓" {
		t.Errorf("a PUBLIC instance: %s", got)
	}
	for name, a := range map[string]*answer{
		"nobody opens":                e.newBrowser("").page(t, in.URL),
		"who is signed in opens anew": signedIn.page(t, in.URL),
		"a sign-in":                   e.newBrowser("").page(t, w.console("/login?next=/")),
		"a ticket of before":          ask(t, underWay.Client, "GET "+ticket, "", "Accept: text/html"),
	} {
		if a.StatusCode != http.StatusServiceUnavailable || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") ||
			!strings.Contains(string(a.body), "control plane") || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s %v", name, a, a.Header)
		}
	}
	if a := fiona.api(t, e, "GET /me", ""); a.StatusCode != http.StatusServiceUnavailable || a.problem().Status != 503 {
		t.Errorf("the API: %s", a)
	}
	socket.conn.Close(websocket.StatusNormalClosure, "")

	w.startControl(t, allOff)
	// Until then the key is the killed one's, and goes away with its lease.
	slipwaytest.Eventually(t, "the new control plane is known", func() bool { return w.controlKnown(t) > before })
	slipwaytest.Eventually(t, "people sign in at "+e.name, func() bool {
		return signedIn.visit(t, in) == "✓"
	})
}

// askDefaults asks with all settings off.
func (w *world) askDefaults(t *testing.T) {
	shared := w.things.instances["PUBLIC BASE_URL ON_DEMAND"]
	if !strings.Contains(w.saidBefore, "base_url_sharing is on") || strings.Contains(w.control().process.Stderr.String(), "base_url_sharing is on") {
		t.Error("the log tells of base_url_sharing where it is off, or not where it is on")
	}
	for _, e := range w.edges {
		slipwaytest.Eventually(t, e.name+" knows the settings", func() bool { return w.people[""].call(t, e, shared) == "login" })
	}
	w.askTable(t, appsDefault, w.appCell)
	w.askTable(t, instancesDefault, w.instanceCell)
	w.askTable(t, aliasesDefault, w.aliasCell)
	t.Run("PUBLIC is refused at write", func(t *testing.T) {
		private := w.things.instances["PRIVATE BASE_URL ON_DEMAND"]
		for _, p := range []*person{w.people["olga"], w.people["ann"]} {
			a := p.api(t, w.pure(), "PATCH /instances/"+private.ID, `{"visibility":"PUBLIC"}`)
			if a.StatusCode != http.StatusUnprocessableEntity || a.problem().Code != "base_url_public" {
				t.Errorf("update by %s: %s", p.name, a)
			}
		}
		a := w.people["ann"].api(t, w.pure(), "POST /instances", fmt.Sprintf(`{"app_id":%q,"visibility":"PUBLIC"}`, w.things.served["BASE_URL ON_DEMAND"].ID))
		if a.StatusCode != http.StatusUnprocessableEntity || a.problem().Code != "base_url_public" {
			t.Errorf("run: %s", a)
		}
		var now v1.Instance
		if a := w.people["olga"].api(t, w.pure(), "GET /instances/"+private.ID, ""); json.Unmarshal(a.body, &now) != nil || now.Visibility != "PRIVATE" {
			t.Errorf("it is %s", a)
		}
	})
}
