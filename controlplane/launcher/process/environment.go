//go:build linux

package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// environments are virtual environments of Python in DATA/envs/<key>/<nonce>,
// each built once for all instances that want the same. An environment is whole
// when it has the file .complete, which is written last. Who leads builds in
// folders of its own; a build that is cut off is deleted by who leads next.
type environments struct {
	t   *term
	dir string

	mu       sync.Mutex
	building map[string]chan struct{} // by key, closed at the end of the build
}

func newEnvironments(t *term) *environments {
	return &environments{t: t, dir: filepath.Join(t.cfg.DataDir, "envs"), building: map[string]chan struct{}{}}
}

// ensure returns the environment's folder, building it where it is not there.
// What pip says goes to envs/<key>.log and to output.
func (e *environments) ensure(ctx context.Context, p python, reqs requirements, output *os.File) (string, *controlplane.Reason) {
	key := reqs.key(p)
	if dir := e.find(key); dir != "" {
		return dir, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.t.cfg.BuildTimeout,
		fmt.Errorf("the installation took longer than %s", e.t.cfg.BuildTimeout))
	defer cancel()
	built, err := e.await(ctx, key, output)
	if err != nil {
		return "", reason(controlplane.Dependencies, "the Python environment cannot be built: %v", err)
	}
	defer built()
	if dir := e.find(key); dir != "" {
		return dir, nil
	}
	b := builder{e: e, key: key, nonce: rand.Text(), output: output, dir: reqs.dir}
	dir := filepath.Join(e.dir, key, b.nonce)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", broken(fmt.Errorf("make folder of environment: %w", err))
	}
	if why := b.build(ctx, p, reqs, dir); why != nil {
		if err := removeTree(dir); err != nil {
			return "", broken(fmt.Errorf("remove unfinished environment: %w", err))
		}
		return "", why
	}
	return dir, nil
}

// find returns the folder of a whole environment, or nothing. Launchers that
// knew no epochs built in DATA/envs/<key> itself.
func (e *environments) find(key string) string {
	dir := filepath.Join(e.dir, key)
	if complete(dir) {
		return dir
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, b := range entries {
		if complete(filepath.Join(dir, b.Name())) {
			return filepath.Join(dir, b.Name())
		}
	}
	return ""
}

func complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".complete"))
	return err == nil
}

// await waits for its turn to build. The caller calls done.
func (e *environments) await(ctx context.Context, key string, output *os.File) (done func(), err error) {
	for told := false; ; {
		e.mu.Lock()
		other, ok := e.building[key]
		if !ok {
			mine := make(chan struct{})
			e.building[key] = mine
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.building, key)
				e.mu.Unlock()
				close(mine)
			}, nil
		}
		e.mu.Unlock()
		if !told {
			told = true
			fmt.Fprintln(output, "slipway: another instance of this app installs its dependencies; waiting for it")
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// leftovers are those of builds that were cut off, and the locks of launchers
// that knew no epochs.
func (e *environments) leftovers() []string {
	var paths []string
	entries, err := os.ReadDir(e.dir)
	for _, k := range entries {
		switch dir := filepath.Join(e.dir, k.Name()); {
		case strings.HasSuffix(k.Name(), ".lock"), strings.HasPrefix(k.Name(), "tmp-"):
			paths = append(paths, dir)
		case k.IsDir() && !complete(dir):
			builds, readErr := os.ReadDir(dir)
			err = errors.Join(err, readErr)
			for _, b := range builds {
				if !complete(filepath.Join(dir, b.Name())) {
					paths = append(paths, filepath.Join(dir, b.Name()))
				}
			}
		}
	}
	if err != nil {
		e.t.cfg.Log.Warn("clear the folder of Python environments", zap.Error(err))
	}
	return paths
}

func (b *builder) build(ctx context.Context, p python, reqs requirements, dir string) *controlplane.Reason {
	log, err := os.OpenFile(dir+".log", os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return broken(fmt.Errorf("open environment's log: %w", err))
	}
	defer log.Close()
	defer func() { _ = os.Rename(dir+".log", filepath.Join(b.e.dir, b.key+".log")) }() // for people
	tmp, err := os.MkdirTemp(b.e.dir, "tmp-")
	if err != nil {
		return broken(fmt.Errorf("make temporary folder: %w", err))
	}
	defer func() { _ = removeTree(tmp) }() // what stays is in the way of nothing
	b.log, b.home = log, tmp

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
	return hand.WriteDurably(filepath.Join(dir, ".complete"), nil)
}
