package session

import (
	"context"
	"sync"
	"time"
)

// renewPause is how long nobody asks again for a newer pass after that failed, and
// maxAsks how many are asked for at once: beyond it the next request tries again.
const (
	renewPause = 15 * time.Second
	maxAsks    = 100
)

// renewal is the pass that is to take another one's place.
type renewal struct {
	mu     sync.Mutex
	asking bool
	after  time.Time // not before
	newer  *Known
}

// asks are those for newer passes that are under way.
type asks struct {
	ctx    context.Context // theirs
	cancel context.CancelFunc

	mu      sync.Mutex
	count   int
	running sync.WaitGroup
}

// begin runs ask beside, unless too many run or the end has come.
func (a *asks) begin(ask func(context.Context)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count == maxAsks || a.ctx.Err() != nil {
		return false
	}
	a.count++
	a.running.Go(func() {
		ask(a.ctx)
		a.mu.Lock()
		a.count--
		a.mu.Unlock()
	})
	return true
}

// Close ends the asks for newer passes, and waits for them.
func (c *Checker) Close() {
	c.asks.mu.Lock()
	c.asks.cancel()
	c.asks.mu.Unlock() // none begins after this
	c.asks.running.Wait()
}

// Renewed returns the pass that takes this one's place in the visitor's cookie, and
// for how many seconds it is good; "" as long as it is not time, or there is none
// yet. It does not wait: ask is called beside, one at a time for a pass, and not
// again soon after it failed. For the request that began it, coming is closed when
// there is an answer; else it is nil.
func (c *Checker) Renewed(k *Known, ask func(ctx context.Context, pass string) (*Known, error)) (pass string, seconds int, coming <-chan struct{}) {
	now := c.now()
	if !k.pass.Aging(now) {
		return "", 0, nil
	}
	r := &k.renewal
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newer != nil {
		return r.newer.token, r.newer.Seconds(now), nil
	}
	if r.asking || now.Before(r.after) {
		return "", 0, nil
	}
	done := make(chan struct{})
	r.asking = c.asks.begin(func(ctx context.Context) {
		defer close(done)
		newer, err := ask(ctx, k.token)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.asking = false
		if err != nil {
			r.after = c.now().Add(renewPause)
			return
		}
		r.newer = newer
	})
	if !r.asking {
		return "", 0, nil
	}
	return "", 0, done
}

// Seconds is how long the pass is still good.
func (k *Known) Seconds(now time.Time) int { return int(k.pass.Expires - now.Unix()) }
