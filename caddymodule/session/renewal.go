package session

import (
	"sync"
	"time"
)

// renewPause is how long nobody asks again for a newer pass after that failed.
const renewPause = 15 * time.Second

// renewal is the pass that is to take another one's place.
type renewal struct {
	mu     sync.Mutex
	asking bool
	after  time.Time // not before
	newer  *Known
}

// Renewed returns the pass that takes this one's place in the visitor's cookie,
// and for how many seconds it is good; "" as long as it is not time. ask is
// called by one request at a time, and not again soon after it failed.
func (c *Checker) Renewed(k *Known, ask func(pass string) (*Known, error)) (pass string, seconds int) {
	now := c.now()
	if !k.pass.Aging(now) {
		return "", 0
	}
	r := &k.renewal
	r.mu.Lock()
	newer := r.newer
	mine := newer == nil && !r.asking && !now.Before(r.after)
	r.asking = r.asking || mine
	r.mu.Unlock()
	if mine {
		var err error
		newer, err = ask(k.token)
		r.mu.Lock()
		r.asking = false
		if err != nil {
			newer, r.after = nil, c.now().Add(renewPause)
		}
		r.newer = newer
		r.mu.Unlock()
	}
	if newer == nil {
		return "", 0
	}
	return newer.token, newer.Seconds(now)
}

// Seconds is how long the pass is still good.
func (k *Known) Seconds(now time.Time) int { return int(k.pass.Expires - now.Unix()) }
