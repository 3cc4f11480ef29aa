package realapps

import (
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/chromium"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestWaveExamples are two of h2o-wave's own, each in both routing modes. All
// that they show comes by Wave's WebSocket, and so does what a click changes.
func TestWaveExamples(t *testing.T) {
	w := newWorld(t)
	p := w.person()
	for _, app := range []struct {
		module    string
		first     string // what it shows at first
		button    string // what is clicked, an XPath
		second    string // and what that shows
		deep      string // an address in it, behind its URL
		deepShows string
	}{
		{"hello_world", "Welcome to H2O Wave", `//button[@data-test='counter']`, "Current count: 1", "?deep=1#b", "Current count: 0"},
		{"header_nav", "Speed", `//*[@role='tab'][contains(., 'Charts')]`, "Chart 1", "#page2", "Chart 1"},
	} {
		for _, mode := range []string{"DOMAIN", "BASE_URL"} {
			in := w.begin(w.pack(waveExample(t, app.module, mode)))
			sockets := p.Listens()
			p.Open(in.URL)
			p.IsWithin(installing, "the app is shown", chromium.Shows(app.first))
			if built := w.environments(); len(built) != 1 {
				t.Errorf("environments: %v", built)
			}
			want := "ws" + strings.TrimPrefix(in.URL, "http") + "_s/"
			if got, _, _ := strings.Cut(sockets.Last(), "?"); !strings.HasPrefix(got+"/", want) {
				t.Errorf("%s %s: the WebSocket is %s, not below %s", app.module, mode, got, want)
			}
			eventually(t, "the WebSocket brought it", func() bool { return sockets.Brought(app.first) })
			if sockets.Brought(app.second) {
				t.Errorf("%s %s: the WebSocket brought more", app.module, mode)
			}
			p.Run(chromedp.Click(chromedp.Search(app.button)))
			p.Is("the click is answered", chromium.Shows(app.second))
			eventually(t, "the WebSocket brought the answer", func() bool { return sockets.Brought(app.second) })
			p.picture("wave-" + app.module + "-" + mode)
			p.leaves()
			w.retires(in)
			p.wakes(in, in.URL+app.deep, "it is shown again", chromium.Shows(app.deepShows))
			p.leaves()
		}
	}
}

// TestWaveAppsSurviveTheControlPlane: it is killed, and the next one adopts
// server and app; and either's end is a crash after which both are there again.
func TestWaveAppsSurviveTheControlPlane(t *testing.T) {
	w := newWorld(t)
	p := w.person()
	in := w.begin(w.pack(waveExample(t, "hello_world", "DOMAIN")))
	w.becomes(in, "DEPLOYED", installing)
	before := w.waveProcesses(in)
	if len(before) != 3 {
		t.Fatalf("processes %v", before)
	}
	w.killed(in)
	if now := w.waveProcesses(in); !maps.Equal(now, before) {
		t.Errorf("processes %v, before the kill %v", now, before)
	}
	p.Open(in.URL)
	p.Is("the adopted app is shown", chromium.Shows("Welcome to H2O Wave"))
	p.Click(`button[data-test="counter"]`)
	p.Is("the adopted app answers", chromium.Shows("Current count: 1"))
	if now := w.waveProcesses(in); !maps.Equal(now, before) {
		t.Errorf("processes %v, before the kill %v", now, before)
	}
	for restarts, who := range []string{"waved", "app"} {
		before = w.waveProcesses(in)
		if err := syscall.Kill(before[who], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.leaves()
		eventually(t, "both are there again", func() bool {
			now, state := w.waveProcesses(in), w.instance(in.ID)
			return len(now) == 3 && now["waved"] != before["waved"] && now["app"] != before["app"] && state.Restarts == restarts+1 && state.Status == "DEPLOYED"
		})
		p.Open(in.URL)
		p.IsWithin(starting, "the app is shown again", chromium.Shows("Current count: 0"))
	}
}

// killed kills slipway, not its apps, and starts it again at the address that
// an instance in DOMAIN mode has below it.
func (w *world) killed(in *v1.Instance) {
	w.Helper()
	u, err := url.Parse(in.URL)
	if err != nil {
		w.Fatal(err)
	}
	w.process.Kill()
	w.process = slipwaytest.Start(w, w.env, "up", "--no-sample", "--data", w.data,
		"--listen", "127.0.0.1:"+u.Port(), "--base-url", "http://"+strings.TrimPrefix(u.Host, in.ID+"."))
	w.process.AwaitReady(w)
	w.api = slipwaytest.Client(w, filepath.Join(w.data, "cli.toml"))
}
