package journey

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// pythonApp says what it is, by a package that it depends on.
const pythonApp = `
import http.server, json, os, time
import greeting
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"instance": os.environ["H2O_CLOUD_INSTANCE_ID"], "uri": self.path, "listening_ns": listening, "says": greeting.text}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler)
listening = time.time_ns()
server.serve_forever()
`

// bundled are the files of an app, by how it runs.
var bundled = map[string]func(t *testing.T, version, mode string) map[string]string{
	"python": func(t *testing.T, version, mode string) map[string]string {
		return map[string]string{
			"app.toml": manifest("python", version, mode, "Module = \"main\""), "main.py": pythonApp, "requirements.txt": "greeting\n",
			"wheels/" + bundletest.WheelFile("greeting"): bundletest.Wheel(t, "greeting", fmt.Sprintf("text = 'version %s'\n", version)),
		}
	},
	"binary": func(t *testing.T, version, mode string) map[string]string {
		program, err := os.ReadFile(slipwaytest.Testapp)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{
			"app.toml": manifest("binary", version, mode, "AppEntryPoint = [\"./testapp\"]") +
				fmt.Sprintf("[[Env]]\nName = \"LISTEN_ON\"\nValue = \"0.0.0.0\"\n[[Env]]\nName = \"VERSION\"\nValue = \"version %s\"\n", version),
			"testapp*": string(program),
		}
	},
}

func manifest(appMode, version, mode, more string) string {
	return fmt.Sprintf("[App]\nName = \"%s-%s\"\nVersion = %q\n[Runtime]\nAppMode = %q\nRoutingMode = %q\nMemoryLimit = \"256Mi\"\nMemoryReservation = \"32Mi\"\n%s\n",
		appMode, strings.ToLower(strings.ReplaceAll(mode, "_", "-")), version, appMode, mode, more)
}

// TestABundleFromImportToEnd is what somebody does with an app of their own by
// the command line: nothing is left of it, nor of its versions.
func TestABundleFromImportToEnd(t *testing.T) {
	h := newHarbour(t, 1, (*harbour).runsBundles)
	p, pods := h.planes[0], h.watchPods(t)
	before := h.everything()
	for appMode, files := range bundled {
		for _, mode := range []string{"DOMAIN", "BASE_URL"} {
			t.Run(appMode+" "+mode, func(t *testing.T) {
				h := h.in(t)
				began := time.Now()
				one := h.launch(files(t, "1.0.0", mode))
				figure(t, "from a folder to DEPLOYED %s", time.Since(began).Round(time.Millisecond))
				if there := strings.Contains(one.URL, "/instance/"); there != (mode == "BASE_URL") {
					t.Errorf("the URL is %s", one.URL)
				}
				first := p.visit(one.URL)
				if got := first.said(t).Instance; got != one.ID || !bytes.Contains(first.body, []byte("version 1.0.0")) {
					t.Errorf("%s answers for %s: %.300s", got, one.ID, first.body)
				}
				h.command("", "instance", "suspend", one.ID, "--wait")
				if left := h.pods(); len(left) > 0 {
					t.Errorf("it sleeps and there are the pods %q", left)
				}
				began = time.Now()
				second := p.wakes(one.URL)
				figure(t, "a visit that wakes it %s", time.Since(began).Round(time.Millisecond))
				if s := second.said(t); s.Instance != one.ID || s.Listening == first.said(t).Listening {
					t.Errorf("%+v answers after %s was suspended", s, one.ID)
				}

				two := h.launch(files(t, "2.0.0", mode))
				h.command("", "admin", "alias", "create", "shop", one.ID, "True", "--wait")
				alias, err := h.api().Alias(t.Context(), "shop")
				if err != nil {
					t.Fatal(err)
				}
				assign := func() { h.command("", "admin", "alias", "assign", "shop", two.ID, "True", "--wait") }
				if mode == "DOMAIN" {
					l := p.visitors(4, alias.URL, nil)
					l.more(20)
					assign()
					l.more(20)
					l.stop()
				} else { // its address is the one by path, to which the alias sends visitors
					if a := p.follow(alias.URL); a.said(t).Instance != one.ID {
						t.Errorf("the alias leads to %.300s (%d)", a.body, a.status)
					}
					assign()
				}
				if a := p.follow(alias.URL); a.said(t).Instance != two.ID || !bytes.Contains(a.body, []byte("version 2.0.0")) {
					t.Errorf("the alias leads to %.300s (%d)", a.body, a.status)
				}
				h.command("", "admin", "alias", "delete", "shop")
				for _, id := range []string{one.ID, two.ID} {
					h.command("", "instance", "terminate", id, "--yes", "--wait")
				}
				if n := pods.runs(one.ID); n != 2 {
					t.Errorf("the first version had %d pods, want 2: of its start and of the wake", n)
				}
			})
		}
	}
	h.wantsAsBefore(before)
}
