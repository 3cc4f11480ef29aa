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

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

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
	if raw := venv.TellsRaw(sites[0]); raw != strings.Contains(string(text), "Progress ") {
		t.Errorf("this pip knows raw progress: %v; it wrote\n%s", raw, text)
	}
}
