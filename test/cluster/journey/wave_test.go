package journey

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-dbc68772/slipway/test/internal/chromium"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// wheels are the files of h2o-wave and of what it needs, which test/cluster/build
// has fetched: no index is reached in here.
func wheels(t *testing.T) (wave string, files map[string]string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(os.Getenv("LAB_BIN"), "wheels", "*.whl"))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, name := range found {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files["wheels/"+filepath.Base(name)] = string(text)
		if strings.HasPrefix(filepath.Base(name), "h2o_wave-"+slipwaytest.WaveVersion) {
			wave = name
		}
	}
	if wave == "" {
		t.Fatalf("LAB_BIN has no wheel of h2o-wave %s among %d: run test/cluster/build, which names the version too", slipwaytest.WaveVersion, len(found))
	}
	return wave, files
}

// TestAWaveApp is one of h2o-wave's own examples, in a pod. All that it shows
// comes by Wave's WebSocket, and so does what a click changes.
func TestAWaveApp(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	slipwaytest.Needs(t, "chromium")
	wave, packages := wheels(t)
	h := newHarbour(t, 1, (*harbour).runsBundles)
	p, before := h.planes[0], h.everything()
	tab := chromium.Start(t.Context(), t, chromium.Config{Dir: t.TempDir()}).Tab()
	for _, mode := range []string{"DOMAIN", "BASE_URL"} {
		files := slipwaytest.WaveExample(t, wave, "hello_world", mode)
		maps.Copy(files, packages)
		// The packages stay while the app sleeps.
		files["app.toml"] += "ResourceVolumeSize = \"300Mi\"\n"
		began := time.Now()
		in := h.launch(files)
		figure(t, "%s: from a folder to DEPLOYED %s", mode, time.Since(began).Round(time.Millisecond))
		works := func() {
			t.Helper()
			sockets := tab.Listens()
			tab.Open(in.URL)
			tab.IsWithin(installing, "the app is shown", chromium.Shows("Current count: 0"))
			want := "ws" + strings.TrimPrefix(in.URL, "http") + "_s/"
			if got, _, _ := strings.Cut(sockets.Last(), "?"); !strings.HasPrefix(got+"/", want) {
				t.Errorf("%s: the WebSocket is %s, not below %s", mode, got, want)
			}
			tab.Run(chromedp.Click(`button[data-test="counter"]`))
			tab.Is("the click is answered", chromium.Shows("Current count: 1"))
			eventually(t, "the WebSocket brought the answer", func() bool { return sockets.Brought("Current count: 1") })
		}
		works()
		tab.Open("about:blank")
		h.command("", "instance", "suspend", in.ID, "--wait")
		if left := h.pods(); len(left) > 0 {
			t.Errorf("%s: it sleeps and there are the pods %q", mode, left)
		}
		began = time.Now()
		works()
		figure(t, "%s: from a visit that wakes it to an answered click %s", mode, time.Since(began).Round(time.Millisecond))
		tab.Open("about:blank")
		h.command("", "instance", "terminate", in.ID, "--yes", "--wait")
	}
	if p.Ended() {
		t.Error("slipway has ended")
	}
	h.wantsAsBefore(before)
}
