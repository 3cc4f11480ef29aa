//go:build linux

package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/environ"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

// program is what is executed for the app.
type program struct {
	path   string
	args   []string
	env    []string
	called string // in app.toml
	wave   *pair  // nil: it listens on the pod's port itself
}

// run writes what is secret, runs the app, and returns with its exit code.
func (s *step) run() (int, error) {
	var r inpod.Run
	if err := given(s.args[0], &r); err != nil {
		return 0, err
	}
	if err := write(r.App, r.Files); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Join(r.Work, filepath.Base(inpod.HomeDir)), 0o700); err != nil {
		return 0, fmt.Errorf("make home: %w", err)
	}
	p, err := s.program(&r)
	if err != nil {
		return 0, err
	}
	return s.keep(&r, p)
}

func (s *step) program(r *inpod.Run) (*program, error) {
	switch r.Mode {
	case controlplane.Python:
		p, err := pythonOf(r)
		if err == nil {
			// Unbuffered, so that the log has a line when the app prints it.
			p.args = []string{"-u", "-m", r.Module}
		}
		return p, err
	case controlplane.Wave:
		return s.waveOf(r)
	case controlplane.Binary:
		return binaryOf(r)
	}
	return nil, fmt.Errorf("run app: mode %q is not one of bundles", r.Mode)
}

// own is the environment that the app finds: the image's, and the pod's. The
// kubelet adds where the API server is, which is no business of an app's.
func own() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "KUBERNETES_") })
}

// pythonOf is the interpreter of the app's environment, else the image's.
func pythonOf(r *inpod.Run) (*program, error) {
	p := &program{env: own(), called: "python3"}
	if name := current(r.Env); name != "" {
		dir := filepath.Join(r.Env, name)
		p.path = venv.Interpreter(dir)
		p.env = environ.Prefer(environ.Merge(p.env, []string{"VIRTUAL_ENV=" + dir}), filepath.Join(dir, "bin"))
		return p, nil
	}
	ctx, cancel := asked()
	defer cancel()
	found, err := interpreter(ctx)
	p.path = found.Path
	return p, err
}

func binaryOf(r *inpod.Run) (*program, error) {
	if len(r.EntryPoint) == 0 {
		return nil, fail(controlplane.BadBundle, "app.toml names no Runtime.AppEntryPoint to run")
	}
	root, err := os.OpenRoot(r.App)
	if err != nil {
		return nil, fmt.Errorf("run app: %w", err)
	}
	defer root.Close()
	name := filepath.Clean(r.EntryPoint[0])
	p := &program{
		path: filepath.Join(r.App, name), args: slices.Concat(r.EntryPoint[1:], r.Args), env: own(),
		called: "Runtime.AppEntryPoint " + r.EntryPoint[0],
	}
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err == nil {
		err = root.Chmod(name, 0o755)
	}
	if err != nil {
		return nil, unstartable(p, err)
	}
	return p, nil
}

// unstartable types an error from executing what app.toml names.
func unstartable(p *program, err error) error {
	return fail(controlplane.BadBundle, "%s cannot be executed in the pod: %s", p.called, procgroup.Unrunnable(p.path, err))
}
