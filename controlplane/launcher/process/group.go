//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// group is every process of one run, to be ended together.
type group struct{ procgroup.Group }

func newGroup(leader procgroup.Ident, marker string) group {
	return group{procgroup.Group{Leader: leader, Mark: procgroup.Digest(marker)}}
}

// signal sends sig to every member and returns how many there were.
func (g group) signal(sig unix.Signal) (int, error) {
	members, err := g.Members()
	if err != nil {
		return 0, err
	}
	for _, p := range members {
		if err := signalProc(p, sig); err != nil {
			return len(members), err
		}
	}
	return len(members), nil
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

// signalProc signals that very process, never another that got its number.
func signalProc(p procgroup.Proc, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	now, statErr := procgroup.ReadProc(p.PID)
	switch {
	case errors.Is(err, unix.ESRCH), statErr != nil, now.Start != p.Start:
		return nil
	case err == nil:
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	default: // no pidfd here: the check above is all there is
		err = unix.Kill(p.PID, sig)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), p.PID, err)
	}
	return nil
}
