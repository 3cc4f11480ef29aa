package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// Config says what to run. Bundle, Port, Cache and Say are required.
type Config struct {
	Bundle *bundle.Bundle
	Port   int      // that it is reached at
	Args   []string // behind those of the manifest
	Env    []string // NAME=VALUE, over those of the manifest
	// Environ is the developer's environment, of which PATH and LANG are taken,
	// and variables in the place of secrets.
	Environ []string
	Cache   string // the folder of Python environments
	Out     io.Writer
	Err     io.Writer
	// Say writes a line for people, and Warn one of what is not as on the
	// platform.
	Say, Warn func(format string, args ...any)
	// Begin, when it is set, is told what is run, just before.
	Begin func(Begun)
	// Hurry, when it is closed or something comes, ends the grace period.
	Hurry func() (hurry <-chan os.Signal, stop func())
	// Grace is the time between asking processes to end and forcing them; 0 is
	// 10 s.
	Grace time.Duration
	// Impatient is when it says why an app does not answer; nil is 10 s after
	// the start.
	Impatient <-chan time.Time
}

// Run runs the app until it ends, or until ctx does: then it ends all of its
// processes, and returns ctx's error. An app that ends with a status above 0 is
// an error too.
func Run(ctx context.Context, c Config) error {
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if err := runnable(&c.Bundle.Manifest); err != nil {
		return err
	}
	if err := checkPort(c.Port); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "slipway-exec-")
	if err != nil {
		return fmt.Errorf("run app: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &run{Config: c, dir: dir, m: &c.Bundle.Manifest, ports: []int{c.Port}}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.sayWhatIsMissing()
	programs, err := r.programs(ctx)
	if err != nil {
		return err
	}
	if c.Begin != nil {
		c.Begin(r.begun(programs))
	}
	return r.supervise(ctx, programs)
}

// Begun is where an app runs, in paths of this machine.
type Begun struct {
	App      string // its folder
	Packages string // the virtual environment of its Python packages; empty: it has none
	Server   string // its Wave server; empty: it needs none
	Temp     string // its temporary folder
}

func (r *run) begun(programs []program) Begun {
	b := Begun{App: r.appDir(), Packages: r.packages, Temp: filepath.Join(r.dir, "tmp")}
	if r.m.Runtime.AppMode == controlplane.Wave {
		b.Server = programs[0].path
	}
	return b
}

// run is one run of an app.
type run struct {
	Config
	dir string
	m   *controlplane.Manifest

	ports    []int  // that open before the app is ready
	packages string // see Begun
}

func (r *run) appDir() string { return filepath.Join(r.dir, "app") }

// runnable says why an app cannot run here.
func runnable(m *controlplane.Manifest) error {
	no := func(format string, args ...any) error {
		return controlplane.Errorf(controlplane.CodeInvalid, "run app %s: "+format, append([]any{m.Name}, args...)...)
	}
	switch mode := m.Runtime.AppMode; {
	case m.Lifecycle == controlplane.Link:
		return no("it is a link to %s, and has nothing to run", m.LinkAddress)
	case mode == controlplane.Manual:
		return no("it runs already, at %s", m.Runtime.Address)
	case mode == controlplane.Container:
		return no("exec runs python, wave and binary, and no containers")
	}
	return nil
}

// prepare makes the folder that the app finds.
func (r *run) prepare(ctx context.Context) error {
	for _, name := range []string{"app", "home", "tmp"} {
		if err := os.Mkdir(filepath.Join(r.dir, name), 0o700); err != nil {
			return fmt.Errorf("run app: %w", err)
		}
	}
	if err := os.WriteFile(r.tokenFile(), nil, 0o600); err != nil {
		return fmt.Errorf("run app: %w", err)
	}
	if err := r.Bundle.Unpack(ctx, r.appDir()); err != nil {
		return err
	}
	root, err := os.OpenRoot(r.appDir())
	if err != nil {
		return fmt.Errorf("run app: %w", err)
	}
	defer root.Close()
	for _, f := range r.m.Files {
		if f.Secret != "" || filepath.IsAbs(f.Path) {
			continue // sayWhatIsMissing tells
		}
		if err := root.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
			return fmt.Errorf("write file %s: %w", f.Path, err)
		}
		if err := root.WriteFile(f.Path, []byte(f.Value), 0o600); err != nil {
			return fmt.Errorf("write file %s: %w", f.Path, err)
		}
	}
	return nil
}

// sayWhatIsMissing tells what the app asks for and does not get here.
func (r *run) sayWhatIsMissing() {
	for _, f := range r.m.Files {
		switch {
		case f.Secret != "" && !f.Optional:
			r.Warn("the file %s is not there: its content is a secret", f.Path)
		case f.Secret == "" && filepath.IsAbs(f.Path):
			r.Warn("the file %s is not there: only the platform can put it at an absolute path", f.Path)
		}
	}
	if mount := r.m.Runtime.VolumeMount; mount != "" {
		r.Warn("there is no volume at %s: only the platform can put one at an absolute path", mount)
	}
	if r.m.Runtime.ResourceVolumeSize != "" {
		r.Warn("there is no /resources: only the platform can put it at an absolute path")
	}
	if r.Bundle.HasPackages {
		r.Warn("packages.txt is not installed here")
	}
}

// program is one of the app's processes.
type program struct {
	path string
	args []string
	dir  string
	env  []string
	name string // for messages
}

// programs are the processes of the app, the one that serves its port first.
func (r *run) programs(ctx context.Context) ([]program, error) {
	env := r.environ()
	rt := r.m.Runtime
	if rt.AppMode == controlplane.Binary {
		path := filepath.Join(r.appDir(), filepath.Clean(rt.AppEntryPoint[0]))
		if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // it is a program
			return nil, fmt.Errorf("run AppEntryPoint %s: %w", rt.AppEntryPoint[0], err)
		}
		args := slices.Concat(rt.AppEntryPoint[1:], rt.AppArgs, r.Args)
		return []program{{path: path, args: args, dir: r.appDir(), env: env, name: rt.AppEntryPoint[0]}}, nil
	}
	p, err := r.python(ctx)
	if err != nil {
		return nil, err
	}
	env, r.packages = p.into(env), p.venv
	if rt.AppMode == controlplane.Wave {
		return r.wavePrograms(p, env)
	}
	// Unbuffered, so that a line is there when the app prints it.
	args := append([]string{"-u", "-m", rt.Module}, r.Args...)
	return []program{{path: p.path, args: args, dir: r.appDir(), env: env, name: "python3 -m " + rt.Module}}, nil
}

// errEnded is an app that ended by itself, and not well.
var errEnded = errors.New("the app ended")
