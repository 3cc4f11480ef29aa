package chromium

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

const patience = slipwaytest.Patience

// Tab is one page, and what the browser has complained of there. What cannot be
// done, or is not so after slipwaytest.Patience, ends the test.
type Tab struct {
	// Target is chromedp's context of the tab, for what Tab has no method for.
	Target context.Context

	t     testing.TB
	close context.CancelFunc

	mu       sync.Mutex
	requests []string // the URLs of the documents that were asked for
	faults   []string // script errors, and what a policy or a check stopped
	sockets  []string // why WebSockets failed
}

// Tab opens a tab with nothing in it.
func (b *Browser) Tab() *Tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.Target)
	b.t.Cleanup(cancel)
	t := &Tab{t: b.t, Target: ctx, close: cancel}
	if err := chromedp.Listen(ctx, t.heard); err != nil {
		b.t.Fatalf("open a tab: %v", err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		b.t.Fatal(err)
	}
	return t
}

// Close closes the tab, and with it each connection of its page. One that is
// only led elsewhere may be kept for the way back, its WebSockets open.
func (t *Tab) Close() { t.close() }

func (t *Tab) heard(event any) {
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

// Asked are the URLs of the documents that were asked for, redirects too.
func (t *Tab) Asked() []string { return t.cloned(&t.requests) }

// Faults are the complaints of the browser: errors of scripts, and what a policy
// or a check of its own has stopped.
func (t *Tab) Faults() []string { return t.cloned(&t.faults) }

// SocketFaults say why WebSockets failed, all so far.
func (t *Tab) SocketFaults() []string { return t.cloned(&t.sockets) }

func (t *Tab) cloned(list *[]string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(*list)
}

// Forget forgets the faults so far.
func (t *Tab) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults = nil
}

// Quiet wants that the browser has complained of nothing.
func (t *Tab) Quiet() {
	t.t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, fault := range t.faults {
		t.t.Errorf("the browser complains: %s", fault)
	}
	t.faults = nil
}

// QuietBut is Quiet of all that this is not in: that a page is an error is one
// more complaint.
func (t *Tab) QuietBut(text string) {
	t.t.Helper()
	t.mu.Lock()
	t.faults = slices.DeleteFunc(t.faults, func(fault string) bool { return strings.Contains(fault, text) })
	t.mu.Unlock()
	t.Quiet()
}

// Run runs steps, with a limit.
func (t *Tab) Run(steps ...chromedp.Action[chromedp.Void]) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.Target, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.t.Fatalf("at %s: %v", t.Href(), err)
	}
}

// Open types an address. It does not wait until the page is there.
func (t *Tab) Open(address string) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.Target, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address}); err != nil {
		t.t.Fatalf("open %s: %v", address, err)
	}
}

// Href is the address of the page that is shown, fragment included.
func (t *Tab) Href() string {
	ctx, cancel := context.WithTimeout(t.Target, patience)
	defer cancel()
	href, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href"))
	if err != nil {
		return err.Error() // between two pages
	}
	return href
}

// JS runs a script in the page as one of its own would run, and returns what it
// evaluates to, a promise's value too.
func JS[T any](t *Tab, script string) (value T) {
	t.t.Helper()
	ctx, cancel := context.WithTimeout(t.Target, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		t.t.Fatalf("at %s: script %s: %v", t.Href(), script, err)
	}
	return value
}

// Is waits until an expression is true on a page that is loaded.
func (t *Tab) Is(what, expression string) {
	t.t.Helper()
	t.IsWithin(patience, what, expression)
}

// IsWithin is Is of what may take longer.
func (t *Tab) IsWithin(limit time.Duration, what, expression string) {
	t.t.Helper()
	began, last := time.Now(), ""
	for ; time.Since(began) < limit; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Target, patience)
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("document.readyState === 'complete' && !!("+expression+")"))
		if err == nil && ok {
			cancel()
			return
		}
		last, _ = chromedp.Run(ctx, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
		cancel()
	}
	t.t.Fatalf("after %s still not so: %s. The tab shows %s: %.300s", limit, what, t.Href(), last)
}

// At waits until the page with just this address is shown.
func (t *Tab) At(address string) {
	t.t.Helper()
	t.Is("the page is "+address, "location.href === "+Quoted(address))
}

// Titled waits for a page of this heading.
func (t *Tab) Titled(title string) {
	t.t.Helper()
	t.Is("the page has the heading "+title, "document.querySelector('h1,h2') && [...document.querySelectorAll('h1,h2')].some(h => h.textContent === "+Quoted(title)+")")
}

// Text is what the page shows.
func (t *Tab) Text() string {
	t.t.Helper()
	return JS[string](t, "document.body.innerText")
}

// HTML is the document as the browser has it. It needs no script.
func (t *Tab) HTML() string {
	ctx, cancel := context.WithTimeout(t.Target, patience)
	defer cancel()
	html, err := chromedp.Run(ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil {
		return err.Error() // between two pages
	}
	return html
}

// Click clicks as a person does.
func (t *Tab) Click(css string) {
	t.t.Helper()
	t.Run(chromedp.Click(chromedp.CSS(css)))
}

// Press clicks the button of a text.
func (t *Tab) Press(text string) {
	t.t.Helper()
	t.Run(chromedp.Click(chromedp.Search("//button[normalize-space()='" + text + "']")))
}

// Quoted is a string as a script has it.
func Quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // it is a string
	}
	return string(raw)
}
