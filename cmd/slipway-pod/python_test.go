//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

func needPython(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: making Python environments takes many seconds")
	}
	if err := exec.Command("python3", "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("this machine has no python3 with venv and ensurepip: %v", err)
	}
}

// offline has pip ask no index.
var offline = []string{"PIP_CONFIG_FILE=/dev/null", "PIP_INDEX_URL=http://127.0.0.1:1/simple", "PIP_RETRIES=0", "PIP_TIMEOUT=1"}

func (p *place) install() result {
	p.Helper()
	return p.step(inpod.StepDependencies, p.path("app"), p.path("env"), p.path("tmp"))
}

// environments are the folders of the environments.
func (p *place) environments() (found []string) {
	p.Helper()
	entries, err := os.ReadDir(p.path("env"))
	if err != nil {
		p.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			found = append(found, e.Name())
		}
	}
	return found
}

func TestPackagesAreInstalledOnceForAVolume(t *testing.T) {
	needPython(t)
	p := newPlace(t)
	p.env = append(offline, "APP_SECRET=told-to-nobody")
	p.files(map[string]string{
		"requirements.txt": "first\nsecond\n", "wheels/first-1.0-py3-none-any.whl": bundletest.Wheel(t, "first", "x = 1\n"),
		"wheels/second-1.0-py3-none-any.whl": bundletest.Wheel(t, "second", "x = 2\n"),
	})
	if err := os.MkdirAll(p.path("env", "cut-off"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := p.install()
	if r.code != 0 || len(p.environments()) != 1 {
		t.Fatalf("exit code %d, %v, environments %v\n%s", r.code, r.reason, p.environments(), r.out)
	}
	var last int
	for line := range strings.Lines(r.out) {
		if percent, text, ok := inpod.ReadProgress(line); ok {
			if percent < last || text == "" {
				t.Errorf("after %d%% comes %q", last, line)
			}
			last = percent
		}
	}
	if last < 70 || !strings.Contains(r.out, "Installing collected packages") || strings.Contains(r.out, "told-to-nobody") {
		t.Errorf("it says\n%s", r.out)
	}
	out, err := exec.Command(p.path("env", p.environments()[0], "bin", "python"), "-c", "import first, second; print(first.x + second.x)").CombinedOutput()
	if err != nil || string(out) != "3\n" {
		t.Errorf("%s %v", out, err)
	}
	first := p.environments()
	if r := p.install(); r.code != 0 || !strings.Contains(r.out, "those of the last start") || p.environments()[0] != first[0] {
		t.Errorf("the second time: %d %v\n%s", r.code, p.environments(), r.out)
	}
	p.files(map[string]string{"requirements.txt": "first\n"})
	if r := p.install(); r.code != 0 || len(p.environments()) != 1 || p.environments()[0] == first[0] {
		t.Errorf("another list: %d %v\n%s", r.code, p.environments(), r.out)
	}
	p.files(map[string]string{"requirements.txt": "# nothing\n"})
	if r := p.install(); r.code != 0 || len(p.environments()) != 0 {
		t.Errorf("no list: %d %v\n%s", r.code, p.environments(), r.out)
	}
	if left, err := os.ReadDir(p.path("tmp")); err != nil || len(left) > 0 {
		t.Errorf("there is left %v, %v", left, err)
	}
}

func TestPackagesThatCannotBeInstalled(t *testing.T) {
	needPython(t)
	p := newPlace(t)
	p.env = offline
	p.files(map[string]string{"requirements.txt": "nowhere-to-be-had\n"})
	p.refused(p.install(), controlplane.Dependencies, "nowhere-to-be-had")
	if _, err := os.Stat(p.path("env", inpod.Current)); err == nil {
		t.Error("what failed is the current environment")
	}
}

// python is a stand-in for python3 of an image.
func (p *place) python(script string) {
	p.Helper()
	if err := os.WriteFile(p.path("python3"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		p.Fatal(err)
	}
	p.env = append(p.env, "PATH="+p.dir+":/usr/bin:/bin")
}

func TestAnImageWithoutPython(t *testing.T) {
	for name, c := range map[string]struct{ script, words string }{
		"too old": {`echo '["/x", "/x", "3.6", [3, 6]]'`, "3.8 or newer"},
		"broken":  {"exit 1", "cannot be used"},
		"no venv": {`[ "$2" = -c ] && { echo '["'$0'", "'$0'", "3.11", [3, 11]]'; exit; }; echo "No module named venv"; exit 1`, "venv or ensurepip is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.files(map[string]string{"requirements.txt": "x\n"})
			p.python(c.script)
			r := p.install()
			p.refused(r, controlplane.ImageInvalid, c.words)
			if !strings.Contains(r.reason.Text, "runtime_version") {
				t.Errorf("no setting is named: %v", r.reason)
			}
		})
	}
	p := newPlace(t)
	p.files(map[string]string{"requirements.txt": "x\n"})
	p.env = []string{"PATH=" + p.dir}
	p.refused(p.install(), controlplane.ImageInvalid, "no python3 on its PATH")
}

// An app of Python has its packages, its files and its folder, and nothing of
// where the API server is.
func TestAPythonAppRuns(t *testing.T) {
	needPython(t)
	p := newPlace(t)
	p.env = offline
	p.files(map[string]string{
		"requirements.txt": "first\n", "first-1.0-py3-none-any.whl": bundletest.Wheel(t, "first", "x = 'a package'\n"),
		"demo/__init__.py": "", "demo/main.py": `
import first, os, pathlib, sys
print("says", first.x, pathlib.Path("conf/key").read_text(), os.getcwd(), sys.prefix, os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ["VIRTUAL_ENV"], os.environ["PATH"].split(":")[0])
sys.exit(5)
`,
	})
	if r := p.install(); r.code != 0 {
		t.Fatal(r)
	}
	venv := p.path("env", p.environments()[0])
	p.env = append(p.env, "KUBERNETES_SERVICE_HOST=10.0.0.1")
	r := p.step(inpod.StepRun, p.give(inpod.Run{
		Mode: controlplane.Python, Module: "demo.main", App: p.path("app"), Env: p.path("env"), Work: p.path("work"), Port: 1,
		Files: []inpod.File{{Path: "conf/key", Value: []byte("a secret")}},
	}))
	want := strings.Join([]string{"says", "a package", "a secret", p.path("app"), venv, "None", venv, filepath.Join(venv, "bin")}, " ")
	if r.code != 5 || !strings.Contains(r.out, want) {
		t.Errorf("exit code %d\n%s\nwant %s", r.code, r.out, want)
	}
}
