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
	"github.com/seed-dbc68772/slipway/controlplane/python"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

// environments are virtual environments of Python in DATA/envs/<key>/<nonce>,
// each built once for all instances that want the same. An environment is whole
// when it has the file .complete, which is written last. Who leads builds in
// folders of its own; a build that is cut off is deleted by who leads next.
type environments struct {
	t   *term
	dir string

	mu       sync.Mutex
	building map[string]*construction // by key
}

// construction is the building of an environment, of which all hear who wait
// for it.
type construction struct {
	over chan struct{} // closed at its end

	mu    sync.Mutex
	last  venv.Words
	hears map[*func(venv.Words)]struct{}
}

func newConstruction() *construction {
	return &construction{over: make(chan struct{}), hears: map[*func(venv.Words)]struct{}{}}
}

// hear has f called with the last words and with all that come, until leave
// returns.
func (c *construction) hear(f func(venv.Words)) (leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hears[&f] = struct{}{}
	if c.last != (venv.Words{}) {
		f(c.last)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.hears, &f)
	}
}

func (c *construction) say(w venv.Words) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = w
	for f := range c.hears {
		(*f)(w)
	}
}

func newEnvironments(t *term) *environments {
	return &environments{t: t, dir: filepath.Join(t.cfg.DataDir, "envs"), building: map[string]*construction{}}
}

// ensure returns the environment's folder, building it where it is not there.
// What pip says goes to envs/<key>.log and to output, and how far it is to say.
func (e *environments) ensure(ctx context.Context, p python.Interpreter, reqs python.Requirements, output *os.File, say func(venv.Words)) (string, *controlplane.Reason) {
	key := reqs.Key(p)
	if dir := e.find(key); dir != "" {
		return dir, nil
	}
	if why := e.t.exposes(); why != nil {
		return "", why
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.t.cfg.BuildTimeout,
		fmt.Errorf("the installation took longer than %s", e.t.cfg.BuildTimeout))
	defer cancel()
	mine, err := e.await(ctx, key, output, say)
	if err != nil {
		return "", reason(controlplane.Dependencies, "the Python environment cannot be built: %v", err)
	}
	defer e.done(key, mine)
	defer mine.hear(say)()
	if dir := e.find(key); dir != "" {
		return dir, nil
	}
	b := builder{e: e, key: key, nonce: rand.Text(), output: output}
	b.progress = venv.Progress{Wanted: reqs.Count(), Say: mine.say}
	dir := filepath.Join(e.dir, key, b.nonce)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", broken(fmt.Errorf("make folder of environment: %w", err))
	}
	if b.isolation, err = e.t.isolateBuild(key, filepath.Dir(dir)); err != nil {
		return "", broken(err)
	}
	why := b.build(ctx, p, reqs, dir)
	if err := b.isolation.end(); err != nil && why == nil {
		why = broken(err)
	}
	if why == nil {
		if err := markComplete(dir); err != nil {
			why = broken(fmt.Errorf("complete environment: %w", err))
		}
	}
	if why != nil {
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
func (e *environments) await(ctx context.Context, key string, output *os.File, say func(venv.Words)) (*construction, error) {
	for told := false; ; {
		e.mu.Lock()
		other, ok := e.building[key]
		if !ok {
			mine := newConstruction()
			e.building[key] = mine
			e.mu.Unlock()
			return mine, nil
		}
		e.mu.Unlock()
		if !told {
			told = true
			fmt.Fprintln(output, "slipway: another instance of this app installs its dependencies; waiting for it")
		}
		leave := other.hear(say)
		select {
		case <-other.over:
			leave()
		case <-ctx.Done():
			leave()
			return nil, context.Cause(ctx)
		}
	}
}

// done lets the next one have its turn.
func (e *environments) done(key string, mine *construction) {
	e.mu.Lock()
	delete(e.building, key)
	e.mu.Unlock()
	close(mine.over)
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

func (b *builder) build(ctx context.Context, p python.Interpreter, reqs python.Requirements, dir string) *controlplane.Reason {
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
	b.log, b.home, b.dir = log, tmp, filepath.Join(tmp, "wanted")
	if err := reqs.Copy(b.dir); err != nil {
		return broken(fmt.Errorf("copy requirements: %w", err))
	}
	if err := b.isolation.begin(tmp, b.dir); err != nil {
		return broken(err)
	}

	err = venv.Recipe{
		Interpreter: p, Requirements: reqs, From: b.dir, Dir: dir, Run: b.run, Said: b.said, Progress: &b.progress,
	}.Make(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, venv.ErrNoVenv):
		return reason(controlplane.Dependencies, "%v; install it with `apt-get install python3-venv`", err)
	case errors.Is(err, unix.ENOSPC):
		return noCapacity(err)
	}
	return reason(controlplane.Dependencies, "%v", err)
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
