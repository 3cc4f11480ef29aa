package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/chromium"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// sleeper is an instance that takes so long to start, and sleeps.
func (w *world) sleeper(by *client.Client, name, delay string) *v1.Instance {
	w.Helper()
	in := w.run(by, slipwaytest.App{Name: name, Env: map[string]string{"START_DELAY": delay}}, "PUBLIC")
	w.suspend(by, in)
	return in
}

// gated is an instance that sleeps, and starts only once its gate is opened.
func (w *world) gated(by *client.Client, name string) (in *v1.Instance, open func()) {
	w.Helper()
	return w.gatedApp(by, slipwaytest.App{Name: name})
}

func (w *world) gatedApp(by *client.Client, app slipwaytest.App) (in *v1.Instance, open func()) {
	w.Helper()
	gate := filepath.Join(w.TempDir(), app.Name) // w.dir has the client's secret, and apps do not see it
	app.Env = map[string]string{"START_GATE": gate}
	open = func() {
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			w.Fatal(err)
		}
	}
	open()
	in = w.run(by, app, "PUBLIC")
	w.suspend(by, in)
	if err := os.Remove(gate); err != nil {
		w.Fatal(err)
	}
	return in, open
}

func (w *world) suspend(by *client.Client, in *v1.Instance) {
	w.Helper()
	if _, err := by.Suspend(w.ctx, in.ID); err != nil {
		w.Fatal(err)
	}
	eventually(w, "it sleeps", func() bool { return w.status(by, in.ID) == "SUSPENDED" })
}

const (
	isApp     = "document.body.innerText.includes('body_sha256')"
	isFailure = "document.querySelector('#failed') && !document.querySelector('#failed').hidden"
	isWaiting = "document.querySelector('#message') && document.body.dataset.wait"
)

// TestAVisitToASlowAppWaitsOnAPage: and comes to the very address, query and
// fragment, that it asked for.
func TestAVisitToASlowAppWaitsOnAPage(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	api := w.api("ada")
	in := w.sleeper(api, "slow", "4s")
	b := w.browser()
	tab := b.tab()
	address := in.URL + "a%20b?c=d&e#f"
	tab.Open(address)
	tab.Is("the waiting page is shown", isWaiting)
	if told := js[string](tab, "document.querySelector('h1').textContent"); told == "" {
		t.Error("the page has no title")
	}
	tab.Is("the app is shown", isApp)
	tab.At(address)
	if n := len(tab.Asked()); n != 2 {
		t.Errorf("asked for %q", tab.Asked())
	}
	tab.QuietBut("503")
}

// TestWhoHasToQueueSeesTheirPlace: it goes down as others start.
func TestWhoHasToQueueSeesTheirPlace(t *testing.T) {
	w := newWorld(t, setup{plain: true, more: "starts_at_once 1"})
	api := w.api("ada")
	first, openFirst := w.gated(api, "first")
	second, openSecond := w.gated(api, "second")
	third := w.sleeper(api, "third", "0s")
	b := w.browser()
	tabs := []*tab{b.tab(), b.tab(), b.tab()}
	tabs[0].Open(first.URL)
	tabs[0].Is("the first starts", isWaiting+" && document.querySelector('li[data-stage=starting]').ariaCurrent")
	tabs[1].Open(second.URL)
	tabs[1].Is("the second is in the queue", inQueue(1))
	address := third.URL + "?x#y"
	tabs[2].Open(address)
	tabs[2].Is("the third is behind it", inQueue(2))
	openFirst()
	tabs[2].Is("its place goes down", inQueue(1))
	tabs[2].Is("it asked for the page once", "performance.getEntriesByType('navigation')[0].type === 'navigate'")
	openSecond()
	for _, tab := range tabs {
		tab.Is("the app is shown", isApp)
		if n := len(tab.Asked()); n != 2 {
			t.Errorf("asked for %q", tab.Asked())
		}
	}
	tabs[2].At(address)
}

// inQueue is true of a waiting page that shows this place.
func inQueue(place int) string {
	return isWaiting + " && document.querySelector('#message').textContent.endsWith('place " + strconv.Itoa(place) + " in the queue.')" +
		" && document.querySelector('li[data-stage=queued]').ariaCurrent && !document.querySelector('li[data-stage=queued]').hidden"
}

