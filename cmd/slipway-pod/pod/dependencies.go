//go:build linux

package pod

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	"github.com/seed-dbc68772/slipway/controlplane/python"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

// dependencies makes the virtual environment of the app's requirements.txt, or
// finds the one that an earlier start has left on a volume of the instance.
func (s *step) dependencies() (int, error) {
	app, envs, scratch := s.args[0], s.args[1], s.args[2]
	ctx, cancel := asked()
	defer cancel()
	reqs, err := python.ReadRequirements(app)
	if err != nil {
		return 0, fail(controlplane.BadBundle, "requirements.txt cannot be read: %v", err)
	}
	if !reqs.Any() {
		return 0, keep(envs, "")
	}
	p, err := interpreter(ctx)
	if err != nil {
		return 0, err
	}
	// The key is an environment's name up to the dash.
	key := reqs.Key(p)[:32]
	if name := current(envs); strings.HasPrefix(name, key+"-") {
		s.say("the packages are those of the last start")
		return 0, keep(envs, name)
	}
	if err := keep(envs, ""); err != nil {
		return 0, err
	}
	name := key + "-" + rand.Text()
	home, err := os.MkdirTemp(scratch, "installation-")
	if err != nil {
		return 0, fmt.Errorf("prepare installation: %w", err)
	}
	defer os.RemoveAll(home)
	b := builder{step: s, home: home, from: filepath.Join(home, "wanted")}
	if err := reqs.Copy(b.from); err != nil {
		return 0, fmt.Errorf("copy requirements: %w", err)
	}
	b.how = venv.Progress{Wanted: reqs.Count(), Say: func(w venv.Words) { s.progress(w.Percent, w.Text) }}
	err = venv.Recipe{
		Interpreter: p, Requirements: reqs, From: b.from, Dir: filepath.Join(envs, name),
		Run: b.run, Said: func() string { return string(b.said) }, Progress: &b.how,
	}.Make(ctx)
	switch {
	case errors.Is(err, venv.ErrNoVenv):
		return 0, fail(controlplane.ImageInvalid, "in the image of the runtime version, %v; an admin sets an image that has them (setting runtime_version … image)", err)
	case errors.Is(err, syscall.ENOSPC):
		return 0, err
	case err != nil:
		return 0, fail(controlplane.Dependencies, "%v", err)
	}
	if err := os.WriteFile(filepath.Join(envs, inpod.Current+".new"), []byte(name), 0o644); err != nil {
		return 0, fmt.Errorf("complete environment: %w", err)
	}
	syscall.Sync() // it may be a volume that outlives the pod and its node
	if err := os.Rename(filepath.Join(envs, inpod.Current+".new"), filepath.Join(envs, inpod.Current)); err != nil {
		return 0, fmt.Errorf("complete environment: %w", err)
	}
	return 0, nil
}

// interpreter is the image's Python.
func interpreter(ctx context.Context) (python.Interpreter, error) {
	found, err := exec.LookPath("python3")
	if err != nil {
		return python.Interpreter{}, fail(controlplane.ImageInvalid, "the image of the runtime version has no python3 on its PATH; an admin sets one that has (setting runtime_version … image)")
	}
	p, err := python.Ask(ctx, found, nil)
	if err != nil {
		return p, fail(controlplane.ImageInvalid, "the python3 of the runtime version's image cannot be used: %v; an admin sets another image (setting runtime_version … image)", err)
	}
	return p, nil
}

// current is the name of the whole environment in a folder, or nothing.
func current(envs string) string {
	text, err := os.ReadFile(filepath.Join(envs, inpod.Current))
	if name := string(text); err == nil && filepath.IsLocal(name) && filepath.Base(name) == name {
		if info, err := os.Stat(filepath.Join(envs, name)); err == nil && info.IsDir() {
			return name
		}
	}
	return ""
}

// keep removes all environments but one, and what was cut off.
func keep(envs, name string) error {
	entries, err := os.ReadDir(envs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if name == "" || e.Name() != name && e.Name() != inpod.Current {
			err = errors.Join(err, os.RemoveAll(filepath.Join(envs, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("clear the folder of Python environments: %w", err)
	}
	return nil
}

// builder runs the steps of one installation.
type builder struct {
	*step
	home, from string // HOME and TMPDIR; where requirements.txt is
	said       []byte // the end of what the steps have written
	how        venv.Progress
}

// keptWords is how much of what steps write is kept, in bytes, and longestLine
// the longest line of it.
const (
	keptWords   = 64 << 10
	longestLine = 64 << 10
)

// run executes a step of the installation as a process group that ends with it.
func (b *builder) run(ctx context.Context, program string, args ...string) error {
	output, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.from, w, w
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.home, "TMPDIR=" + b.home, "LANG=C.UTF-8"}, venv.Settings(os.Environ())...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	heard := make(chan struct{})
	go func() { // ends with the last who has the pipe, or its deadline
		defer close(heard)
		b.hear(output)
	}()
	err = cmd.Wait()
	// Nothing of a step may write to the environment after it.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = output.SetReadDeadline(time.Now().Add(time.Second))
	<-heard
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, new(*exec.ExitError)):
		return venv.ErrStep
	}
	return err
}

// hear takes in what a step writes, line by line.
func (b *builder) hear(output io.Reader) {
	lines := bufio.NewReaderSize(output, longestLine)
	for {
		line, err := lines.ReadSlice('\n') // a longer one comes in parts
		if len(line) > 0 && !b.how.Line(string(line)) {
			_, _ = b.out.Write(line)
		}
		b.said = append(b.said, line...)
		if over := len(b.said) - keptWords; over > 0 {
			b.said = b.said[over:]
		}
		b.how.Look()
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}
