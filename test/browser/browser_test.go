package browser

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// browser is a Chromium of its own, or a profile in one: what one person has.
type browser struct {
	*world
	chromium context.Context // of a tab
}

// browser starts a Chromium that looks no name up and asks nobody but this
// machine. Its processes end with the test.
func (w *world) browser() *browser {
	w.Helper()
	return w.browserWith("")
}

// noScripts are the preferences of somebody who allows no page a script.
const noScripts = `{"profile":{"default_content_setting_values":{"javascript":2}}}`

// browserWith is browser with preferences as Chromium keeps them; "" is none.
func (w *world) browserWith(preferences string) *browser {
	w.Helper()
	data, err := os.MkdirTemp(w.dir, "chromium")
	if err == nil && preferences != "" {
		if err = os.Mkdir(filepath.Join(data, "Default"), 0o700); err == nil {
			err = os.WriteFile(filepath.Join(data, "Default", "Preferences"), []byte(preferences), 0o600)
		}
	}
	if err != nil {
		w.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(data), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.WindowSize(1000, 700),
		chromedp.Flag("headless", "new"),
		chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1"),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		// A proxy of the environment would be asked for what is here.
		chromedp.Flag("no-proxy-server", true),
	)
	allocator, end := chromedp.NewExecAllocator(w.ctx, options...)
	w.Cleanup(func() {
		end()
		eventually(w, "Chromium has ended", func() bool { return len(processesOf(data)) == 0 })
	})
	ctx, cancel := chromedp.NewContext(allocator)
	w.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		w.Fatalf("start chromium: %v", err)
	}
	return &browser{world: w, chromium: ctx}
}

// processesOf are the processes that name a file on their command line.
func processesOf(file string) (pids []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range entries {
		if raw, err := os.ReadFile(name); err == nil && bytes.Contains(raw, []byte(file)) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// another is the browser of somebody else: it shares no cookie with this one.
func (b *browser) another() *browser {
	b.Helper()
	ctx, cancel := chromedp.NewContext(b.chromium, chromedp.WithNewBrowserContext())
	b.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		b.Fatalf("begin a profile: %v", err)
	}
	return &browser{world: b.world, chromium: ctx}
}

// tab is one page, and what the browser has complained of there.
type tab struct {
	*browser
	ctx context.Context

	mu       sync.Mutex
	requests []string // the URLs of the documents that were asked for
	faults   []string // script errors, and what a policy or a check stopped
	sockets  []string // why WebSockets failed
}

func (b *browser) tab() *tab {
	b.Helper()
	ctx, cancel := chromedp.NewContext(b.chromium)
	b.Cleanup(cancel)
	t := &tab{browser: b, ctx: ctx}
	if err := chromedp.Listen(ctx, t.heard); err != nil {
		b.Fatalf("open a tab: %v", err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		b.Fatal(err)
	}
	return t
}

func (t *tab) heard(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Type == network.ResourceTypeDocument {
			t.requests = append(t.requests, e.Request.URL)
		}
	case *network.EventWebSocketFrameError:
		t.sockets = append(t.sockets, e.ErrorMessage)
	case *log.EventEntryAdded:
		// The icon of the provider for tests is nobody's business.
		bad := e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity
		if bad && !strings.HasSuffix(e.Entry.URL, "/favicon.ico") {
			t.faults = append(t.faults, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		t.faults = append(t.faults, "script: "+e.ExceptionDetails.Text)
	}
}

// asked are the URLs of the documents that were asked for, redirects too.
func (t *tab) asked() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.requests)
}

// quiet wants that the browser has complained of nothing.
func (t *tab) quiet() {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fault := range t.faults {
		t.Errorf("the browser complains: %s", fault)
	}
	t.faults = nil
}

// quietBut is quiet of all that this is not in: that a page is an error is one
// more complaint.
func (t *tab) quietBut(text string) {
	t.Helper()
	t.mu.Lock()
	t.faults = slices.DeleteFunc(t.faults, func(fault string) bool { return strings.Contains(fault, text) })
	t.mu.Unlock()
	t.quiet()
}

// run runs steps, with a limit.
func (t *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("at %s: %v", t.href(), err)
	}
}

// open types an address. It does not wait until the page is there.
func (t *tab) open(address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address}); err != nil {
		t.Fatalf("open %s: %v", address, err)
	}
}

// href is the address of the page that is shown, fragment included.
func (t *tab) href() string {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	href, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href"))
	if err != nil {
		return err.Error() // between two pages
	}
	return href
}

// js runs a script in the page as one of its own would run, and returns what it
// evaluates to, a promise's value too.
func js[T any](t *tab, script string) (value T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("at %s: script %s: %v", t.href(), script, err)
	}
	return value
}

// is waits until an expression is true on a page that is loaded.
func (t *tab) is(what, expression string) {
	t.Helper()
	began, last := time.Now(), ""
	for ; time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.ctx, patience)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.readyState === 'complete' && !!("+expression+")"))
		if err == nil && ok {
			cancel()
			return
		}
		last, _ = chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
		cancel()
	}
	t.Fatalf("after %s still not so: %s. The tab shows %s: %.300s", patience, what, t.href(), last)
}

// at waits until the page with just this address is shown.
func (t *tab) at(address string) {
	t.Helper()
	t.is("the page is "+address, "location.href === "+quoted(address))
}

// titled waits for a page of this heading.
func (t *tab) titled(title string) {
	t.Helper()
	t.is("the page has the heading "+title, "document.querySelector('h1,h2') && [...document.querySelectorAll('h1,h2')].some(h => h.textContent === "+quoted(title)+")")
}

// text is what the page shows.
func (t *tab) text() string {
	t.Helper()
	return js[string](t, "document.body.innerText")
}

// html is the document as the browser has it. It needs no script.
func (t *tab) html() string {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	html, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil {
		return err.Error() // between two pages
	}
	return html
}

// click clicks as a person does.
func (t *tab) click(css string) {
	t.Helper()
	t.run(chromedp.Click(chromedp.CSS(css)))
}

// press clicks the button of a text.
func (t *tab) press(text string) {
	t.Helper()
	t.run(chromedp.Click(chromedp.Search("//button[normalize-space()='" + text + "']")))
}

// signIn fills in the provider's form, once it is shown.
func (t *tab) signIn(user string) {
	t.Helper()
	t.is("the provider's form is shown", "location.origin === "+quoted(t.provider.Issuer())+" && document.querySelector('#continue')")
	t.run(chromedp.SendKeys(chromedp.CSS("#username"), user), chromedp.Click(chromedp.CSS("#continue")))
}

// signedIn is a tab at the console, where a user has signed in.
func (b *browser) signedIn(user string) *tab {
	b.Helper()
	t := b.tab()
	t.open(b.console + "/login")
	t.signIn(user)
	t.at(b.console + "/")
	if who := js[string](t, "document.querySelector('.who').textContent"); !strings.HasPrefix(who, user) {
		b.Fatalf("%s is signed in, not %s", who, user)
	}
	return t
}

// quoted is a string as a script has it.
func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // it is a string
	}
	return string(raw)
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
	ctx, cancel := context.WithTimeout(b.chromium, patience)
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