// TestAVisitWithoutScripts: the page asks again by itself until the app is
// there. The server never learns of a fragment, and a browser that is sent to
// the very address that it is at, fragment included, only scrolls. So the
// fragment is lost, and the app is seen.
func TestAVisitWithoutScripts(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	api := w.api("ada")
	b := w.browserWith(chromium.NoScripts)
	for _, tc := range []struct {
		name, rest, at string
	}{
		{"an address with a fragment", "a%20b?c=d&e;url='x'#f", "a%20b?c=d&e;url=%27x%27"},
		{"a plain one", "", ""},
		{"one that looks like a host", "/evil.test/", "/evil.test/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, open := w.gated(api, "slow-"+strconv.Itoa(len(tc.rest)))
			tab := b.tab()
			tab.Open(in.URL + tc.rest)
			eventually(t, "the waiting page is shown", func() bool { return strings.Contains(tab.HTML(), `id="message"`) })
			eventually(t, "it is asked again", func() bool { return len(tab.Asked()) > 1 })
			open()
			eventually(t, "the app is shown", func() bool { return strings.Contains(tab.HTML(), "body_sha256") })
			for _, address := range tab.Asked()[1:] {
				if address != in.URL+tc.at {
					t.Errorf("asked for %s, not %s", address, in.URL+tc.at)
				}
			}
		})
	}
}

// TestAVisitToAFastAppSeesNoPage: it is held.
func TestAVisitToAFastAppSeesNoPage(t *testing.T) {
	w := newWorld(t, setup{plain: true, more: "page_grace 20s"})
	in := w.sleeper(w.api("ada"), "fast", "10ms")
	tab := w.browser().tab()
	tab.Open(in.URL + "?x#y")
	tab.Is("the app is shown", isApp)
	tab.At(in.URL + "?x#y")
	if n := len(tab.Asked()); n != 1 {
		t.Errorf("asked for %q", tab.Asked())
	}
}

// TestAStartThatFailsIsTold: with a way to try again.
func TestAStartThatFailsIsTold(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	in := w.broken(w.api("ada"), "PUBLIC")
	tab := w.browser().tab()
	tab.Open(in.URL + "?x#y")
	tab.Is("the failure is shown", isFailure)
	before := len(tab.Asked())
	tab.Click("#again")
	eventually(t, "the page is loaded again", func() bool { return len(tab.Asked()) > before })
	tab.Is("the failure is shown", isFailure)
	tab.At(in.URL + "?x#y")
}

// TestHowTheWaitingPageLooks makes pictures of its states, and checks that all
// can use them.
func TestHowTheWaitingPageLooks(t *testing.T) {
	w := newWorld(t, setup{plain: true, more: "starts_at_once 1"})
	api := w.api("ada")
	first, open := w.gatedApp(api, slipwaytest.App{Name: "sales-forecast", Files: map[string]string{"static/icon.png": iconPNG(t)}})
	second := w.sleeper(api, "queued", "0s")
	b := w.browser()
	look := func(tab *tab, name string) {
		t.Helper()
		tab.pictures("waiting-" + name)
		tab.accessible(name)
	}
	tab := b.tab()
	tab.Open(first.URL)
	tab.Is("it starts", isWaiting+" && document.querySelector('li[data-stage=starting]').ariaCurrent && document.querySelector('#bar').value > 5")
	queue := b.another().tab()
	queue.Open(second.URL)
	queue.Is("it is in the queue", inQueue(1))
	tab.Is("the app's icon is shown", "document.querySelector('main img').complete && document.querySelector('main img').naturalWidth === 64")
	look(tab, "starting")
	tab.QuietBut("503")
	look(queue, "queue")
	open()
	queue.Is("the app is shown", isApp)

	t.Log("of one that fails")
	broken := w.broken(api, "ALL_USERS")
	tab = b.another().signedIn("victim")
	tab.Open(broken.URL)
	tab.Is("the failure is shown", isFailure)
	look(tab, "failed")
	tab.focusShows("#again")
	owner := b.another().signedIn("ada")
	owner.Open(broken.URL)
	owner.Is("the failure is shown", isFailure)
	look(owner, "failed-owner")
	owner.Open(w.console + "/instances/" + broken.ID)
	owner.Is("the log is shown", "document.querySelector('#log').textContent")
	owner.pictures("instance")
	owner.accessible("the console's page of an instance")
}

