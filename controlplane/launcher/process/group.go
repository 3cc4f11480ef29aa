//go:build linux

package process

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// group is every process of one run, to be ended together, by hands.
type group struct {
	procgroup.Group
	t *term
}

func (t *term) group(leader procgroup.Ident, marker string) group {
	return group{procgroup.Group{Leader: leader, Mark: procgroup.Digest(marker)}, t}
}

// signal sends sig to every member and returns how many there were.
func (g group) signal(sig unix.Signal) (int, error) {
	members, err := g.Members()
	if err != nil || len(members) == 0 {
		return 0, err
	}
	order := hand.Signal{Number: sig}
	for _, p := range members {
		order.Processes = append(order.Processes, hand.Process{PID: p.PID, Start: p.Start})
	}
	g.t.at("signal: chosen")
	_, err = g.t.act(hand.Order{Signal: &order})
	return len(members), err
}

// kill sends SIGKILL until no member is left. Members that fork meanwhile are
// met in the next round.
func (g group) kill(ctx context.Context) error {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		n, err := g.signal(unix.SIGKILL)
		if n == 0 || err != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("kill process group %d: %d processes are left: %w", g.Leader.PID, n, ctx.Err())
		}
	}
}
