//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// group is every process of one run: those in the leader's session or process
// group, those that carry the run's marker in their environment, and the
// descendants of all of them.
type group struct {
	leader ident
	marker string
}

// members lists the group's processes that still run.
func (g group) members() ([]proc, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	return g.among(all), nil
}

func (g group) among(all map[int]proc) []proc {
	if g.leader.BootID != bootID() {
		return nil
	}
	// The kernel gives a number again only once no session and no group is
	// called by it: a stranger with the leader's number proves both empty.
	holder, held := all[g.leader.PID]
	reused := held && holder.start != g.leader.Start

	in := map[int]bool{}
	for pid, p := range all {
		switch {
		case pid <= 1 || pid == os.Getpid() || p.start < g.leader.Start:
		case !reused && (p.session == g.leader.PID || p.group == g.leader.PID):
			in[pid] = true
		default:
			if m, _ := markerOf(pid); m != "" && m == g.marker {
				in[pid] = true
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for pid, p := range all {
			if !in[pid] && in[p.parent] && pid != os.Getpid() {
				in[pid], grown = true, true
			}
		}
	}
	var found []proc
	for pid := range in {
		if p := all[pid]; !p.zombie() {
			found = append(found, p)
		}
	}
	return found
}

// signal sends sig to every member and returns how many there were.
func (g group) signal(sig unix.Signal) (int, error) {
	members, err := g.members()
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
			return fmt.Errorf("kill process group %d: %d processes are left: %w", g.leader.PID, n, ctx.Err())
		}
	}
}

// signalProc signals that very process, never another that got its number.
func signalProc(p proc, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	now, statErr := readProc(p.pid)
	switch {
	case errors.Is(err, unix.ESRCH), statErr != nil, now.start != p.start:
		return nil
	case err == nil:
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	default: // no pidfd here: the check above is all there is
		err = unix.Kill(p.pid, sig)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), p.pid, err)
	}
	return nil
}
