package launcher_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// server is an app that says what it finds. It counts its starts on its volume.
const server = `
import http.server, json, os, pathlib
def text(name):
    try:
        return pathlib.Path(name).read_text()
    except OSError as e:
        return type(e).__name__
def written(name):
    try:
        pathlib.Path(name).write_text("x")
        return "written"
    except OSError as e:
        return type(e).__name__
def package():
    try:
        import greeting
        return greeting.text
    except ImportError:
        return "none"
starts = pathlib.Path("/data/starts")
if starts.parent.exists():
    starts.write_text(text(starts).replace("FileNotFoundError", "") + "x")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({
            "package": package(), "plain": text("conf/plain"), "secret": text("conf/secret"), "absolute": text("/etc/app/absolute"),
            "variable": os.environ.get("GREETING", ""), "token": text(os.environ["SLIPWAY_TOKEN_FILE"]), "folder": os.getcwd(),
            "account": text("/var/run/secrets/kubernetes.io/serviceaccount/token"), "link": text("/slipway/bundle/bundle.json"),
            "api": os.environ.get("KUBERNETES_SERVICE_HOST", "none"), "uid": str(os.getuid()), "process 1": str(os.getpid() == 1),
            "root": written("/x"), "program": written("/slipway/bin/x"), "packages": written("/slipway/env/x"), "app": written("/app/x"),
            "home": written(os.path.expanduser("~/x")), "tmp": written("/tmp/x"), "starts": text("/data/starts"),
        }).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
print("serving", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
`

