package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
)

// runtimes are values with an image that bundles of Python run in.
func runtimes(t *testing.T) values {
	t.Helper()
	return values{"debian12": values{"image": clustertest.Image(t, clustertest.Python), "python": "3.11", "default": true}}
}

// bundled is an app that needs a package, which its bundle has.
const bundled = `
import http.server, os, socket
import greeting
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write((greeting.text + " " + socket.gethostname() + "\n").encode())
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
`

// bundle runs an app that its pod fetches from the control plane's Service, by
// its name and by what the chart's values are by themselves; it sleeps, wakes by
// a visit and ends.
func (r *release) bundle() {
	r.t.Helper()
	id, url := r.start("BASE_URL", map[string]string{
		"app.toml": "[App]\nName = \"bundled\"\nVersion = \"1.0.0\"\n\n[Runtime]\nAppMode = \"python\"\nModule = \"main\"\nRoutingMode = \"BASE_URL\"\n" +
			"MemoryLimit = \"256Mi\"\nMemoryReservation = \"32Mi\"\nResourceVolumeSize = \"100Mi\"\n",
		"main.py": bundled, "requirements.txt": "greeting\n",
		"wheels/" + bundletest.WheelFile("greeting"): bundletest.Wheel(r.t, "greeting", "text = 'hello from'\n"),
	})
	r.wantsBundlesPass(id)
	r.slipway("", "instance", "suspend", id, "--wait")
	if text, err := r.visit(r.client(), url); err != nil || !strings.HasPrefix(text, "hello from i-"+id) {
		r.t.Errorf("a visit to the sleeping bundle: %q, %v", text, err)
	}
	r.slipway("", "instance", "terminate", id, "--wait", "--yes")
}

// start imports an app of these files, starts an instance of it, and returns its
// ID and URL.
func (r *release) start(mode string, files map[string]string) (id, url string) {
	r.t.Helper()
	dir := r.t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
	app := r.slipway("", "bundle", "import", dir, "-o", "name")
	id = strings.TrimPrefix(r.slipway("", "app", "run", app, "-v", "PUBLIC", "--wait", "-o", "name"), "instance/")
	url = r.origin + "/instance/" + id + "/"
	if mode == "DOMAIN" {
		url = strings.Replace(r.origin, "://", "://"+id+".", 1) + "/"
	}
	if text, err := r.visit(r.client(), url); err != nil || !strings.HasPrefix(text, "hello from i-"+id) {
		r.t.Fatalf("%s: %q, %v", url, text, err)
	}
	return id, url
}
