//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

var errRemoving = errors.New("the instance is being removed")

// instance is what the launcher knows of one instance: the newest generation
// seen and the newest run. Runs follow one another; each waits for the end of
// the one before.
type instance struct {
	t   *term
	id  string
	dir string

	mu       sync.Mutex
	gone     chan struct{} // closed once a removal has ended
	state    state
	run      *run
	removing bool
	tidy     bool   // no state of an earlier epoch is left
	bounded  string // the log of a run that is over, cut for the last time
}

func newInstance(t *term, id string) *instance {
	return &instance{t: t, id: id, dir: t.instanceDir(id), gone: make(chan struct{})}
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
	if err := i.write(seen); err != nil {
		return &launcher.StartError{Reason: *broken(err), Err: err}
	}
	i.t.at("start: accepted")
	if i.run == nil || i.run.over() {
		next.tell(controlplane.StageScheduled)
	}
	if !i.t.Go(next.loop) {
		return i.t.Over()
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
	i.t.at("stop: asked")
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
	seen := i.state
	seen.Generation = generation
	if err := i.write(seen); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	i.state = seen
	return nil
}

// write makes s the instance's state, on disk and in memory. The caller holds
// mu.
func (i *instance) write(s state) error {
	s.Place = i.t.folder
	if err := writeState(i.dir, i.t.leader.Epoch, s); err != nil {
		return err
	}
	i.state = s
	if i.tidy {
		return nil
	}
	i.tidy = true
	if err := removeStates(i.dir, i.t.leader.Epoch); err != nil { // they count for nothing
		i.t.cfg.Log.Warn("clear an instance's folder", zap.String("instance", i.id), zap.Error(err))
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
	i.t.mu.Lock()
	i.mu.Lock()
	if err == nil {
		i.t.Facts.Forget(i.id)
		delete(i.t.instances, i.id)
	} else {
		i.removing = false
	}
	done := i.gone
	i.gone = make(chan struct{})
	i.mu.Unlock()
	i.t.mu.Unlock()
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
	}
	i.t.at("remove: stopped")
	// Moved away first: a removal that is cut off must not leave half an
	// instance.
	if err := i.t.discard([]string{i.dir}); err != nil {
		return err
	}
	return i.t.users.Release(i.id) // when nothing is left that is the user's
}

// rotate makes the log of that name the newest. The one before is cut for the
// last time: nobody writes it any more.
func (i *instance) rotate(name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.state
	next.PreviousLog, next.Log = i.state.Log, name
	if err := i.write(next); err != nil || next.PreviousLog == "" {
		return err
	}
	if err := trim(filepath.Join(i.dir, "logs", next.PreviousLog), i.t.cfg.LogLimit); err != nil {
		i.t.cfg.Log.Error("bound a log", zap.String("instance", i.id), zap.Error(err))
	}
	return nil
}

// record writes what has become of a run. A run that another has replaced has
// the record still: the next one begins when this one is over.
func (i *instance) record(r runState) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.state
	next.Run = &r
	i.state.Run = &r // true, whether the disk has it or not
	return i.write(next)
}
