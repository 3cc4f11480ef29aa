package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestCookiesOfASiblingChangeNobody: what a sibling app writes for the whole
// base domain makes the victim nobody else. It can crowd out the cookies of the
// base domain's hosts, which signs people out there; a console on another
// registrable domain is not touched.
func TestCookiesOfASiblingChangeNobody(t *testing.T) {
	for name, with := range map[string]setup{
		"console beside the apps":               {},
		"console on another registrable domain": {console: "console.other.test"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, with)
			victims := w.api("victim")
			private := w.run(victims, w.curious("private", ""), "PRIVATE")
			bait := w.run(w.api("mallory"), slipwaytest.App{Name: "bait"}, "ALL_USERS")
			b := w.browser()
			attacker := b.another()
			attacker.signedIn("mallory")
			his := attacker.tab()
			his.Open(bait.URL)
			his.At(bait.URL)
			session := attacker.session()

			console := b.signedIn("victim")
			app := b.tab()
			app.Open(private.URL)
			app.At(private.URL)
			tab := b.tab()
			tab.Open(bait.URL)
			tab.At(bait.URL)
			is := func() {
				t.Helper()
				console.Open(w.console + "/")
				console.Titled("Your installation")
				if who := js[string](console, "document.querySelector('.who').textContent"); who != "victim" {
					t.Errorf("the console shows itself to %s", who)
				}
				app.Open(private.URL)
				app.At(private.URL)
				if who := js[string](app, visitorOf); who != "victim" {
					t.Errorf("the app shows itself to %s", who)
				}
			}
			forms := w.provider.Counts().Authorize

			t.Log("cookies by our names, with the attacker's own session in them")
			for _, prefix := range []string{"__Host-slipway-", "__Secure-slipway-", "slipway-", "__host-slipway-", "__Host-slipway-session=x;__Host-slipway-"} {
				for _, name := range []string{"session", "i-" + private.ID, "n-" + private.ID, "i-" + bait.ID} {
					for _, domain := range []string{w.domain, "." + w.domain, hostOf(w.console), hostOf(private.URL)} {
						for _, path := range []string{"/", "/api", "/open/"} {
							js[bool](tab, fmt.Sprintf("document.cookie = %s, true", quoted(prefix+name+"="+session+"; Domain="+domain+"; Path="+path+"; Secure")))
						}
					}
				}
			}
			// A cookie without a name is sent as its value.
			for _, value := range []string{"__Host-slipway-session=" + session, "=__Host-slipway-session=" + session} {
				js[bool](tab, "document.cookie = "+quoted(value+"; Domain="+w.domain+"; Path=/; Secure")+", true")
			}
			is()
			if got := w.provider.Counts().Authorize; got != forms {
				t.Errorf("the victim had to sign in %d times again", got-forms)
			}
			if got := b.pass(private.ID); got == "" || got == session {
				t.Errorf("the cookie for the victim's instance is %q", got)
			}

			t.Log("small cookies, more than the browser keeps for the base domain")
			js[bool](tab, `(() => { for (let i = 0; i < 400; i++) document.cookie = "c" + i + "=x; Domain=`+w.domain+`; Path=/; Secure"; return true })()`)
			eventually(t, "the cookies are there", func() bool { return b.jar()["c399"] != nil }) // they are written in the background
			console.Open(w.console + "/")
			console.Is("a page of the console", "document.title.endsWith('Slipway')")
			text := console.Text()
			switch crowded := strings.Contains(text, "You are not signed in."); {
			case with.console != "" && crowded:
				t.Error("the sign-in at another registrable domain is gone")
			case !crowded && !strings.Contains(text, "victim"):
				t.Errorf("the console shows %s", text)
			default:
				t.Logf("the console's sign-in was crowded out: %t; that of the app: %t", crowded, b.pass(private.ID) == "")
			}
			app.Open(w.console + "/login") // the provider still knows the victim
			app.At(w.console + "/")
			is()

			t.Log("large cookies, more than a request may have")
			js[bool](tab, `(() => { for (let i = 0; i < 30; i++) document.cookie = "big" + i + "=" + "x".repeat(3800) + "; Domain=`+w.domain+`; Path=/; Secure"; return true })()`)
			eventually(t, "the cookies are there", func() bool { return b.jar()["big29"] != nil })
			console.Open(w.console + "/")
			if with.console != "" {
				console.Titled("Your installation")
			} else {
				console.Is("the edge's answer", "document.body.innerText.includes('headers_too_large')")
			}
			app.Open(private.URL)
			app.Is("the edge's answer", "document.body.innerText.includes('headers_too_large')")

			t.Log("all that lasts no longer than the cookies do")
			js[bool](tab, `(() => { for (const c of document.cookie.split("; ")) document.cookie = c.split("=")[0] + "=; Max-Age=0; Domain=`+w.domain+`; Path=/; Secure"; return true })()`)
			eventually(t, "the cookies are gone", func() bool { return !strings.Contains(b.cookies(), "big") })
			is()
		})
	}
}
