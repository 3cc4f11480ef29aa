//go:build linux

package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

var errRemoving = errors.New("the instance is being removed")

// instance is what the launcher knows of one instance: the newest generation
// seen and the newest run. Runs follow one another; each waits for the end of
// the one before.
type instance struct {
	l    *Launcher
	id   string
	dir  string
	logs *logs

	mu       sync.Mutex
	gone     chan struct{} // closed once a removal has ended
	state    state
	run      *run
	removing bool
}

func newInstance(l *Launcher, id string) *instance {
	dir := filepath.Join(l.cfg.DataDir, "instances", id)
	return &instance{
		l:    l,
		id:   id,
		dir:  dir,
		logs: newLogs(filepath.Join(dir, "logs"), l.cfg.LogLimit),
		gone: make(chan struct{}),
	}
}

// removal is closed once the removal under way has ended.
func (i *instance) removal() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.removing {
		done := make(chan struct{})
		close(done)
		return done
	}
	return i.gone
}

func (i *instance) current() *run {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.run
}

func (i *instance) start(w launcher.Workload) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.removing {
		return errRemoving
	}
	if w.Generation < i.state.Generation {
		return fmt.Errorf("start instance %s: generation %d: %w", i.id, w.Generation, launcher.ErrFenced)
	}
	if i.run != nil && !i.run.over() && i.run.state.Generation == w.Generation && !i.run.stopping() {
		return nil
	}
	if err := os.MkdirAll(i.dir, 0o700); err != nil {
		return &launcher.StartError{Reason: *broken(err), Err: fmt.Errorf("make instance folder: %w", err)}
	}
	next := newRun(i, w, i.run)
	seen := i.state
	seen.Generation = w.Generation
	if seen.Run != nil && seen.Run.Ended {
		seen.Run = nil // its end is told, and a start that is cut off has no facts
	}
	if err := writeState(i.dir, seen); err != nil {
		return &launcher.StartError{Reason: *broken(err), Err: err}
	}
	i.state = seen
	if i.run == nil || i.run.over() {
		next.tell(controlplane.StageScheduled)
	}
	if err := i.l.launch(next.loop); err != nil {
		return err
	}
	if i.run != nil {
		i.run.stop(i.run.state.StopGrace)
	}
	i.run = next
	return nil
}

func (i *instance) stop(ctx context.Context, generation int64, grace time.Duration) error {
	i.mu.Lock()
	if i.removing {
		i.mu.Unlock()
		return errRemoving
	}
	if generation < i.state.Generation {
		i.mu.Unlock()
		return fmt.Errorf("stop instance %s: generation %d: %w", i.id, generation, launcher.ErrFenced)
	}
	r := i.run
	if r != nil {
		r.stop(grace)
	}
	err := i.see(generation)
	i.mu.Unlock()
	if r != nil {
		if waitErr := r.await(ctx); waitErr != nil {
			return fmt.Errorf("stop instance %s: %w", i.id, waitErr)
		}
	}
	return err
}

// see fences what is older than generation. An instance that never started has
// no folder and is fenced in memory alone. The caller holds mu.
func (i *instance) see(generation int64) error {
	if generation <= i.state.Generation {
		return nil
	}
	i.state.Generation = generation
	if err := writeState(i.dir, i.state); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (i *instance) remove(ctx context.Context) error {
	i.mu.Lock()
	if i.removing {
		i.mu.Unlock()
		return errRemoving // and then remove what came after, which is nothing
	}
	i.removing = true
	r := i.run
	i.mu.Unlock()

	err := i.erase(ctx, r)
	i.l.mu.Lock()
	i.mu.Lock()
	if err == nil {
		i.l.facts.Forget(i.id)
		delete(i.l.instances, i.id)
		i.logs.end()
	} else {
		i.removing = false
	}
	done := i.gone
	i.gone = make(chan struct{})
	i.mu.Unlock()
	i.l.mu.Unlock()
	close(done)
	if err != nil {
		return fmt.Errorf("remove instance %s: %w", i.id, err)
	}
	return nil
}

func (i *instance) erase(ctx context.Context, r *run) error {
	if r != nil {
		r.stop(0)
		if err := r.await(ctx); err != nil {
			return err
		}
		if i.l.ctx.Err() != nil {
			return errClosed
		}
	}
	// Renamed first: a removal that is cut off must not leave half an instance.
	trash := filepath.Join(i.l.cfg.DataDir, "instances", trashPrefix+rand.Text())
	if err := os.Rename(i.dir, trash); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return removeTree(trash)
}

// record writes what has become of a run. A run that another has replaced has
// the record still: the next one begins when this one is over.
func (i *instance) record(r runState) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.state.Run = &r
	return writeState(i.dir, i.state)
}

const trashPrefix = ".removed-"

// removeTree is os.RemoveAll that also gets past folders without write
// permission, which a workload may have left.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	// WalkDir calls before it reads a folder, so that it can be opened then.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return errors.Join(err, os.RemoveAll(dir))
}
