//go:build linux

package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// term is the time that a launcher leads: all that it knows of instances, and
// all that it does with them.
type term struct {
	*lead.Term
	base
	leader hand.Leader
	ports  *ports
	envs   *environments

	mu        sync.Mutex
	instances map[string]*instance
}

func newTerm(l *Launcher, epoch int64) *term {
	t := &term{
		Term:      lead.New(),
		base:      l.base,
		leader:    hand.Leader{Epoch: epoch, Nonce: rand.Text()},
		ports:     newPorts(),
		instances: map[string]*instance{},
	}
	t.envs = newEnvironments(t)
	return t
}

// begin becomes the folder's leader and takes over what runs.
func (t *term) begin(ctx context.Context) error {
	if _, err := t.act(hand.Order{Lead: true}); err != nil {
		return err
	}
	t.at("lead: fenced")
	if err := t.adoptAll(ctx); err != nil {
		return err
	}
	t.Go(t.boundLogs)
	return nil
}

// act has a hand do something in the term's name. Where another has led since,
// that ends the term, with launcher.ErrFenced.
func (t *term) act(o hand.Order) (hand.Answer, error) {
	o.Leader = t.leader
	a, err := t.order(o)
	t.notice(err)
	return a, err
}

// notice ends the term if that is what the error tells.
func (t *term) notice(err error) {
	if errors.Is(err, launcher.ErrFenced) {
		t.fence()
	}
}

// fence ends the term, since another one has begun elsewhere. What runs for it
// notices by its context.
func (t *term) fence() {
	if t.Depose() {
		t.cfg.Log.Warn("another control plane has taken over the instances", zap.Int64("epoch", t.leader.Epoch))
	}
}

func (t *term) stopAll(ctx context.Context, grace time.Duration) error {
	instances := t.list()
	for _, i := range instances {
		if r := i.current(); r != nil {
			r.stop(grace)
		}
	}
	for _, i := range instances {
		if r := i.current(); r != nil {
			if err := r.await(ctx); err != nil {
				return fmt.Errorf("stop workloads: %w", err)
			}
		}
	}
	return nil
}

// within calls f with the instance. Where a removal is under way, it waits for
// its end and begins with what comes after it.
func (t *term) within(ctx context.Context, id string, f func(*instance) error) error {
	for {
		i, err := t.instance(id)
		if err != nil {
			return err
		}
		if err = f(i); !errors.Is(err, errRemoving) {
			return err
		}
		select {
		case <-i.removal():
		case <-ctx.Done():
			return fmt.Errorf("await removal of instance %s: %w", id, ctx.Err())
		}
	}
}

// instance finds the instance, or begins one that has nothing on disk.
func (t *term) instance(id string) (*instance, error) {
	if err := t.Over(); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.instances[id]
	if !ok {
		i = newInstance(t, id)
		t.instances[id] = i
	}
	return i, nil
}

func (t *term) list() []*instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	instances := make([]*instance, 0, len(t.instances))
	for _, i := range t.instances {
		instances = append(instances, i)
	}
	return instances
}