// broken is an instance whose start has failed.
func (w *world) broken(by *client.Client, visibility string) *v1.Instance {
	w.Helper()
	app := slipwaytest.App{Name: "broken", Env: map[string]string{"EXIT_AT_ONCE": "1"}}
	imported, err := by.ImportBundle(w.ctx, client.Import{Archive: bytes.NewReader(app.Bundle(w)), Visibility: "ALL_USERS"})
	if err != nil {
		w.Fatal(err)
	}
	in, err := by.Run(w.ctx, v1.RunRequest{AppID: imported.ID, Visibility: &visibility})
	if err != nil {
		w.Fatal(err)
	}
	eventually(w, "it fails", func() bool { return w.status(by, in.ID) == "FAILED" })
	return in
}

// iconPNG is a picture of an app.
func iconPNG(t *testing.T) string {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 256, 256))
	for x := range 256 {
		for y := range 256 {
			if (x-128)*(x-128)+(y-128)*(y-128) < 120*120 {
				picture.SetNRGBA(x, y, color.NRGBA{R: 20, G: uint8(120 + x/4), B: uint8(y), A: 255})
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, picture); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestTheIconOfASleepingAppIsShown: and asking for it wakes nobody.
func TestTheIconOfASleepingAppIsShown(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	api := w.api("ada")
	in := w.run(api, slipwaytest.App{Name: "drawn", Files: map[string]string{"static/icon.png": iconPNG(t)}}, "PUBLIC")
	bare := w.sleeper(api, "bare", "0s")
	w.suspend(api, in)
	for _, tc := range []struct {
		of     *v1.Instance
		status int
		kind   string
	}{{in, http.StatusOK, "image/png"}, {bare, http.StatusServiceUnavailable, "application/problem+json"}} {
		resp, err := w.visitor().Get(tc.of.URL + "favicon.ico")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), tc.kind) || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", tc.of.AppName, resp.StatusCode, resp.Header)
		}
		if status := w.status(api, tc.of.ID); status != "SUSPENDED" {
			t.Errorf("%s is %s", tc.of.AppName, status)
		}
	}
	tab := w.browser().tab()
	tab.Open(in.URL + "favicon.ico")
	tab.Is("it is a picture", "document.images.length === 1 && document.images[0].naturalWidth === 64")
}

// TestTheOwnerIsLedToTheLog: from the page of a start that failed, and nobody
// else is.
func TestTheOwnerIsLedToTheLog(t *testing.T) {
	w := newWorld(t, setup{})
	in := w.broken(w.api("ada"), "ALL_USERS")
	page := w.console + "/instances/" + in.ID
	b := w.browser()
	tab := b.tab()
	tab.Open(in.URL)
	tab.signIn("ada")
	tab.At(in.URL)
	tab.Is("the failure is shown, in full", isFailure+" && document.querySelector('#reason').textContent.includes('exit')")
	tab.Forget() // the page is an error
	tab.Click("main .note a")
	tab.At(page)
	tab.Is("the log is shown", "document.querySelector('#log').textContent.includes('ends at once, as it was told to')")
	tab.Is("why it is so is shown", "document.body.innerText.includes('crashed: ')")
	tab.Quiet()
	tab.Open(w.console)
	tab.Titled("Your installation")
	tab.Click("td a[href='/instances/" + in.ID + "']")
	tab.At(page)

	t.Log("somebody else")
	other := b.another().signedIn("victim")
	other.Open(in.URL)
	other.Is("the failure is shown, in a sentence", isFailure+" && document.querySelector('#reason').textContent === 'It ended by itself.'")
	if html := other.HTML(); strings.Contains(html, w.console) || strings.Contains(html, "slipway instance logs") {
		t.Errorf("somebody else is led to the log:\n%s", html)
	}
	other.Open(page)
	other.Titled("Not allowed")

	t.Log("nobody")
	guest := b.another().tab()
	guest.Open(page)
	guest.signIn("ada")
	guest.At(page)
	guest.Is("the log is shown", "document.querySelector('#log').textContent")
}
