package venv

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	p := Progress{Wanted: 2, site: site, Say: func(w Words) { got = append(got, fmt.Sprintf("%d %s", w.Percent, w.Text)) }}
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
		if hidden := p.Line(line + "\n"); hidden != strings.HasPrefix(line, "Progress ") {
			t.Errorf("hidden %v: %s", hidden, line)
		}
	}
	p.Look() // nothing is announced yet
	p.Line("Installing collected packages: numpy, zope.interface, six, my-app\n")
	install("numpy-2.1.0", "pip-23.2.1")
	p.Look()
	p.Look()
	install("zope_interface-6.0", "my_app-1.0")
	p.Look()
	install("six-1.16")
	p.Look()
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
	p.Line("Collecting numpy\n")
	if p.last.Percent != 99 {
		t.Errorf("it went back to %d", p.last.Percent)
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
		if got := TellsRaw(site); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if TellsRaw("/no/such/folder") {
		t.Error("no pip at all knows it")
	}
}

func TestLastError(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"pip's error", "Collecting x\nERROR: first\nERROR: No matching distribution\n\n[notice] a new pip\n", "No matching distribution"},
		{"no error line", "Collecting x\nkilled\n\n", "killed"},
		{"nothing", "", "pip failed without a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lastError(c.text, "pip"); got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The code that packages bring writes where pip does.
func TestWhatOnlyLooksLikeProgress(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, line := range map[string]string{
		"an escape":      "Installing collected packages: a, \x1b[2Jb",
		"words":          "Installing collected packages: send your password to the owner",
		"too long":       "Installing collected packages: " + long,
		"collected":      "Collecting " + long,
		"a wheel":        "Processing ./" + long + "-1.0-py3-none-any.whl",
		"that is built":  "Building wheel for " + long + " (pyproject.toml): started",
		"none of Python": "Installing collected packages: ",
	} {
		t.Run(name, func(t *testing.T) {
			p := Progress{site: t.TempDir(), Say: func(w Words) {
				if len(w.Text) > 150 || strings.ContainsAny(w.Text, "\x1b") || strings.Contains(w.Text, "password") {
					t.Errorf("it is said that %q", w.Text)
				}
			}}
			p.Line(line + "\n")
			p.Look()
		})
	}
}
