//go:build linux

package process

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

func TestProgressOfPip(t *testing.T) {
	site := t.TempDir()
	install := func(names ...string) {
		for _, name := range names {
			if err := os.MkdirAll(filepath.Join(site, name+".dist-info"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	p := progress{wanted: 2, site: site, say: func(w words) { got = append(got, fmt.Sprintf("%d %s", w.percent, w.text)) }}
	p.begin(0, "making a Python environment")
	p.begin(madePercent, "installing packages")
	for _, line := range []string{
		"Looking in links: /bundle/wheels",
		"Collecting numpy>=1.26 (from -r requirements.txt (line 1))",
		"  Downloading numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64.whl (16.3 MB)",
		"Progress 0 of 1000",
		"Progress 500 of 1000",
		"Progress 1000 of 1000",
		"Processing ./wheels/my_app-1.0-py3-none-any.whl (from -r requirements.txt (line 2))",
		"Requirement already satisfied: six in ./lib (from my-app)",
		"Progress 1 of 0",
		"Collecting Zope.Interface",
		"Building wheel for zope.interface (pyproject.toml): started",
	} {
		if hidden := p.line(line + "\n"); hidden != strings.HasPrefix(line, "Progress ") {
			t.Errorf("hidden %v: %s", hidden, line)
		}
	}
	p.look() // nothing is announced yet
	p.line("Installing collected packages: numpy, zope.interface, six, my-app\n")
	install("numpy-2.1.0", "pip-23.2.1")
	p.look()
	p.look()
	install("zope_interface-6.0", "my_app-1.0")
	p.look()
	install("six-1.16")
	p.look()
	want := []string{
		"0 making a Python environment",
		"10 installing packages",
		"10 collecting numpy (1 so far)",
		"25 collecting numpy (1 so far)",
		"40 collecting numpy (1 so far)",
		"40 collecting my_app (2 so far)",
		"50 collecting six (3 so far)",
		"55 collecting Zope.Interface (4 so far)",
		"55 building zope.interface",
		"70 installing numpy (1 of 4)",
		"77 installing zope.interface (2 of 4)",
		"91 installing six (4 of 4)",
		"99 installing my-app (4 of 4)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// What is tried once more, from an index now, begins at the front.
	p.line("Collecting numpy\n")
	if p.last.percent != 99 {
		t.Errorf("it went back to %d", p.last.percent)
	}
}

func TestRawProgressIsAskedOfPipsThatKnowIt(t *testing.T) {
	for name, want := range map[string]bool{
		"pip-23.2.1.dist-info": false, "pip-24.0.dist-info": false, "pip-24.1.dist-info": true,
		"pip-24.1b2.dist-info": true, "pip-25.0.1.dist-info": true, "pip-x.dist-info": false, "pipx-30.1.dist-info": false,
	} {
		site := t.TempDir()
		if err := os.Mkdir(filepath.Join(site, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if got := tellsRaw(site); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if tellsRaw("/no/such/folder") {
		t.Error("no pip at all knows it")
	}
}

// wheelNamed is a wheel of that name, which wants others, of at least so many
// bytes.
func wheelNamed(name string, size int, wants ...string) string {
	info := name + "-1.0.dist-info/"
	meta := "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\n"
	for _, w := range wants {
		meta += "Requires-Dist: " + w + "\n"
	}
	files := map[string]string{
		name + ".py":      "",
		name + ".bin":     noise(size),
		info + "METADATA": meta,
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "RECORD":   name + ".py,,\n" + name + ".bin,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n",
	}
	return string(zipped(files))
}

// noise is what no archive makes smaller.
func noise(size int) string {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	return string(b)
}

// A build with a real pip tells how far it is, to all instances that wait for
// it, and never goes back.
func TestABuildTellsItsProgress(t *testing.T) {
	needPython(t)
	l := opened(t, tempDir(t), offline)
	bundle := map[string]string{"requirements.txt": "# three\nfirst\nsecond\nthird\n", "app/__init__.py": "", "app/server.py": server}
	for _, name := range []string{"first", "second", "third", "fourth"} {
		wants := []string{"fourth"}
		if name == "fourth" {
			wants = nil
		}
		bundle["wheels/"+name+"-1.0-py3-none-any.whl"] = wheelNamed(name, 0, wants...)
	}
	said := map[string][]launcher.Fact{}
	o := launchertest.Observe(t, l)
	for _, id := range []string{"one", "two"} {
		w := pythonWorkload(id, 1, "")
		w.OpenBundle = bundleOf(bundle)
		if err := l.Start(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	ready := map[string]bool{}
	o.Await("both ready", func(f launcher.Fact) bool {
		if f.Text != "" {
			said[f.InstanceID] = append(said[f.InstanceID], f)
		}
		if f.State == launcher.Ended {
			t.Fatalf("%s: %v\n%s", f.InstanceID, f.Reason, currentLog(t, l, f.InstanceID))
		}
		ready[f.InstanceID] = f.State == launcher.Ready
		return ready["one"] && ready["two"]
	})
	for id, facts := range said {
		var texts []string
		for n, f := range facts {
			texts = append(texts, f.Text)
			if f.Stage != controlplane.StageDependencies || f.State != launcher.Starting {
				t.Errorf("%s: %+v", id, f)
			}
			if n > 0 && (f.Percent < facts[n-1].Percent || !f.At.Equal(facts[n-1].At)) {
				t.Errorf("%s: after %+v comes %+v", id, facts[n-1], f)
			}
		}
		all := strings.Join(texts, "\n")
		// What lasts a moment only, as to collect wheels that are there, may be over
		// before anybody hears of it.
		for _, want := range []string{"making a Python environment", "installing "} {
			if !strings.Contains(all, want) {
				t.Errorf("%s: nothing says %q: %q", id, want, texts)
			}
		}
		if !strings.Contains(all, " of 4)") {
			t.Errorf("%s: nobody counts to four: %q", id, texts)
		}
	}
	if len(said) != 2 {
		t.Errorf("%d instances heard of it", len(said))
	}
}

// A download from an index shows in lines that are for programs: with a pip that
// writes them they count, and are in no app's log.
func TestADownloadTellsItsProgress(t *testing.T) {
	needPython(t)
	wheel := []byte(wheelNamed("large", 3<<20))
	index := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".whl") {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(wheel)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<a href="/large-1.0-py3-none-any.whl">large-1.0-py3-none-any.whl</a>`)
	}))
	defer index.Close()
	l := opened(t, tempDir(t), offline, func(c *Config) {
		c.Environ = append(c.Environ[:len(c.Environ)-2], "PIP_CONFIG_FILE=/dev/null", "PIP_INDEX_URL="+index.URL+"/simple", "PIP_NO_CACHE_DIR=1")
	})
	w := pythonWorkload("one", 1, "")
	w.OpenBundle = bundleOf(map[string]string{"requirements.txt": "large\n", "app/__init__.py": "", "app/server.py": server})
	start(t, l, w).Ready("one", 1)
	log := currentLog(t, l, "one")
	if !strings.Contains(log, "Downloading ") || strings.Contains(log, "Progress ") {
		t.Errorf("log %s", log)
	}
	logs, err := filepath.Glob(filepath.Join(l.cfg.DataDir, "envs", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	sites, err := filepath.Glob(filepath.Join(l.cfg.DataDir, "envs", "*", "*", "lib", "python*", "site-packages"))
	if err != nil || len(sites) != 1 {
		t.Fatal(sites, err)
	}
	if raw := tellsRaw(sites[0]); raw != strings.Contains(string(text), "Progress ") {
		t.Errorf("this pip knows raw progress: %v; it wrote\n%s", raw, text)
	}
}
