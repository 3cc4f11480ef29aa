package facts

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// Hub keeps the latest fact of each instance and streams them. Its methods may
// be called from several goroutines.
type Hub struct {
	mu        sync.Mutex
	latest    map[string]launcher.Fact
	observers map[*observer]struct{}
	closed    bool
	done      chan struct{}
	running   sync.WaitGroup
}

// New returns an empty hub.
func New() *Hub {
	return &Hub{
		latest:    map[string]launcher.Fact{},
		observers: map[*observer]struct{}{},
		done:      make(chan struct{}),
	}
}

// Publish makes f the latest fact of its instance. It never blocks on readers.
// A zero At becomes the present time.
func (h *Hub) Publish(f launcher.Fact) {
	if f.At.IsZero() {
		f.At = time.Now()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.latest[f.InstanceID] = f
	for o := range h.observers {
		o.put(f)
	}
}

// Forget drops the instance from what later observers begin with.
func (h *Hub) Forget(instanceID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.latest, instanceID)
}

// Observe streams facts until ctx or the hub ends, then closes the channel.
func (h *Hub) Observe(ctx context.Context) <-chan launcher.Fact {
	out := make(chan launcher.Fact)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(out)
		return out
	}
	o := &observer{facts: map[string]launcher.Fact{}, wake: make(chan struct{}, 1)}
	for _, id := range slices.Sorted(maps.Keys(h.latest)) {
		o.put(h.latest[id])
	}
	o.put(launcher.Fact{Synced: true})
	h.observers[o] = struct{}{}
	h.running.Go(func() {
		defer close(out)
		defer h.leave(o)
		o.pump(ctx, h.done, out)
	})
	return out
}

// Close closes every observer's channel and waits for their ends.
func (h *Hub) Close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	h.mu.Unlock()
	h.running.Wait()
}

func (h *Hub) leave(o *observer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.observers, o)
}

// observer is the queue of one reader: instances in the order of their oldest
// fact not taken, each with its latest. The empty ID stands for Synced.
type observer struct {
	mu    sync.Mutex
	order []string
	facts map[string]launcher.Fact
	wake  chan struct{}
}

func (o *observer) put(f launcher.Fact) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, queued := o.facts[f.InstanceID]; !queued {
		o.order = append(o.order, f.InstanceID)
	}
	o.facts[f.InstanceID] = f
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *observer) take() (launcher.Fact, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.order) == 0 {
		return launcher.Fact{}, false
	}
	id := o.order[0]
	o.order = o.order[1:]
	f := o.facts[id]
	delete(o.facts, id)
	return f, true
}

func (o *observer) pump(ctx context.Context, done <-chan struct{}, out chan<- launcher.Fact) {
	for {
		f, ok := o.take()
		if !ok {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				return
			case <-done:
				return
			}
		}
		select {
		case out <- f:
		case <-ctx.Done():
			return
		case <-done:
			return
		}
	}
}
