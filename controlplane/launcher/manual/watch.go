package manual

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
)

// watch is one generation of an instance. Its goroutine is the term's.
type watch struct {
	t      *term
	w      launcher.Workload
	target target
	prev   *watch

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	asked  bool
	ready  bool
	opened bool // its port accepted at least once
}

func newWatch(t *term, w launcher.Workload, at target) *watch {
	n := &watch{t: t, w: w, target: at, done: make(chan struct{})}
	if i := t.instances[w.InstanceID]; i != nil {
		n.prev = i.watch
	}
	n.ctx, n.cancel = context.WithCancel(t.Context())
	if n.prev == nil || n.prev.over() {
		n.tell(launcher.Fact{State: launcher.Starting, Stage: controlplane.StageScheduled})
	}
	return n
}

// end asks the watch to end on purpose.
func (n *watch) end() {
	n.mu.Lock()
	n.asked = true
	n.mu.Unlock()
	n.cancel()
}

// stop ends the watch and waits for that. A nil watch has ended.
func (n *watch) stop(ctx context.Context) error {
	if n == nil {
		return nil
	}
	n.end()
	select {
	case <-n.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop instance %s: %w", n.w.InstanceID, ctx.Err())
	}
}

func (n *watch) over() bool {
	select {
	case <-n.done:
		return true
	default:
		return false
	}
}

func (n *watch) tell(f launcher.Fact) {
	f.InstanceID, f.Generation = n.w.InstanceID, n.w.Generation
	n.t.Facts.Publish(f)
}

func (n *watch) loop() {
	defer close(n.done)
	defer n.cancel()
	if n.prev != nil {
		<-n.prev.done
		n.prev = nil
	}
	why := n.becomeReady()
	if why == nil && n.ctx.Err() == nil {
		n.ready = true
		why = n.stayReady()
	}
	n.mu.Lock()
	asked := n.asked
	n.mu.Unlock()
	switch {
	case asked:
		why = nil
	case n.t.Context().Err() != nil:
		return // resigned: what answers goes on
	}
	n.tell(launcher.Fact{State: launcher.Ended, WasReady: n.ready, Reason: why})
}

// becomeReady probes until the address answers. It returns nil then, and when
// the watch has ended.
func (n *watch) becomeReady() *controlplane.Reason {
	n.tell(launcher.Fact{State: launcher.Starting, Stage: controlplane.StageStarting})
	ctx, cancel := context.WithTimeout(n.ctx, n.w.HealthTimeout)
	defer cancel()
	var pace probe.Backoff
	var last error
	for {
		endpoint, err := n.probe(ctx)
		if err == nil {
			n.tell(launcher.Fact{State: launcher.Ready, Stage: controlplane.StageReady, Endpoint: endpoint})
			return nil
		}
		if _, ok := errors.AsType[forbiddenError](err); ok && ctx.Err() == nil {
			r := refusal(err)
			return &r
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if !pause(ctx, pace.Next()) {
			break
		}
	}
	if n.ctx.Err() != nil {
		return nil
	}
	code, what := controlplane.PortNeverOpened, "did not accept connections"
	if n.opened {
		code, what = controlplane.HealthTimeout, "did not answer "+n.w.HealthPath()+" with 2xx or 3xx"
	}
	return &controlplane.Reason{Code: code, Text: fmt.Sprintf("%s %s within %s: %v", n.target, what, n.w.HealthTimeout, last)}
}

// stayReady probes on until the address fails too often or the watch ends.
func (n *watch) stayReady() *controlplane.Reason {
	for failed := 0; pause(n.ctx, n.t.cfg.Interval); {
		_, err := n.probe(n.ctx)
		switch {
		case n.ctx.Err() != nil:
			return nil
		case err == nil:
			failed = 0
			continue
		}
		if _, ok := errors.AsType[forbiddenError](err); ok {
			r := refusal(err)
			return &r
		}
		if failed++; failed == failures {
			return &controlplane.Reason{
				Code: controlplane.Crashed,
				Text: fmt.Sprintf("%s stopped answering: %v", n.target, err),
			}
		}
	}
	return nil
}

// probe asks the target once, at the first of its addresses that answers.
func (n *watch) probe(ctx context.Context) (endpoint string, err error) {
	addresses, err := n.t.cfg.resolve(ctx, n.target)
	if err != nil {
		return "", err
	}
	for _, a := range addresses {
		if err = probe.Connect(ctx, a.String()); err != nil {
			continue
		}
		path := n.w.HealthPath()
		if path == "" {
			return a.String(), nil
		}
		if !n.opened {
			n.opened = true
			n.tell(launcher.Fact{State: launcher.Starting, Stage: controlplane.StageHealth})
		}
		if err = probe.Health(ctx, a.String(), n.target.String(), path); err == nil {
			return a.String(), nil
		}
	}
	return "", err
}

// pause reports whether ctx goes on after d.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
