package browser

import (
	"bytes"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// sleeper is an instance that takes so long to start, and sleeps.
func (w *world) sleeper(by *client.Client, name, delay string) *v1.Instance {
	w.Helper()
	in := w.run(by, slipwaytest.App{Name: name, Env: map[string]string{"START_DELAY": delay}}, "PUBLIC")
	w.suspend(by, in)
	return in
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
	tab.open(address)
	tab.is("the waiting page is shown", isWaiting)
	if told := js[string](tab, "document.querySelector('h1').textContent"); told == "" {
		t.Error("the page has no title")
	}
	tab.is("the app is shown", isApp)
	tab.at(address)
	if n := len(tab.asked()); n != 2 {
		t.Errorf("asked for %q", tab.asked())
	}
	// The page is an error to a browser's log; what a policy stops would be one more.
	tab.mu.Lock()
	for _, fault := range tab.faults {
		if !strings.Contains(fault, "503") {
			t.Errorf("the browser complains: %s", fault)
		}
	}
	tab.faults = nil
	tab.mu.Unlock()
}

// TestAVisitToAFastAppSeesNoPage: it is held.
func TestAVisitToAFastAppSeesNoPage(t *testing.T) {
	w := newWorld(t, setup{plain: true, more: "page_grace 20s"})
	in := w.sleeper(w.api("ada"), "fast", "10ms")
	tab := w.browser().tab()
	tab.open(in.URL + "?x#y")
	tab.is("the app is shown", isApp)
	tab.at(in.URL + "?x#y")
	if n := len(tab.asked()); n != 1 {
		t.Errorf("asked for %q", tab.asked())
	}
}

// TestAStartThatFailsIsTold: with a way to try again.
func TestAStartThatFailsIsTold(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	api := w.api("ada")
	app := slipwaytest.App{Name: "broken", Env: map[string]string{"EXIT_AT_ONCE": "1"}}
	imported, err := api.ImportBundle(w.ctx, client.Import{Archive: bytes.NewReader(app.Bundle(w)), Visibility: "ALL_USERS"})
	if err != nil {
		t.Fatal(err)
	}
	public := "PUBLIC"
	in, err := api.Run(w.ctx, v1.RunRequest{AppID: imported.ID, Visibility: &public})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it fails", func() bool { return w.status(api, in.ID) == "FAILED" })
	tab := w.browser().tab()
	tab.open(in.URL + "?x#y")
	tab.is("the failure is shown", "document.querySelector('#failed') && !document.querySelector('#failed').hidden")
	before := len(tab.asked())
	tab.click("#again")
	eventually(t, "the page is loaded again", func() bool { return len(tab.asked()) > before })
	tab.is("the failure is shown", "document.querySelector('#failed') && !document.querySelector('#failed').hidden")
	tab.at(in.URL + "?x#y")
}
