package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

var (
	_ controlplane.Elector     = (*Store)(nil)
	_ controlplane.LeaderStore = (*Store)(nil)
)

const (
	// leaderTTL is how long the leadership of a process outlives it that was
	// killed or cut off.
	leaderTTL = 6 * time.Second
	// leaderMargin is how long before the end of its lease a leader gives up that
	// could not renew it: so that what it does has ended when another leads.
	leaderMargin = time.Second
	leaderRenew  = 1500 * time.Millisecond
	// leaderLook is how often a candidate looks who leads, beside watching: a
	// watch says nothing of a restored backup.
	leaderLook = 3 * time.Second
	// leaderCall bounds the calls of one attempt to get the leadership.
	leaderCall = 3 * time.Second
	// leaderPause is how long a leader that gave up by itself leaves it to others.
	leaderPause = 2 * time.Second
)

// epoch is the value of leader/epoch.
type epoch struct {
	Epoch int64 `json:"epoch"` // of the last leader
}

// Campaign implements controlplane.Elector. The leader is who has created
// leader/current, with a lease that it renews.
func (s *Store) Campaign(ctx context.Context, c controlplane.Candidate) {
	e := election{store: s, Candidate: c}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 50*time.Millisecond, 2*time.Second
	for told := false; ctx.Err() == nil; {
		t, other, err := e.stand(ctx)
		if err == nil {
			wait.Reset()
			told = false
		}
		switch {
		case ctx.Err() != nil:
			if t != nil {
				e.giveUp(ctx, t.lease)
			}
		case err != nil:
			if !told {
				s.log.Warn("no leader can be elected now, will go on trying", zap.Error(err))
				told = true
			}
			sleep(ctx, wait.NextBackOff())
		case t == nil:
			c.Follow(other.name)
			s.awaitVacancy(ctx, other.seen)
		default:
			t.serve(ctx, c.Lead)
			e.giveUp(ctx, t.lease)
			if ctx.Err() == nil && !t.lost {
				sleep(ctx, leaderPause)
			}
		}
	}
}

// election is a candidate's part in it.
type election struct {
	store *Store
	controlplane.Candidate
	left clientv3.LeaseID // of ours, that may still hold the leadership
}

// incumbent is another leader.
type incumbent struct {
	name string
	seen int64 // the store's revision at which it led
}

// stand tries once to get the leadership: a term of ours, or who has it.
func (e *election) stand(ctx context.Context) (*term, *incumbent, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderCall)
	defer cancel()
	s := e.store
	if e.left != 0 { // the store did not answer when it was given up
		if _, err := s.client.Revoke(ctx, e.left); err == nil {
			e.left = 0
		}
	}
	resp, err := s.client.Txn(ctx).Then(clientv3.OpGet(s.prefix+leaderKey), clientv3.OpGet(s.prefix+epochKey)).Commit()
	if err != nil {
		return nil, nil, err
	}
	if kvs := resp.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		var l controlplane.Leader
		if err := decode(leaderKey, kvs[0].Value, &l); err != nil {
			s.log.Error("leader refused", zap.Error(err))
		}
		return nil, &incumbent{l.Name, resp.Header.Revision}, nil
	}
	var last epoch
	var lastWritten int64
	if kvs := resp.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		if err := decode(epochKey, kvs[0].Value, &last); err != nil {
			return nil, nil, err
		}
		lastWritten = kvs[0].ModRevision
	}
	return e.create(ctx, nextEpoch(last.Epoch, time.Now()), lastWritten)
}

// nextEpoch follows the last one. A store that was restored from a backup, or
// is new, has forgotten epochs that launchers know: the clock is beyond those.
func nextEpoch(last int64, now time.Time) int64 { return max(last+1, now.UnixMilli()) }

// create makes the key, unless another has since, or has taken this epoch.
func (e *election) create(ctx context.Context, next, lastWritten int64) (*term, *incumbent, error) {
	s, sent := e.store, time.Now()
	lease, err := s.client.Grant(ctx, int64(leaderTTL/time.Second))
	if err != nil {
		return nil, nil, err
	}
	value, err := encode(controlplane.Leader{Name: e.Name, Address: e.Address, Since: sent.UTC(), Epoch: next})
	if err != nil {
		return nil, nil, err
	}
	count, err := encode(epoch{next})
	if err != nil {
		return nil, nil, err
	}
	resp, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(s.prefix+leaderKey), "=", 0),
			clientv3.Compare(clientv3.ModRevision(s.prefix+epochKey), "=", lastWritten)).
		Then(clientv3.OpPut(s.prefix+leaderKey, string(value), clientv3.WithLease(lease.ID)),
			clientv3.OpPut(s.prefix+epochKey, string(count))).
		Commit()
	if err != nil || !resp.Succeeded { // after an error perhaps it was made
		e.giveUp(ctx, lease.ID)
		if err == nil {
			err = errors.New("another control plane was faster")
		}
		return nil, nil, err
	}
	return &term{
		store: s, lease: lease.ID, revision: resp.Header.Revision, epoch: next,
		until: sent.Add(time.Duration(lease.TTL)*time.Second - leaderMargin),
	}, nil, nil
}

// giveUp ends a lease of ours, and the leadership with it.
func (e *election) giveUp(ctx context.Context, lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	if _, err := e.store.client.Revoke(ctx, lease); err != nil && !isLeaseGone(err) {
		e.left = lease
	}
}

// awaitVacancy returns when the leadership may have ended that was there at
// this revision.
func (s *Store) awaitVacancy(ctx context.Context, seen int64) {
	ctx, cancel := context.WithTimeout(ctx, leaderLook)
	defer cancel()
	watch := s.client.Watch(clientv3.WithRequireLeader(ctx), s.prefix+leaderKey, clientv3.WithRev(seen+1), clientv3.WithFilterPut())
	for resp := range watch {
		if len(resp.Events) > 0 {
			return
		}
	}
	<-ctx.Done() // what ended the watch is the store's, and the next look says more
}

// Leader implements controlplane.LeaderStore.
func (s *Store) Leader(ctx context.Context) (*controlplane.Leader, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	resp, err := s.client.Get(ctx, s.prefix+leaderKey)
	if err != nil {
		return nil, storeError(err)
	}
	if len(resp.Kvs) == 0 {
		return nil, nil
	}
	l := new(controlplane.Leader)
	if err := decode(leaderKey, resp.Kvs[0].Value, l); err != nil {
		return nil, storeError(err)
	}
	return l, nil
}

// Vacate ends a leadership whose process is gone, before its lease does. It is
// for who knows that no other control plane of this store lives.
func (s *Store) Vacate(ctx context.Context) error {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	if _, err := s.client.Delete(ctx, s.prefix+leaderKey); err != nil {
		return fmt.Errorf("end the last leadership: %w", storeError(err))
	}
	return nil
}
