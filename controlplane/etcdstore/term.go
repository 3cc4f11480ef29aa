package etcdstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// term is one leadership of this process.
type term struct {
	store    *Store
	lease    clientv3.LeaseID
	revision int64 // at which leader/current was created
	epoch    int64
	until    time.Time // when it is over unless it is renewed, by this process's clock
	lost     bool      // it ended against our will
}

var (
	errDeposed   = errors.New("the store says that it is over")
	errUnrenewed = errors.New("the store did not answer in time to renew it")
)

// serve calls lead, and renews the lease until that has returned.
func (t *term) serve(ctx context.Context, lead func(context.Context, controlplane.Leadership)) {
	leading, end := context.WithCancelCause(ctx)
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		if err := t.keep(renewing); err != nil {
			t.lost = true
			end(err)
			t.store.log.Warn("this control plane leads no more", zap.Int64("epoch", t.epoch), zap.Error(err))
		}
	})
	lead(leading, controlplane.Leadership{Epoch: t.epoch, Store: t.fenced(leading)})
	end(nil)
	stop()
	running.Wait()
}

// keep renews the lease until ctx ends, or the leadership: by the store's word,
// or by our clock before the lease can end in the store.
func (t *term) keep(ctx context.Context) error {
	const again = 200 * time.Millisecond // after a failure
	for pause := leaderRenew; ; {
		sleep(ctx, min(pause, time.Until(t.until)))
		if ctx.Err() != nil {
			return nil
		}
		err := t.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			pause = leaderRenew
		case errors.Is(err, errDeposed):
			return err
		case !time.Now().Before(t.until):
			return errUnrenewed
		default:
			pause = again
		}
	}
}

// renew renews the lease and looks whether the key is still ours: somebody may
// have deleted it, or a backup be restored that has it not. The client's own
// KeepAlive does not tell when it asked, from when the lease counts.
func (t *term) renew(ctx context.Context) error {
	ctx, cancel := context.WithDeadline(ctx, t.until)
	defer cancel()
	sent := time.Now()
	stream, err := etcdserverpb.NewLeaseClient(t.store.client.ActiveConnection()).LeaseKeepAlive(clientv3.WithRequireLeader(ctx))
	if err != nil {
		return err
	}
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(t.lease)}); err != nil {
		return err
	}
	kept, err := stream.Recv()
	if err != nil {
		return err
	}
	if kept.TTL <= 0 {
		return errDeposed
	}
	resp, err := t.store.client.Get(ctx, t.store.prefix+leaderKey)
	if err != nil {
		return err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != t.revision || clientv3.LeaseID(resp.Kvs[0].Lease) != t.lease {
		return errDeposed
	}
	t.until = sent.Add(time.Duration(kept.TTL)*time.Second - leaderMargin)
	return nil
}

// fenced is the store as the leader writes to it.
func (t *term) fenced(leading context.Context) *Store {
	s, key := *t.store, t.store.prefix+leaderKey
	s.recent = &recent{reads: map[string]read{}}
	s.fence = &fence{
		leading: leading, key: key,
		compares: []clientv3.Cmp{
			clientv3.Compare(clientv3.CreateRevision(key), "=", t.revision),
			// A restored backup counts revisions again.
			clientv3.Compare(clientv3.LeaseValue(key), "=", t.lease),
		},
		holds: func(r *etcdserverpb.RangeResponse) bool {
			return len(r.Kvs) == 1 && r.Kvs[0].CreateRevision == t.revision && clientv3.LeaseID(r.Kvs[0].Lease) == t.lease
		},
	}
	return &s
}

// fence lets transactions succeed only while a term lasts. Nil lets all.
type fence struct {
	leading  context.Context // of the term
	key      string
	compares []clientv3.Cmp
	holds    func(*etcdserverpb.RangeResponse) bool
}

// over is CodeDeposed once the term is over for this process.
func (f *fence) over() error {
	if f == nil || f.leading.Err() == nil {
		return nil
	}
	return deposed(context.Cause(f.leading))
}

// commit takes a transaction; ok is whether its own comparisons hold. The error
// is CodeDeposed where it failed for the end of the term.
func (s *Store) commit(ctx context.Context, compares []clientv3.Cmp, ops []clientv3.Op) (resp *clientv3.TxnResponse, err error) {
	f := s.fence
	if f == nil {
		return s.client.Txn(ctx).If(compares...).Then(ops...).Commit()
	}
	if err := f.over(); err != nil {
		return nil, err
	}
	resp, err = s.client.Txn(ctx).If(append(compares, f.compares...)...).Then(ops...).Else(clientv3.OpGet(f.key)).Commit()
	if err == nil && !resp.Succeeded && !f.holds(resp.Responses[0].GetResponseRange()) {
		return nil, deposed(errDeposed)
	}
	return resp, err
}

func deposed(cause error) error {
	return &controlplane.Error{
		Code: controlplane.CodeDeposed, What: "this control plane does not lead any more",
		Hint: "the one that leads goes on with it", Cause: cause,
	}
}

func isLeaseGone(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }
