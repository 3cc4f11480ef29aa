//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// environments are virtual environments of Python below DATA/envs, each built
// once for all instances that want the same. An environment is whole when it
// has the file .complete, which is written last; any other is built anew.
type environments struct {
	cfg    Config
	dir    string
	folder string
}

func newEnvironments(cfg Config, folder string) *environments {
	return &environments{cfg: cfg, dir: filepath.Join(cfg.DataDir, "envs"), folder: folder}
}

// ensure returns the environment's folder, building it where it is not there.
// What pip says goes to envs/<key>.log and to output.
func (e *environments) ensure(ctx context.Context, p python, reqs requirements, output *os.File) (string, *controlplane.Reason) {
	key := reqs.key(p)
	dir := filepath.Join(e.dir, key)
	if complete(dir) {
		return dir, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.BuildTimeout,
		fmt.Errorf("the installation took longer than %s", e.cfg.BuildTimeout))
	defer cancel()
	lock, err := e.lock(ctx, key, output)
	if err != nil {
		return "", reason(controlplane.Dependencies, "the Python environment cannot be built: %v", err)
	}
	defer lock.Close()
	if complete(dir) {
		return dir, nil
	}
	if err := removeTree(dir); err != nil {
		return "", broken(fmt.Errorf("remove unfinished environment: %w", err))
	}
	why := e.build(ctx, p, reqs, key, output)
	if why != nil {
		if err := removeTree(dir); err != nil {
			return "", broken(fmt.Errorf("remove unfinished environment: %w", err))
		}
		return "", why
	}
	return dir, nil
}

func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".complete"))
	return err == nil
}

// lock waits for its turn to build: flock is held by an open file, so that it
// excludes other goroutines as well as other processes.
func (e *environments) lock(ctx context.Context, key string, output *os.File) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(e.dir, key+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock environment: %w", err)
	}
	for told := false; ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock environment: %w", err), f.Close())
		}
		if !told {
			told = true
			fmt.Fprintln(output, "slipway: another instance of this app installs its dependencies; waiting for it")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		}
	}
}

func (e *environments) build(ctx context.Context, p python, reqs requirements, key string, output *os.File) *controlplane.Reason {
	dir := filepath.Join(e.dir, key)
	log, err := os.OpenFile(dir+".log", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return broken(fmt.Errorf("open environment's log: %w", err))
	}
	defer log.Close()
	tmp, err := os.MkdirTemp(e.dir, "tmp-")
	if err != nil {
		return broken(fmt.Errorf("make temporary folder: %w", err))
	}
	defer func() { _ = removeTree(tmp) }() // what stays is in the way of nothing
	b := builder{e: e, key: key, log: log, output: output, home: tmp, dir: reqs.dir}

	if err := b.run(ctx, p.path, "-m", "venv", dir); err != nil {
		if text := b.said(); strings.Contains(text, "ensurepip") || strings.Contains(text, "No module named") {
			return reason(controlplane.Dependencies,
				"%s cannot make virtual environments, since its module venv or ensurepip is missing; install it with `apt-get install python3-venv`", p.path)
		}
		return b.failed("python3 -m venv", err)
	}
	pip := []string{"-m", "pip", "install", "--disable-pip-version-check", "--no-input"}
	for _, d := range reqs.folders() {
		pip = append(pip, "--find-links", d)
	}
	pip = append(pip, "-r", "requirements.txt")
	interpreter := filepath.Join(dir, "bin", "python")
	if len(reqs.wheels) > 0 { // offline first
		err = b.run(ctx, interpreter, append(pip, "--no-index")...)
	}
	if len(reqs.wheels) == 0 || err != nil && ctx.Err() == nil {
		err = b.run(ctx, interpreter, pip...)
	}
	if err != nil {
		return b.failed("pip", err)
	}
	if err := markComplete(dir); err != nil {
		return broken(fmt.Errorf("complete environment: %w", err))
	}
	return nil
}

// markComplete writes the marker once all else is on the disk.
func markComplete(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return err
	}
	return writeDurably(filepath.Join(dir, ".complete"), nil)
}
