package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/facts"
)

// yard is a launcher whose workloads are entries in memory, so that tests say
// when they are ready and when they end. It outlives managers.
type yard struct {
	hub *facts.Hub

	mu     sync.Mutex
	seen   map[string]int64    // newest generation
	runs   map[string]*running // what is alive
	starts map[string][]int64  // generations, in their order
	kept   map[string]bool     // whose files are there
	placed map[string]string   // launch profiles
	killed map[string]bool     // what Remove found alive
	// ready is how long a start takes to be ready; an hour: until answer.
	ready time.Duration
	// refuse, if set, types why nothing can be started.
	refuse *controlplane.Reason
}

type running struct {
	generation int64
	ready      bool
	workload   launcher.Workload
}

// workload is what it was started with.
func (y *yard) workload(id string) launcher.Workload {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.runs[id].workload
}

func newYard() *yard {
	return &yard{
		hub: facts.New(), seen: map[string]int64{}, runs: map[string]*running{},
		starts: map[string][]int64{}, kept: map[string]bool{},
		placed: map[string]string{}, killed: map[string]bool{}, ready: time.Millisecond,
	}
}

func endpoint(generation int64) string { return fmt.Sprintf("127.0.0.1:%d", 1000+generation) }

func (y *yard) Lead(context.Context, int64) error { return nil }

func (y *yard) Resign() {}

func (y *yard) Check(*controlplane.App) []controlplane.Reason { return nil }

func (y *yard) Start(ctx context.Context, w launcher.Workload) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if y.refuse != nil {
		return &launcher.StartError{Reason: *y.refuse}
	}
	id := w.InstanceID
	if w.Generation < y.seen[id] {
		return launcher.ErrFenced
	}
	if r := y.runs[id]; r != nil && r.generation == w.Generation {
		return nil
	}
	y.seen[id], y.kept[id], y.placed[id] = w.Generation, true, w.Profile
	y.starts[id] = append(y.starts[id], w.Generation)
	r := &running{generation: w.Generation, workload: w}
	y.runs[id] = r
	y.tell(launcher.Fact{InstanceID: id, Generation: w.Generation, State: launcher.Starting, Stage: controlplane.StageStarting})
	if y.ready < time.Hour {
		time.AfterFunc(y.ready, func() {
			y.mu.Lock()
			defer y.mu.Unlock()
			if y.runs[id] == r {
				y.answer(id)
			}
		})
	}
	return nil
}

// answer makes a workload ready. The mutex is held.
func (y *yard) answer(id string) {
	r := y.runs[id]
	r.ready = true
	y.tell(launcher.Fact{InstanceID: id, Generation: r.generation, State: launcher.Ready, Endpoint: endpoint(r.generation)})
}

// began lists what has been started and is not ready.
func (y *yard) began() (ids []string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for id, r := range y.runs {
		if !r.ready {
			ids = append(ids, id)
		}
	}
	return ids
}

func (y *yard) tell(f launcher.Fact) { y.hub.Publish(f) }

// crash ends a workload that nobody asked to end.
func (y *yard) crash(id string) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	r := y.runs[id]
	if r == nil {
		return false
	}
	delete(y.runs, id)
	y.tell(launcher.Fact{
		InstanceID: id, Generation: r.generation, State: launcher.Ended, WasReady: r.ready,
		Reason: &controlplane.Reason{Code: controlplane.Crashed, Text: "it ended"},
	})
	return true
}

func (y *yard) Stop(ctx context.Context, id string, generation int64, _ time.Duration) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if generation < y.seen[id] {
		return launcher.ErrFenced
	}
	y.seen[id] = generation
	if r := y.runs[id]; r != nil {
		delete(y.runs, id)
		y.tell(launcher.Fact{InstanceID: id, Generation: r.generation, State: launcher.Ended, WasReady: r.ready})
	}
	return nil
}

func (y *yard) Remove(ctx context.Context, id string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if r := y.runs[id]; r != nil {
		y.killed[id] = true
		delete(y.runs, id)
		y.tell(launcher.Fact{InstanceID: id, Generation: r.generation, State: launcher.Ended})
	}
	delete(y.kept, id)
	delete(y.seen, id)
	y.hub.Forget(id)
	return nil
}

func (y *yard) Observe(ctx context.Context) <-chan launcher.Fact { return y.hub.Observe(ctx) }

func (y *yard) Logs(context.Context, string, launcher.LogOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

func (y *yard) Close(context.Context, bool, time.Duration) error {
	y.hub.Close()
	return nil
}

// state is what is alive of an instance, and how often it was started.
func (y *yard) state(id string) (generation int64, ready bool, starts int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if r := y.runs[id]; r != nil {
		generation, ready = r.generation, r.ready
	}
	return generation, ready, len(y.starts[id])
}
