//go:build linux

package process

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// group is every process of one run, to be ended together, by hands.
type group struct {
	procgroup.Group
	t      *term
	cgroup *machine.Cgroup // of the run; nil is none
	kept   bool            // its leader is a keeper (package pair), which ends the others in their order
}

func (t *term) group(leader procgroup.Ident, marker string) group {
	return group{Group: procgroup.Group{Leader: leader, Mark: procgroup.Digest(marker)}, t: t}
}

// Members are also those that only the control group knows.
func (g group) Members() ([]procgroup.Proc, error) {
	members, err := g.Group.Members()
	if g.cgroup == nil || err != nil {
		return members, err
	}
	known := map[int]bool{}
	for _, p := range members {
		known[p.PID] = true
	}
	pids, err := g.cgroup.Processes()
	for _, pid := range pids {
		if p, err := procgroup.ReadProc(pid); !known[pid] && err == nil && !p.Zombie() {
			members = append(members, p)
		}
	}
	return members, err
}

// ask asks the group to end: all of it, or its keeper alone while there is one.
func (g group) ask() error {
	members, err := g.Members()
	if err != nil {
		return err
	}
	keeper := slices.IndexFunc(members, func(p procgroup.Proc) bool { return p.PID == g.Leader.PID && p.Start == g.Leader.Start })
	if g.kept && keeper >= 0 {
		members = members[keeper : keeper+1]
	}
	return g.send(unix.SIGTERM, members)
}

// signal sends sig to every member and returns how many there were.
func (g group) signal(sig unix.Signal) (int, error) {
	members, err := g.Members()
	if err != nil {
		return 0, err
	}
	return len(members), g.send(sig, members)
}

func (g group) send(sig unix.Signal, members []procgroup.Proc) error {
	if len(members) == 0 {
		return nil
	}
	order := hand.Signal{Number: sig}
	for _, p := range members {
		order.Processes = append(order.Processes, hand.Process{PID: p.PID, Start: p.Start})
	}
	if sig == unix.SIGKILL && g.cgroup != nil {
		order.Seal = g.cgroup.Seals()
	}
	g.t.at("signal: chosen")
	_, err := g.t.act(hand.Order{Signal: &order})
	return err
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
