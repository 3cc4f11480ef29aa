package hold

import (
	"context"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// News waits until the table has something else than was for its instance, at
// most for limit, and returns what the table has then: nil if the instance is
// gone. It wakes nobody.
func (r *Room) News(ctx context.Context, was *routing.Instance, limit time.Duration) *routing.Instance {
	r.mu.Lock()
	g := r.enter(was.ID, "") // the request has been under way already
	r.mu.Unlock()
	defer r.leave(g, "")
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		changed, _ := r.next(g)
		now := r.house.Instance(was.ID)
		if now != was {
			return now
		}
		select {
		case <-changed:
		case <-deadline.C:
			return now
		case <-ctx.Done():
			return now
		}
	}
}
