package browser

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"

	"github.com/seed-dbc68772/slipway/test/internal/chromium"
)

// browser is a Chromium of its own, or a profile in one: what one person has.
type browser struct {
	*world
	chromium *chromium.Browser
}

func (w *world) browser() *browser {
	w.Helper()
	return w.browserWith("")
}

// browserWith is browser with preferences as Chromium keeps them; "" is none.
func (w *world) browserWith(preferences string) *browser {
	w.Helper()
	return &browser{world: w, chromium: chromium.Start(w.ctx, w, chromium.Config{Dir: w.dir, Preferences: preferences})}
}

// another is the browser of somebody else: it shares no cookie with this one.
func (b *browser) another() *browser {
	b.Helper()
	return &browser{world: b.world, chromium: b.chromium.Another()}
}

// tab is one page of somebody's browser.
type tab struct {
	*browser
	*chromium.Tab
}

func (b *browser) tab() *tab {
	b.Helper()
	return &tab{browser: b, Tab: b.chromium.Tab()}
}

// js is chromium.JS.
func js[T any](t *tab, script string) T {
	t.Helper()
	return chromium.JS[T](t.Tab, script)
}

// quoted is a string as a script has it.
func quoted(text string) string { return chromium.Quoted(text) }

// signIn fills in the provider's form, once it is shown.
func (t *tab) signIn(user string) {
	t.Helper()
	t.Is("the provider's form is shown", "location.origin === "+quoted(t.provider.Issuer())+" && document.querySelector('#continue')")
	t.Run(chromedp.SendKeys(chromedp.CSS("#username"), user), chromedp.Click(chromedp.CSS("#continue")))
}

// signedIn is a tab at the console, where a user has signed in.
func (b *browser) signedIn(user string) *tab {
	b.Helper()
	t := b.tab()
	t.Open(b.console + "/login")
	t.signIn(user)
	t.At(b.console + "/")
	if who := js[string](t, "document.querySelector('.who').textContent"); !strings.HasPrefix(who, user) {
		b.Fatalf("%s is signed in, not %s", who, user)
	}
	return t
}

// answer is the path and query that the app for tests answers with this.
func answer(header, body string) string {
	raw := fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", header, len(body), body)
	return "answer?answer=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(raw)))
}

// html is the path and query of a page of an app's.
func html(body string) string {
	return answer("Content-Type: text/html; charset=utf-8\r\n", "<!doctype html><title>app</title>"+body)
}

// jar is every cookie that the browser has, by name.
func (b *browser) jar() map[string]*network.Cookie {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.chromium.Target, patience)
	defer cancel()
	found, err := chromedp.CallBrowser(ctx, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: chromedp.FromContext(ctx).BrowserContextID})
	if err != nil {
		b.Fatal(err)
	}
	jar := map[string]*network.Cookie{}
	for _, c := range found.Cookies {
		jar[c.Name] = c
	}
	return jar
}

// cookies are the names of all cookies that the browser has.
func (b *browser) cookies() string {
	b.Helper()
	return strings.Join(slices.Sorted(maps.Keys(b.jar())), " ")
}

// session is the value of the console's cookie, which has to be there.
func (b *browser) session() string {
	b.Helper()
	c := b.jar()["__Host-slipway-session"]
	if c == nil {
		b.Fatalf("no session at the console, but %s", b.cookies())
	}
	return c.Value
}

// pass is the value of the cookie for an instance, empty without one.
func (b *browser) pass(id string) string {
	b.Helper()
	if c := b.jar()["__Host-slipway-i-"+id]; c != nil {
		return c.Value
	}
	return ""
}
