//go:build linux

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/environ"
	"github.com/seed-dbc68772/slipway/controlplane/python"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

// command says what to execute for the app, without the port.
func (r *run) command(root *os.Root, output *os.File) (command, *controlplane.Reason) {
	switch r.w.App.AppMode {
	case controlplane.Python:
		return r.pythonCommand(output)
	case controlplane.Wave:
		return r.waveCommand(output)
	}
	rt := r.w.App.Manifest.Runtime
	c := command{
		dir:    r.appDir(),
		env:    r.environ(),
		called: "Runtime.AppEntryPoint " + rt.AppEntryPoint[0],
	}
	if slices.Equal(rt.AppEntryPoint, sampleApp) {
		c.path, c.own = r.i.t.cfg.Self, true
		c.args = slices.Concat(sampleApp[1:], rt.AppArgs)
		return c, nil
	}
	name := filepath.Clean(rt.AppEntryPoint[0])
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err == nil {
		err = root.Chmod(name, 0o755)
	}
	if err != nil {
		return command{}, unstartable(c.called, filepath.Join(c.dir, name), err)
	}
	c.path = filepath.Join(c.dir, name)
	c.args = slices.Concat(rt.AppEntryPoint[1:], rt.AppArgs)
	return c, nil
}

func (r *run) pythonCommand(output *os.File) (command, *controlplane.Reason) {
	t := r.i.t
	p, note, err := t.python.nearest(r.w.Runtime)
	if err != nil {
		return command{}, reason(controlplane.Dependencies, "%v; install it with `apt-get install python3 python3-venv`", err)
	}
	if note != "" {
		r.warn(output, []string{note})
	}
	c := command{
		path:   p.Path,
		dir:    r.appDir(),
		env:    r.environ(),
		called: "python3",
		// Unbuffered, so that the log has a line when the app prints it.
		args: []string{"-u", "-m", r.w.App.Manifest.Runtime.Module},
	}
	reqs, err := python.ReadRequirements(c.dir)
	if err != nil {
		return command{}, reason(controlplane.BadBundle, "requirements.txt cannot be read: %v", err)
	}
	if !reqs.Any() {
		return c, nil
	}
	r.tell(controlplane.StageDependencies)
	env, why := t.envs.ensure(r.ctx, p, reqs, output, r.say)
	if why != nil {
		return command{}, why
	}
	c.path = venv.Interpreter(env)
	c.env = environ.Prefer(environ.Merge(c.env, []string{"VIRTUAL_ENV=" + env}), filepath.Join(env, "bin"))
	return c, nil
}

// environ is all that the workload gets, but for PORT and the marker: nothing
// is inherited from the control plane. The manifest may replace the first four.
func (r *run) environ() []string {
	cfg := r.i.t.cfg
	return environ.Merge([]string{
		"PATH=" + cfg.path(),
		"LANG=" + cfg.environ("LANG", "C.UTF-8"),
		"HOME=" + r.homeDir(),
		"TMPDIR=" + r.tempDir(),
	}, r.w.Env, []string{
		"SLIPWAY_TOKEN_FILE=" + r.tokenFile(),
	})
}

func portVariable(port int) string { return fmt.Sprintf("PORT=%d", port) }