// found is what the app says.
func found(t *testing.T, f launcher.Fact) (m map[string]string) {
	t.Helper()
	resp, err := http.Get("http://" + f.Endpoint + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func begin(t *testing.T, l launcher.Launcher, w launcher.Workload) *launchertest.Observer {
	t.Helper()
	o := launchertest.Observe(t, l)
	if err := l.Start(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	return o
}

// logOf is the log of an instance.
func logOf(t *testing.T, l launcher.Launcher, id string) string {
	t.Helper()
	r, err := l.Logs(t.Context(), id, launcher.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAPythonAppComesAsABundle(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	o := newOffice(t, y)
	l := y.lead(t, o.bundles(t))
	w := o.bundled(t, map[string]string{
		"app.toml": "[App]\n", "demo/__init__.py": "", "demo/main.py": server,
		"requirements.txt": "greeting\n", "wheels/greeting-1.0-py3-none-any.whl": bundletest.Wheel(t, "greeting", "text = 'of a package'\n"),
	}, controlplane.Runtime{
		AppMode: controlplane.Python, Module: "demo.main", VolumeMount: "/data", VolumeSize: "10Mi", ResourceVolumeSize: "200Mi",
		MemoryLimit: "512Mi", MemoryReservation: "32Mi",
	})
	w.Env = []string{"GREETING=good day"}
	w.Files = []controlplane.File{
		{Path: "conf/plain", Value: "a file"}, {Path: "conf/secret", Value: "a secret", Secret: "s", SecretKey: "k"},
		{Path: "/etc/app/absolute", Value: "another secret", Secret: "s", SecretKey: "k"},
	}
	if why := l.Check(w.App); why != nil {
		t.Fatal(why)
	}
	began := time.Now()
	facts := begin(t, l, w)
	facts.Await("words on the installation", func(f launcher.Fact) bool {
		return f.Stage == controlplane.StageDependencies && strings.Contains(f.Text, "Python environment")
	})
	f := facts.Ready(w.InstanceID, 1)
	t.Logf("the first start took %s", time.Since(began))
	want := map[string]string{
		"package": "of a package", "plain": "a file", "secret": "a secret", "absolute": "another secret", "variable": "good day",
		"token": "the token", "folder": "/app", "account": "FileNotFoundError", "link": "FileNotFoundError", "api": "none", "uid": "65532",
		"process 1": "False", "root": "OSError", "program": "OSError", "packages": "OSError", "app": "written", "home": "written", "tmp": "written", "starts": "x",
	}
	if diff := cmp.Diff(want, found(t, f)); diff != "" {
		t.Error(diff)
	}
	if log := logOf(t, l, w.InstanceID); !strings.Contains(log, "serving") {
		t.Errorf("log %q", log)
	}
	// It sleeps and wakes: only volumes persist.
	if err := l.Stop(t.Context(), w.InstanceID, 1, time.Second); err != nil {
		t.Fatal(err)
	}
	w = o.next(t, w)
	began = time.Now()
	if err := l.Start(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	want["starts"] = "xx"
	f = facts.Ready(w.InstanceID, 2)
	t.Logf("the second start took %s", time.Since(began))
	if diff := cmp.Diff(want, found(t, f)); diff != "" {
		t.Error(diff)
	}
	// The link is useless once it is over, and that of the first start already.
	status := func() int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", o.url+w.BundleLink(0).Target, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = officeHost
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer http.DefaultClient.CloseIdleConnections()
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("while it is good: %d", got)
	}
	o.ahead.Store(3600)
	if got := status(); got != http.StatusGone {
		t.Errorf("after its end: %d", got)
	}
}

func TestABinaryAppComesAsABundle(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	o := newOffice(t, y)
	l := y.lead(t, o.bundles(t))
	w := o.bundled(t, map[string]string{"app.toml": "[App]\n", "bin/serve": "#!/usr/bin/python3\n" + server}, controlplane.Runtime{
		AppMode: controlplane.Binary, AppEntryPoint: []string{"bin/serve"}, Port: 9000,
	})
	f := begin(t, l, w).Ready(w.InstanceID, 1)
	if !strings.HasSuffix(f.Endpoint, ":9000") {
		t.Errorf("endpoint %s", f.Endpoint)
	}
	if got := found(t, f); got["folder"] != "/app" || got["package"] != "none" || got["packages"] != "FileNotFoundError" || got["starts"] != "FileNotFoundError" {
		t.Errorf("%v", got)
	}
}

func TestABundleThatDoesNotStart(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	o := newOffice(t, y)
	l := y.lead(t, o.bundles(t))
	files := map[string]string{"app.toml": "[App]\n", "demo.py": "import sys; sys.exit(3)\n"}
	python := controlplane.Runtime{AppMode: controlplane.Python, Module: "demo"}
	facts := launchertest.Observe(t, l)
	for _, c := range []struct {
		name   string
		files  map[string]string
		rt     controlplane.Runtime
		change func(*launcher.Workload)
		code   controlplane.ReasonCode
		words  string
	}{
		{"another digest", files, python, func(w *launcher.Workload) {
			link := w.BundleLink
			w.BundleLink = func(d time.Duration) launcher.BundleLink {
				l := link(d)
				l.Digest = strings.Repeat("0", 64)
				return l
			}
		}, controlplane.BadBundle, "its SHA-256 is"},
		{"a link of an earlier start", files, python, func(w *launcher.Workload) {
			*w = o.next(t, *w)
			link := w.BundleLink
			*w = o.next(t, *w)
			w.BundleLink = link
		}, controlplane.LauncherDown, "that it was made for is"},
		{"packages that are nowhere", map[string]string{"app.toml": "[App]\n", "requirements.txt": "nowhere-to-be-had\n"}, python, nil, controlplane.Dependencies, "nowhere-to-be-had"},
		{"no program", map[string]string{"app.toml": "[App]\n", "run": "\x00\x01"}, controlplane.Runtime{AppMode: controlplane.Binary, AppEntryPoint: []string{"run"}}, nil, controlplane.BadBundle, "Runtime.AppEntryPoint run cannot be executed"},
		{"no Wave server", files, controlplane.Runtime{AppMode: controlplane.Wave, Module: "demo"}, nil, controlplane.WaveServerMissing, "waved"},
		{"an end", files, python, nil, controlplane.Crashed, "exit code 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := o.bundled(t, c.files, c.rt)
			if c.change != nil {
				c.change(&w)
			}
			if err := l.Start(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			f := facts.Ended(w.InstanceID, w.Generation)
			if f.Reason == nil || f.Reason.Code != c.code || !strings.Contains(f.Reason.Text, c.words) {
				t.Errorf("it ended with %v, want %s with %q", f.Reason, c.code, c.words)
			}
		})
	}
}
