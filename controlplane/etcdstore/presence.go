package etcdstore

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Presence is a key that is there while its process lives.
type Presence struct {
	Key   string     // relative to the store's prefix
	Value func() any // what to write now; an object
	// Changed wakes the writer when Value has something new. Nil: it never has.
	Changed <-chan struct{}
	// Apart is the least time between two writes; what changes meanwhile is
	// written once.
	Apart time.Duration
	// Reports are written beside the key. Nil: there are none.
	Reports *Reports
}

// presenceTTL is how long a key outlives a process that was killed.
const presenceTTL = 10 * time.Second

// takenRetry is how often to look whether another process has given up a key.
const takenRetry = 500 * time.Millisecond

// leaveLimit bounds the deletion of the key at the end: the lease does it too.
const leaveLimit = 2 * time.Second

var (
	errTaken     = errors.New("another process has this name, or had it until it was killed: it lives on until its lease ends")
	errLeaseLost = errors.New("the lease was lost")
)

// Present keeps the key until ctx ends, and then deletes it. A lost lease is
// made again. Where the key is another process's, it waits for the end of that
// one's lease. It blocks, and never gives up.
func (s *Store) Present(ctx context.Context, p Presence) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = 50 * time.Millisecond
	wait.MaxInterval = 5 * time.Second
	told := false
	for {
		err := s.present(ctx, p, func() { wait.Reset(); told = false })
		if ctx.Err() != nil {
			return
		}
		pause := takenRetry
		if !errors.Is(err, errTaken) {
			pause = wait.NextBackOff()
		}
		if !told {
			s.log.Warn("not known in the store, will go on", zap.String("key", p.Key), zap.Error(err))
			told = true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// present is one life of the key.
func (s *Store) present(ctx context.Context, p Presence, written func()) error {
	call, cancel := withTimeout(ctx)
	defer cancel()
	lease, err := s.client.Grant(call, int64(presenceTTL/time.Second))
	if err != nil {
		return err
	}
	defer func() {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
		defer cancel()
		_, _ = s.client.Revoke(leave, lease.ID) // it ends by itself too
	}()
	live, end := context.WithCancel(ctx)
	defer end()
	kept, err := s.client.KeepAlive(live, lease.ID)
	if err != nil {
		return err
	}
	k := &presentKey{store: s, Presence: p, lease: lease.ID}
	if err := k.write(ctx); err != nil {
		return err
	}
	written()
	return k.keep(ctx, kept)
}

type presentKey struct {
	Presence
	store    *Store
	lease    clientv3.LeaseID
	revision int64 // of our last write; 0: none
	reported bool  // there may be keys of a report
}

// write compares with our last write: a key that another process made
// meanwhile is not ours to change.
func (k *presentKey) write(ctx context.Context) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	value, err := encode(k.Value())
	if err != nil {
		return err
	}
	key := k.store.prefix + k.Key
	resp, err := k.store.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", k.revision)).
		Then(clientv3.OpPut(key, string(value), clientv3.WithLease(k.lease))).
		Commit()
	switch {
	case err != nil:
		return err
	case !resp.Succeeded && k.revision == 0:
		return errTaken
	case !resp.Succeeded:
		return errLeaseLost
	}
	k.revision = resp.Header.Revision
	return nil
}

// keep writes what changes until the lease or ctx ends.
func (k *presentKey) keep(ctx context.Context, kept <-chan *clientv3.LeaseKeepAliveResponse) error {
	var due <-chan time.Time
	if k.Reports != nil {
		tick := time.NewTicker(k.Reports.Every)
		defer tick.Stop()
		due = tick.C
		defer func() {
			if ctx.Err() != nil {
				k.lastReport(ctx)
			}
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-due:
			if err := k.report(ctx); err != nil {
				return err
			}
		case _, ok := <-kept:
			if !ok {
				return errLeaseLost
			}
		case <-k.Changed:
			if err := k.write(ctx); err != nil {
				return err
			}
			// What comes during the pause waits in the channel.
			select {
			case <-time.After(k.Apart):
			case <-ctx.Done():
				return nil
			}
		}
	}
}
