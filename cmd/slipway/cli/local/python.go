package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/python"
)

// interpreter is a Python, and the virtual environment that it is in, if any.
type interpreter struct {
	path string
	venv string
}

// into puts a virtual environment before all else.
func (p interpreter) into(env []string) []string {
	if p.venv == "" {
		return env
	}
	path, _ := lookup(env, "PATH")
	return merge(append(env, "VIRTUAL_ENV="+p.venv, "PATH="+filepath.Dir(p.path)+string(os.PathListSeparator)+path))
}

// python is the first python3 of the PATH, with the app's packages.
func (r *run) python(ctx context.Context) (interpreter, error) {
	const hint = "install it, with its module venv: apt-get install python3 python3-venv"
	found, err := exec.LookPath("python3")
	if err != nil {
		return interpreter{}, unusable(hint, "there is no python3 on the PATH")
	}
	p, err := python.Ask(ctx, found, nil)
	if err != nil {
		return interpreter{}, unusable(hint, "%v", err)
	}
	if !r.Bundle.HasRequirements {
		return interpreter{path: p.Path}, nil
	}
	reqs, err := python.ReadRequirements(r.appDir())
	if err != nil {
		return interpreter{}, fmt.Errorf("read requirements.txt: %w", err)
	}
	venv, err := r.environment(ctx, p.Path, filepath.Join(r.Cache, reqs.Key(p)), reqs.Folders(r.appDir()))
	if err != nil {
		return interpreter{}, err
	}
	return interpreter{path: interpreterOf(venv), venv: venv}, nil
}

func interpreterOf(venv string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(venv, "Scripts", "python.exe")
	}
	return filepath.Join(venv, "bin", "python")
}

const complete = ".complete"

// environment is the virtual environment in dir. Who makes it holds its lock;
// one that was not finished is made anew.
func (r *run) environment(ctx context.Context, interpreter, dir string, wheels []string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make Python environment: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("lock Python environment: %w", err)
	}
	defer unlock()
	builds, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("make Python environment: %w", err)
	}
	for _, b := range builds {
		old := filepath.Join(dir, b.Name())
		if _, err := os.Stat(filepath.Join(old, complete)); err == nil {
			return old, nil
		}
		if b.IsDir() {
			os.RemoveAll(old) // of a run that was killed
		}
	}
	venv := filepath.Join(dir, rand.Text())
	r.Say("installing the Python packages of requirements.txt, once for all runs with this list")
	if err = r.build(ctx, interpreter, venv, wheels); err == nil {
		err = os.WriteFile(filepath.Join(venv, complete), nil, 0o600)
	}
	if err != nil {
		os.RemoveAll(venv)
		return "", err
	}
	return venv, nil
}

// build makes an environment: with wheels in the bundle offline first, as the
// platform does.
func (r *run) build(ctx context.Context, interpreter, venv string, wheels []string) error {
	if err := r.step(ctx, interpreter, "-m", "venv", venv); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return unusable("apt-get install python3-venv", "make a virtual environment: %v", err)
	}
	pip := []string{"-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "-r", "requirements.txt"}
	for _, dir := range wheels {
		pip = append(pip, "--find-links", dir)
	}
	var err error
	if len(wheels) > 0 {
		err = r.step(ctx, interpreterOf(venv), append(pip, "--no-index")...)
	}
	if len(wheels) == 0 || err != nil && ctx.Err() == nil {
		err = r.step(ctx, interpreterOf(venv), pip...)
	}
	if err != nil && ctx.Err() == nil {
		err = unusable("pip's own words are above", "install the packages of requirements.txt: %v", err)
	}
	return err
}

// step runs a program in the app's folder with the developer's environment,
// which has the settings of pip. It does not outlive ctx.
func (r *run) step(ctx context.Context, path string, args ...string) error {
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env = r.appDir(), slices.Clone(r.Environ)
	cmd.Stdout, cmd.Stderr = r.Err, r.Err
	cmd.WaitDelay = time.Second
	g := &group{mark: "exec-" + rand.Text()}
	if err := g.start(cmd); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // ends with the program
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		for g.signal(true); g.alive(); time.Sleep(10 * time.Millisecond) {
			g.signal(true)
		}
		return cmp.Or(ctx.Err(), <-done) // not before its end
	}
}
