package journey

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// installing is how long a start may take that installs packages: an app has them
// anew each time, unless it has a volume for them.
const installing = 5 * time.Minute

// runsBundles has a control plane run apps that come as bundles: pods fetch them
// at the node's address, where it answers too.
func (h *harbour) runsBundles(p *plane) {
	h.t.Helper()
	python, pod := clustertest.Image(h.t, clustertest.Python), clustertest.Image(h.t, clustertest.Pod)
	p.bind = clustertest.NodeAddress(h.t, h.admin.CoreV1())
	p.config += fmt.Sprintf(`
		runtime_version debian12 {
			default
			image %s
		}`, python)
	p.launcher += fmt.Sprintf(`
			image %s
			control_plane http://%s:%s`, pod, p.bind, p.port)
}

// command runs a command of slipway, as an admin who is signed in, in a folder;
// it returns what it prints.
func (h *harbour) command(dir string, args ...string) string {
	h.t.Helper()
	contexts := filepath.Join(h.dir, "cli.toml")
	if err := cli.WriteContext(contexts, h.origin, h.token); err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(h.t.Context(), slipwaytest.Binary, args...)
	var out, faults bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &faults
	cmd.Env = append(os.Environ(), "SLIPWAY_CONFIG="+contexts)
	if err := cmd.Run(); err != nil {
		h.t.Fatalf("slipway %s: %v\n%s%s", strings.Join(args, " "), err, &out, &faults)
	}
	return strings.TrimSpace(out.String())
}

// folder writes the files of an app; a name that ends in "*" is an executable
// file.
func (h *harbour) folder(files map[string]string) (dir string) {
	h.t.Helper()
	dir = h.t.TempDir()
	for name, text := range files {
		plain, executable := strings.CutSuffix(name, "*")
		path, mode := filepath.Join(dir, plain), os.FileMode(0o600)
		if executable {
			mode = 0o700
		}
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(text), mode)
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
	return dir
}

// launch packs files as a bundle, imports it and runs it, as docs/packaging.md
// tells; it waits until the instance is there.
func (h *harbour) launch(files map[string]string) *v1.Instance {
	h.t.Helper()
	dir := h.folder(files)
	bundle := h.command(dir, "bundle")
	_, app, _ := strings.Cut(h.command(dir, "bundle", "import", bundle, "-v", "PUBLIC", "-o", "name"), "/")
	_, id, _ := strings.Cut(h.command(dir, "app", "run", app, "-v", "PUBLIC", "--wait", "-o", "name"), "/")
	in, err := h.api().Instance(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return in
}

// wakes visits what sleeps until it answers: a visit is held for a minute, and
// told to come again after it.
func (p *plane) wakes(url string) (a answer) {
	p.t.Helper()
	for began := time.Now(); time.Since(began) < installing; {
		if a = p.visit(url); a.status == http.StatusOK {
			return a
		}
		if !away(a) {
			p.t.Fatalf("a visitor got %d (%v): %.200s", a.status, a.err, a.body)
		}
	}
	p.t.Fatalf("after %s it still does not answer: %d", installing, a.status)
	return a
}
