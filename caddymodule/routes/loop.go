package routes

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// loop is one run of the feed into the table. Whatever goes wrong in it ends
// it, and nothing else: requests go on with the last table, and the next loop
// begins with a list.
type loop struct {
	live *Live
	list *listing // the one that comes in, written under live's mu; nil: none

	batches atomic.Int64  // begun
	done    atomic.Int64  // of them
	failed  chan struct{} // closed after a panic
}

// follow applies what the store says until ctx ends. A loop that panics or
// stands still is followed by another one.
func (l *Live) follow(ctx context.Context, source Source) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, time.Minute
	for ctx.Err() == nil {
		began := time.Now()
		l.runLoop(ctx, source)
		if ctx.Err() != nil {
			return
		}
		l.counts.restarts.Add(1)
		if time.Since(began) > 2*wait.MaxInterval {
			wait.Reset()
		}
		select {
		case <-time.After(wait.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// runLoop returns when ctx has ended, or when the loop is of no use any more.
// One that stands still is left behind: Go ends no goroutine. It can change
// nothing after that.
func (l *Live) runLoop(ctx context.Context, source Source) {
	r := &loop{live: l, failed: make(chan struct{})}
	l.mu.Lock()
	l.loop = r
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() { // ends with ctx, or is left behind
		defer close(ended)
		source.Follow(ctx, etcdstore.RoutesPrefix, etcdstore.FeedConfig{
			Paged: true, Heartbeat: l.config.Heartbeat, Heard: l.hear, Relist: l.relist,
			Jitter: func() time.Duration { return time.Duration(l.config.Rand() * float64(l.config.Jitter)) },
		}, r.take)
	}()
	const looks = 10 // a machine that slept has missed some of them: its clock alone says nothing
	tick := time.NewTicker(l.config.StuckAfter / looks)
	defer tick.Stop()
	for batch, seen := int64(0), 0; ; {
		select {
		case <-ended:
			return
		case <-r.failed:
			cancel()
			<-ended
			return
		case <-tick.C:
		}
		switch now := r.batches.Load(); {
		case now == r.done.Load():
			seen = 0
		case now != batch:
			batch, seen = now, 1
		default:
			if seen++; seen > looks {
				stacks := make([]byte, 64<<10)
				stacks = stacks[:runtime.Stack(stacks, true)]
				l.giveUp(r, time.Now().Add(-l.config.StuckAfter))
				l.log.Error("changes of routes are not applied: their loop stands still; another one is started, the last routes go on",
					zap.Duration("after", l.config.StuckAfter), zap.ByteString("stacks", stacks))
				return
			}
		}
	}
}

// giveUp leaves a loop behind, which can change nothing any more. The table is as
// it was at a time, until the next loop has a list.
func (l *Live) giveUp(r *loop, at time.Time) {
	l.behind.CompareAndSwap(0, at.UnixNano())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loop == r {
		l.loop = nil
	}
}

func (l *Live) isCurrent(r *loop) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loop == r
}

// take takes one batch of the feed, unless the loop was given up.
func (r *loop) take(b etcdstore.Batch) {
	l := r.live
	if !l.isCurrent(r) {
		return
	}
	r.batches.Add(1)
	defer r.done.Add(1)
	defer func() {
		if fault := recover(); fault != nil {
			l.giveUp(r, time.Now())
			l.log.Error("changes of routes cannot be applied: they are listed anew, the last routes go on",
				zap.Int64("revision", b.Revision), zap.Any("panic", fault), zap.ByteString("stack", debug.Stack()))
			close(r.failed)
		}
	}()
	l.take(r, b)
}
