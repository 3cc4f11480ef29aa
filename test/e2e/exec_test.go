package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestExecInstallsRequirementsOnce runs an app with a wheel twice: what the first
// run has installed is there for the second.
func TestExecInstallsRequirementsOnce(t *testing.T) {
	t.Parallel()
	slipwaytest.Needs(t, "python3")
	const wheel = "slipway_greeting-1.0-py3-none-any.whl"
	dir := folder(t, app{Name: "wheel", Runtime: pythonRuntime, Files: map[string]string{
		"app.py":           "import slipway_greeting\nprint(slipway_greeting.TEXT)\n" + pythonApp,
		"requirements.txt": wheel + "\n", wheel: pythonWheel(t),
	}})
	env := append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir(), "PIP_NO_INDEX=1")
	for _, installs := range []bool{true, false} {
		port := freePort(t)
		p := slipwaytest.Start(t, env, "exec", dir, "--port", port)
		t.Cleanup(p.Kill)
		// To make a virtual environment takes a slow machine longer than all else.
		at := "wheel 1.0.0 is at http://localhost:" + port + "/"
		for deadline := time.Now().Add(5 * time.Minute); !strings.Contains(p.Stderr.String(), at); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it does not say where the app is: %s", p.Stderr.String())
			}
		}
		answer, err := http.Get("http://127.0.0.1:" + port + "/")
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		answer.Body.Close()
		if said := p.Stdout.String(); !strings.Contains(said, "greeting from a wheel\n") {
			t.Errorf("it prints %q", said)
		}
		if said := p.Stderr.String(); strings.Contains(said, "installing the Python packages of requirements.txt") != installs {
			t.Errorf("it installs, not %t: %s", installs, said)
		}
		p.Signal(os.Interrupt)
		p.Exits(t, 130)
	}
}
