//go:build linux

package process

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
	"github.com/seed-dbc68772/slipway/controlplane/python"
)

// needPython skips where there is no Python that can make environments.
func needPython(t *testing.T) python.Interpreter {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: making Python environments takes many seconds")
	}
	p, err := newInterpreter(Config{}.withDefaults(), anybodyMay).find()
	if err != nil {
		t.Skipf("this machine has no python3: %v", err)
	}
	if err := exec.Command(p.Path, "-c", "import venv, ensurepip").Run(); err != nil {
		t.Skipf("%s has no venv and ensurepip: %v", p.Path, err)
	}
	if os.Geteuid() != 0 {
		if why := machine.Probe(t.Context(), t.TempDir()).Mounts; why != nil {
			t.Skipf("an ordinary user installs nothing here: %v", why)
		}
	}
	return p
}

// greeting is a wheel: a zip that needs no index and no build.
func greeting(version string) string {
	info := "greeting-" + version + ".dist-info/"
	return string(zipped(map[string]string{
		"greeting.py":     "text = 'hello from a wheel'\n",
		info + "METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: " + version + "\n",
		info + "WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		info + "RECORD":   "greeting.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n",
	}))
}

// server is a module that serves, and says whether it has the wheel.
const server = `
import http.server, os
try:
    import greeting
    print(greeting.text)
except ImportError:
    print("no greeting")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), http.server.BaseHTTPRequestHandler).serve_forever()
`

func pythonWorkload(id string, generation int64, requirements string) launcher.Workload {
	w := workload(id, generation, "")
	w.App = &controlplane.App{
		AppMode:  controlplane.Python,
		Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{Module: "app.server"}},
	}
	w.OpenBundle = bundleOf(map[string]string{
		"requirements.txt":                     requirements,
		"wheels/greeting-1.0-py3-none-any.whl": greeting("1.0"),
		"app/__init__.py":                      "",
		"app/server.py":                        server,
	})
	return w
}

// offline keeps pip off every index, whatever this machine is configured to.
func offline(c *Config) {
	c.Environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PIP_NO_INDEX=1", "PIP_CONFIG_FILE=/dev/null"}
}

func TestPythonEnvironmentIsBuiltOnceForAll(t *testing.T) {
	needPython(t)
	dir := tempDir(t)
	l := opened(t, dir, offline)
	var observed []interface {
		Ready(string, int64) launcher.Fact
	}
	for n := range 2 {
		observed = append(observed, start(t, l, pythonWorkload(fmt.Sprint("py", n), 1, "# ours\ngreeting==1.0\n")))
	}
	for n, o := range observed {
		o.Ready(fmt.Sprint("py", n), 1)
		if log := currentLog(t, l, fmt.Sprint("py", n)); !strings.Contains(log, "hello from a wheel") {
			t.Errorf("instance %d: %s", n, log)
		}
	}
	if built, _ := filepath.Glob(filepath.Join(dir, "envs", "*", "*", ".complete")); len(built) != 1 {
		t.Errorf("built %v", built)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "envs", "tmp-*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}

	begin := time.Now()
	start(t, l, pythonWorkload("py0", 2, "# ours\ngreeting==1.0\n")).Ready("py0", 2)
	t.Logf("a start with the environment there took %s", time.Since(begin))
}

// An environment is every app's that asks for the same: what makes it sees
// nothing of the bundle that asks first but what the others ask for, too.
func TestPythonEnvironmentIsMadeOfWhatItIsNamedBy(t *testing.T) {
	needPython(t)
	const text = "greeting\n"
	shadow := "import sys\nsys.exit('ERROR: code of the bundle ran')\n"
	for name, files := range map[string]map[string]string{
		"modules that shadow those of the installation": {"venv.py": shadow, "pip/__init__.py": "", "pip/__main__.py": shadow, "json.py": shadow},
		"a source archive beside the wheels":            {"wheels/greeting-9.0.tar.gz": "no archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := opened(t, tempDir(t), offline)
			w := pythonWorkload("py", 1, text)
			maps.Copy(files, map[string]string{
				"requirements.txt":                     text,
				"wheels/greeting-1.0-py3-none-any.whl": greeting("1.0"),
				"app/__init__.py":                      "",
				"app/server.py":                        "import sys\nsys.path.pop(0)\n" + server,
			})
			w.OpenBundle = bundleOf(files)
			start(t, l, w).Ready("py", 1)
			if log := currentLog(t, l, "py"); !strings.Contains(log, "hello from a wheel") {
				t.Errorf("log %s", log)
			}
		})
	}
}

