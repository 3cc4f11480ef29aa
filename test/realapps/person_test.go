package realapps

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/chromium"
)

// isWaiting is true of Slipway's waiting page, isInstalling of one that says
// which package is under way.
const (
	isWaiting    = "document.querySelector('#message') && document.body.dataset.wait"
	isInstalling = isWaiting + ` && /(collecting|installing) \S+ \(\d+/.test(document.body.innerText)`
)

// person is somebody with a browser, and the tab that they look at.
type person struct {
	*world
	*chromium.Tab
	browser *chromium.Browser
}

func (w *world) person() *person {
	w.Helper()
	p := &person{world: w, browser: chromium.Start(w.ctx, w, chromium.Config{Dir: w.TempDir(), Width: 1280, Height: 800})}
	p.looks()
	return p
}

// looks opens an empty tab and looks at it. Where the test fails there, a picture
// tells why.
func (p *person) looks() {
	p.Helper()
	tab := p.browser.Tab()
	p.Tab = tab
	p.Cleanup(func() {
		if p.Failed() && p.Tab == tab {
			p.picture("failed-" + p.Name())
		}
	})
	// What is typed goes to the browser's first tab otherwise.
	if _, err := chromedp.Call(p.Target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		p.Fatal(err)
	}
}

// leaves closes the tab and looks at an empty one.
func (p *person) leaves() {
	p.Helper()
	p.Close()
	p.looks()
}

// wakes visits a sleeping instance in a tab that is empty, sees the waiting page
// and then, at just this address, the app.
func (p *person) wakes(in *v1.Instance, address, what, isApp string) {
	p.Helper()
	if status := p.instance(in.ID).Status; status != "SUSPENDED" {
		p.Fatalf("%s does not sleep, it is %s", in.AppName, status)
	}
	began := time.Now()
	p.Open(address)
	p.IsWithin(starting, what, isApp)
	p.Logf("%s: woken by a visit in %s", in.AppName, time.Since(began).Round(10*time.Millisecond))
	p.At(address)
	// The first answer is the waiting page: nothing else asks for the page again.
	visit, _, _ := strings.Cut(address, "#")
	if asked := p.Asked(); !slices.Equal(asked[:min(2, len(asked))], []string{visit, visit}) {
		p.Errorf("%s: the browser asked for %q", in.AppName, asked)
	}
}

// picture keeps a picture of what is shown.
func (p *person) picture(name string) {
	p.Helper()
	folder := os.Getenv("SLIPWAY_SCREENSHOTS")
	if folder == "" {
		folder = p.TempDir()
	}
	raw, err := chromedp.Run(p.Target, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "realapps-"+name+".png"), raw, 0o600)
	}
	if err != nil {
		p.Fatal(err)
	}
}
