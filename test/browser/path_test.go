package browser

import (
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestOnlyItsOwnerOpensAnAppByPath: instances by path are one origin, so
// that a foreign one is not opened at all unless the installation shares it.
func TestOnlyItsOwnerOpensAnAppByPath(t *testing.T) {
	w := newWorld(t, setup{})
	bait := w.run(w.api("mallory"), slipwaytest.App{Name: "bait", Mode: "BASE_URL"}, "ALL_USERS")
	own := w.run(w.api("victim"), w.curious("own", "BASE_URL"), "PRIVATE")
	b := w.browser()
	b.signedIn("victim")
	tab := b.tab()
	tab.Open(bait.URL)
	tab.Titled("Not allowed")
	if b.pass(bait.ID) != "" {
		t.Error("the victim gets a cookie for it")
	}
	tab.Open(own.URL + "a?b#c")
	tab.At(own.URL + "a?b#c")
	if who := js[string](tab, visitorOf); who != "victim" {
		t.Errorf("the app sees %s", who)
	}
}

// TestAppsByPathTrustEachOther: with base_url_sharing they do. This is what a
// hostile one can do to another, and what it cannot: the console, the API and
// the cookies are out of its reach.
func TestAppsByPathTrustEachOther(t *testing.T) {
	w := newWorld(t, setup{more: "base_url_sharing on"})
	admin := w.api("ada")
	bait := w.run(w.api("mallory"), slipwaytest.App{Name: "bait", Mode: "BASE_URL"}, "ALL_USERS")
	own := w.run(w.api("victim"), w.curious("own", "BASE_URL"), "PRIVATE")
	prefix := func(address string) string { return strings.TrimPrefix(address, w.origin("")) }
	b := w.browser()
	console := b.signedIn("victim")
	victim := b.tab()
	victim.Open(own.URL)
	victim.At(own.URL)
	tab := b.tab()
	tab.Open(bait.URL + html("<body>"))
	tab.Is("the bait is there", "document.title === 'app'")

	t.Log("what is possible, and docs/access.md says so: one app reads another with the visitor's cookies")
	read := js[string](tab, `fetch(`+quoted(prefix(own.URL))+`).then(r => r.json()).then(r => (r.header["X-Slipway-User"] || ["nobody"])[0])`)
	if read != "victim" {
		t.Errorf("the hostile app reads the other as %s: the documentation is too strict", read)
	}

	t.Log("the console and the API")
	tab.attacked(func() []string { return w.audited(admin) })
	tab.unreachable()
	console.Open(w.console + "/tokens")
	console.Titled("Your tokens")

	t.Log("cookies")
	if got := js[string](tab, "document.cookie"); strings.Contains(got, "slipway") {
		t.Errorf("scripts see %s", got)
	}
	for _, name := range []string{"__Host-slipway-i-" + own.ID, "__Host-slipway-i-" + bait.ID} {
		c := b.jar()[name]
		if c == nil || !c.HTTPOnly || !c.Secure || c.Path != "/" || c.SameSite != "Lax" || c.Domain != w.domain {
			t.Errorf("the cookie %s is %+v", name, c)
		}
	}
	pass := b.pass(own.ID)
	set := "Set-Cookie: plain=1; HttpOnly\r\nSet-Cookie: wide=1; Path=/\r\nSet-Cookie: wider=1; Path=/; Domain=" + w.domain + "\r\n" +
		"Set-Cookie: other=1; Path=" + prefix(own.URL) + "\r\nSet-Cookie: __Host-slipway-i-" + own.ID + "=1; Path=/; Secure\r\n" +
		"Set-Cookie: __Host-slipway-session=1; Path=/; Secure\r\nSet-Cookie: slipway-session=1; Path=/\r\n"
	js[string](tab, `fetch(`+quoted(prefix(bait.URL)+answer(set, "x"))+`).then(r => r.text())`)
	jar := b.jar()
	for _, name := range []string{"plain", "wide", "wider"} {
		if c := jar[name]; c == nil || !strings.HasPrefix(c.Path, strings.TrimSuffix(prefix(bait.URL), "/")) || strings.HasPrefix(c.Domain, ".") {
			t.Errorf("the app's cookie %s is %+v", name, c)
		}
	}
	if jar["plain"] != nil && !jar["plain"].HTTPOnly {
		t.Error("HttpOnly of the app's cookie is gone")
	}
	for _, name := range []string{"other", "slipway-session"} {
		if jar[name] != nil {
			t.Errorf("the app has set the cookie %s", name)
		}
	}
	if b.pass(own.ID) != pass || jar["__Host-slipway-session"] == nil || jar["__Host-slipway-session"].Value == "1" {
		t.Error("the app has changed a cookie of Slipway's")
	}

	t.Log("service workers")
	register := func(header, scope string) string {
		script := prefix(bait.URL) + answer("Content-Type: text/javascript\r\n"+header, "onfetch = e => e.respondWith(new Response('owned'))")
		return js[string](tab, `navigator.serviceWorker.register(`+quoted(script)+`, `+scope+`).then(r => r.scope, e => e.name)`)
	}
	for _, header := range []string{"", "Service-Worker-Allowed: /\r\n", "Service-Worker-Allowed: " + prefix(own.URL) + "\r\n"} {
		for _, scope := range []string{"/", "/instance/", prefix(own.URL), strings.TrimSuffix(prefix(bait.URL), "/")} {
			if got := register(header, `{scope: `+quoted(scope)+`}`); got != "SecurityError" {
				t.Errorf("a service worker with %q and scope %s: %s", header, scope, got)
			}
		}
	}
	if got := register("", `{}`); got != bait.URL {
		t.Errorf("its own scope: %s", got)
	}
	victim.Open(own.URL + "x")
	victim.At(own.URL + "x")
	if who := js[string](victim, visitorOf); who != "victim" {
		t.Errorf("the victim's app sees %s", who)
	}

	t.Log("Clear-Site-Data")
	js[bool](victim, `localStorage.setItem("kept", "1"), true`)
	for _, directive := range []string{`"*"`, `"cookies"`, `"storage"`, `"cache", "cookies", "storage", "executionContexts"`} {
		js[string](tab, `fetch(`+quoted(prefix(bait.URL)+answer("Clear-Site-Data: "+directive+"\r\n", "x"))+`).then(r => r.text())`)
	}
	if got := js[string](victim, `localStorage.getItem("kept") || "gone"`); got != "1" {
		t.Errorf("what the other app has stored is %s", got)
	}
	if b.pass(own.ID) != pass {
		t.Error("the cookie for the other app is gone")
	}
}
