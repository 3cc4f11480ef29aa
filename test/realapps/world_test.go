package realapps

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// world is a `slipway up` without the sample app, in a folder of its own. Its
// base domain is apps.localhost: a host that is not called localhost is what
// frameworks check for.
type world struct {
	*testing.T
	ctx     context.Context // ends after the test, or at its limit
	data    string
	env     []string // of slipway
	api     *client.Client
	process *slipwaytest.Process
}

// newWorld starts a slipway with these variables more.
func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	slipwaytest.Needs(t, "python3", "chromium") // and pip's index
	t.Parallel()
	places.Take(t)
	// Not the test's own, which ends before a picture of its failure is made.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), limit)
	t.Cleanup(cancel)
	w := &world{T: t, ctx: ctx, data: filepath.Join(slipwaytest.Passable(t), "data")}
	sockets, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		t.Fatal(err)
	}
	// Each start is long enough for the waiting page to be seen, and a test may be
	// a proxy that ends TLS.
	settings := w.file("settings", "slipway {\n\tpage_grace 50ms\n\ttrusted_proxies 127.0.0.0/8\n}\n")
	w.env = append(append(os.Environ(), "XDG_RUNTIME_DIR="+sockets, "SLIPWAY_CONFIG="+filepath.Join(w.data, "cli.toml")), env...)
	t.Cleanup(func() {
		w.process.Kill()
		slipwaytest.KillApps(w.data)
		if t.Failed() {
			t.Log(slipwaytest.LogTail(w.data))
		}
	})
	port := slipwaytest.FreePort(t)
	w.process = slipwaytest.Start(t, w.env, "up", "--no-sample", "--data", w.data, "--config", settings,
		"--listen", "127.0.0.1:"+port, "--base-url", "http://apps.localhost:"+port)
	w.process.AwaitReady(t)
	w.api = slipwaytest.Client(t, filepath.Join(w.data, "cli.toml"))
	return w
}

// file writes a file into a folder of the test's own and returns its path.
func (w *world) file(name, text string) string {
	w.Helper()
	path := filepath.Join(w.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

// cli runs a command of slipway in a folder, and wants it to succeed; it returns
// its stdout.
func (w *world) cli(dir string, args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, slipwaytest.Binary, args...)
	var out, faults bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = w.env, &out, &faults, dir
	if err := cmd.Run(); err != nil {
		w.Fatalf("slipway %s: %v\n%s%s", strings.Join(args, " "), err, &out, &faults)
	}
	return strings.TrimSpace(out.String())
}

// pack writes an app's files into a folder, has `slipway bundle` pack that, and
// returns the bundle's path. The bundle may raise no warning.
func (w *world) pack(files map[string]string) string {
	w.Helper()
	dir := w.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
	bundle := filepath.Join(dir, w.cli(dir, "bundle"))
	if said := w.cli(dir, "bundle", "validate", bundle, "-o", "json"); !strings.Contains(said, `"warnings": []`) {
		w.Errorf("the bundle has warnings: %s", said)
	}
	return bundle
}

// begin imports a bundle and begins an instance of it that everybody may open.
// It does not wait for it.
func (w *world) begin(bundle string) *v1.Instance {
	w.Helper()
	app := w.cli(w.data, "bundle", "import", bundle, "-v", "PUBLIC", "-o", "name")
	return w.another(app[strings.Index(app, "/")+1:])
}

// another begins one more instance of an app.
func (w *world) another(app string) *v1.Instance {
	w.Helper()
	name := w.cli(w.data, "app", "run", app, "-v", "PUBLIC", "--no-wait", "-o", "name")
	return w.instance(name[strings.Index(name, "/")+1:])
}

func (w *world) instance(id string) *v1.Instance {
	w.Helper()
	in, err := w.api.Instance(w.ctx, id)
	if err != nil {
		w.Fatal(err)
	}
	return in
}

// becomes waits until the instance has this status.
func (w *world) becomes(in *v1.Instance, status string, limit time.Duration) {
	w.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		now := w.instance(in.ID)
		switch {
		case now.Status == status:
			return
		case now.Status == "FAILED", time.Since(began) > limit:
			w.Fatalf("%s is %s after %s, not %s: %+v\n%s", in.AppName, now.Status, time.Since(began).Round(time.Second), status, now.Reason, w.logs(in))
		}
	}
}

// sleep has the API put an instance to sleep. Its processes end by themselves:
// one that has to be killed has not understood the request.
func (w *world) sleep(in *v1.Instance) {
	w.Helper()
	began := time.Now()
	if _, err := w.api.Suspend(w.ctx, in.ID); err != nil {
		w.Fatal(err)
	}
	w.becomes(in, "SUSPENDED", starting)
	if took := time.Since(began); took > graceful {
		w.Errorf("%s took %s to go to sleep", in.AppName, took.Round(time.Second))
	}
	eventually(w, in.AppName+" has left no process", func() bool { return len(slipwaytest.AppPIDs(w.data, in.ID)) == 0 })
}

// graceful is shorter than the 30 s after which an app is killed.
const graceful = 25 * time.Second

// logs is what an instance's present process, and the installation before it,
// have written.
func (w *world) logs(in *v1.Instance) string {
	w.Helper()
	return w.cli(w.data, "instance", "logs", in.ID)
}

// environments are the Python environments that have been built.
func (w *world) environments() []string {
	w.Helper()
	found, err := filepath.Glob(filepath.Join(w.data, "processes", "envs", "*", "*", ".complete"))
	if err != nil {
		w.Fatal(err)
	}
	for i, mark := range found {
		found[i] = filepath.Dir(mark)
	}
	return found
}

// installedNothing wants that an instance found its packages installed.
func (w *world) installedNothing(in *v1.Instance) {
	w.Helper()
	for _, word := range []string{"Collecting ", "Downloading ", "Installing "} {
		if log := w.logs(in); strings.Contains(log, word) {
			w.Errorf("%s has installed packages once more:\n%s", in.AppName, log)
		}
	}
	if built := w.environments(); len(built) != 1 {
		w.Errorf("environments: %v", built)
	}
}