func TestPythonWithoutRequirementsNeedsNoEnvironment(t *testing.T) {
	needPython(t)
	dir := tempDir(t)
	l := opened(t, dir, offline)
	start(t, l, pythonWorkload("py", 1, "# nothing\n\n")).Ready("py", 1)
	if log := currentLog(t, l, "py"); !strings.Contains(log, "no greeting") {
		t.Errorf("log %s", log)
	}
	if built, _ := filepath.Glob(filepath.Join(dir, "envs", "*")); len(built) != 0 {
		t.Errorf("built %v", built)
	}
}

func TestPythonRequirementThatCannotBeInstalled(t *testing.T) {
	needPython(t)
	dir := tempDir(t)
	l := opened(t, dir, offline)
	o := start(t, l, pythonWorkload("py", 1, "no-such-package==9\n"))
	o.Await("dependencies", func(f launcher.Fact) bool { return f.Stage == controlplane.StageDependencies })
	end := o.Ended("py", 1)
	if end.Reason == nil || end.Reason.Code != controlplane.Dependencies || !strings.Contains(end.Reason.Text, "No matching distribution found for no-such-package==9") {
		t.Errorf("reason %v", end.Reason)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "envs", "*.log"))
	if len(logs) != 1 {
		t.Fatalf("logs %v", logs)
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]string{"of the environment": string(text), "of the instance": currentLog(t, l, "py")} {
		if !strings.Contains(log, "no-such-package") {
			t.Errorf("the log %s: %s", name, log)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "envs", "*", "*", "bin")); len(left) != 0 {
		t.Errorf("a failed environment is left: %v", left)
	}
}

func TestPythonIsStoppedWhileItInstalls(t *testing.T) {
	needPython(t)
	dir := tempDir(t)
	l := opened(t, dir, offline)
	o := start(t, l, pythonWorkload("py", 1, "greeting\n"))
	o.Await("dependencies", func(f launcher.Fact) bool { return f.Stage == controlplane.StageDependencies })
	time.Sleep(200 * time.Millisecond)
	begin := time.Now()
	if err := l.Stop(t.Context(), "py", 1, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 20*time.Second { // less than the time that it is given
		t.Errorf("stop took %s", d)
	}
	if end := o.Ended("py", 1); end.Reason != nil {
		t.Errorf("reason %v", end.Reason)
	}
	if left := markedBy(t, l.folder); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	// What is half built counts for nothing.
	if err := l.Start(t.Context(), pythonWorkload("py", 2, "greeting\n")); err != nil {
		t.Fatal(err)
	}
	o.Ready("py", 2)
}

func TestPythonWithoutVenvNamesThePackage(t *testing.T) {
	needPython(t)
	bin := t.TempDir()
	fake := "#!/bin/sh\ncase \"$1 $2\" in\n'-I -c') echo '[\"" + bin + "/python3\", \"" + bin + "/python3\", \"3.11.0\", [3, 11]]' ;;\n" +
		"*) echo 'The virtual environment was not created successfully because ensurepip is not available.'; exit 1 ;;\nesac\n"
	if err := os.WriteFile(filepath.Join(bin, "python3"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	l := opened(t, tempDir(t), func(c *Config) { c.Environ = []string{"PATH=" + bin} })
	end := start(t, l, pythonWorkload("py", 1, "greeting\n")).Ended("py", 1)
	if end.Reason == nil || end.Reason.Code != controlplane.Dependencies || !strings.Contains(end.Reason.Text, "apt-get install python3-venv") {
		t.Errorf("reason %v", end.Reason)
	}
}

func TestInterpreter(t *testing.T) {
	answer := func(version string) string {
		return "#!/bin/sh\necho '[\"/x/python3\", \"/x/python3\", \"" + version + "\", [" + strings.Replace(version, ".", ", ", 1) + "]]'\n"
	}
	for _, c := range []struct {
		name    string
		folders []string // the program in each folder of the PATH; "-" is none
		version string
		fault   string
	}{
		{"the first that is new enough", []string{"-", answer("3.7"), answer("3.9"), answer("3.12")}, "3.9", ""},
		{"one that cannot run is passed over", []string{"#!/no/such\n", answer("3.8")}, "3.8", ""},
		{"too old", []string{answer("3.7")}, "", "is Python 3.7, 3.8 or newer is needed"},
		{"not Python at all", []string{"#!/bin/sh\necho hello\n"}, "", "ask "},
		{"none", []string{"-"}, "", "there is no python3 on the PATH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var path []string
			for _, program := range c.folders {
				dir := t.TempDir()
				path = append(path, dir)
				if program != "-" {
					if err := os.WriteFile(filepath.Join(dir, "python3"), []byte(program), 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			p, err := newInterpreter(Config{Environ: []string{"PATH=" + strings.Join(path, ":")}}, anybodyMay).find()
			if c.fault == "" && (err != nil || p.Version != c.version) || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
}
