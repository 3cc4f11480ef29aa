package e2e

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// pythonApp needs nothing but Python's standard library.
const pythonApp = `import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.environ['H2O_CLOUD_INSTANCE_ID']} {os.environ.get('H2O_WAVE_BASE_URL', '-')} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
`

const pythonRuntime = "AppMode = \"python\"\nModule = \"app\""

// TestPythonAppsRunInBothModes is the main job with the apps that it is for.
func TestPythonAppsRunInBothModes(t *testing.T) {
	t.Parallel()
	slipwaytest.Needs(t, "python3")
	s := up(t)
	files := map[string]string{"app.py": pythonApp}
	domain := s.run(app{Name: "domain", Runtime: pythonRuntime, Files: files})
	base := s.run(app{Name: "base", Mode: "BASE_URL", Runtime: pythonRuntime, Files: files})
	prefix := "/instance/" + base.ID + "/"
	tests := []struct{ name, host, target, want string }{
		{"DOMAIN", domain.ID, "/a%2f..%2fb;c/%2e%2e/d?x=%00;y", domain.ID + " - "},
		{"BASE_URL", "", prefix + "a%2fb;c?x=%00;y", base.ID + " " + prefix + " "},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			if a := s.get(s.host(x.host), x.target); a.status != 200 || string(a.body) != x.want+x.target {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	t.Run("a visit wakes it", func(t *testing.T) {
		s.sleep(base.ID)
		if a := s.get(s.host(""), prefix); a.status != 200 {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// TestPythonRequirementsAreInstalled uses a wheel in the bundle, so that no
// index is asked. Where the test runs as root, the instance has a user of its own.
func TestPythonRequirementsAreInstalled(t *testing.T) {
	t.Parallel()
	slipwaytest.Needs(t, "python3")
	dir := slipwaytest.Passable(t)
	s := newSlipway(t, "--no-sample")
	s.data = filepath.Join(dir, "data")
	s.start()
	const wheel = "wheels/slipway_greeting-1.0-py3-none-any.whl"
	in := s.run(app{Name: "wheel", Runtime: pythonRuntime, Files: map[string]string{
		"app.py":           "import slipway_greeting\nprint(slipway_greeting.TEXT)\n" + pythonApp,
		"requirements.txt": "./" + wheel + "\n", wheel: pythonWheel(t),
	}})
	if a := s.get(s.host(in.ID), "/"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if log := s.must("instance", "logs", in.ID); !strings.Contains(log, "greeting from a wheel") {
		t.Errorf("its log: %s", log)
	}
}

// pythonWheel is the smallest wheel that pip installs.
func pythonWheel(t *testing.T) string {
	t.Helper()
	const info = "slipway_greeting-1.0.dist-info/"
	files := []struct{ name, text string }{
		{"slipway_greeting.py", "TEXT = 'greeting from a wheel'\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: slipway-greeting\nVersion: 1.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", ""},
	}
	var record strings.Builder
	for _, f := range files[:3] {
		sum := sha256.Sum256([]byte(f.text))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.text))
	}
	files[3].text = record.String() + info + "RECORD,,\n"
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, f := range files {
		w, err := archive.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
