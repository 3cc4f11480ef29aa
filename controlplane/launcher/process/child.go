//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/environ"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/netns"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// child is a process that is waited for: started here, or adopted.
type child struct {
	procgroup.Ident
	fd  *os.File // a pidfd; nil where the kernel has none
	own bool     // started by this life of the control plane
}

// exit is how a process ended. known is false for one that another process
// had to wait for.
type exit struct {
	status unix.WaitStatus
	known  bool
}

// command is what to execute.
type command struct {
	path   string
	called string   // what messages call it
	args   []string // without the name
	dir    string
	env    []string

	confine *confine.Spec // nil: what the control plane may
	own     bool          // a part of this program, wherever its file is
	pair    bool          // it is the keeper of a Wave server and its app
	network *netns.Namespace
}

// spawn starts c as the leader of a session of its own, with no descriptors
// but /dev/null and output. A hand becomes it, if the term goes on; until it
// does, the hand carries the same marker.
func (t *term) spawn(c command, marker string, output *os.File) (*child, error) {
	const patience, pause = 5 * time.Second, 5 * time.Millisecond
	for began := time.Now(); ; time.Sleep(pause) {
		child, err := t.spawnOnce(c, marker, output)
		// For as long as another start is between its fork and its exec, it has
		// a copy of every descriptor of ours, also of a program that we have
		// just written, and the kernel refuses to execute that. (Go's issue
		// 22315 has the whole story.)
		if !errors.Is(err, syscall.ETXTBSY) || time.Since(began) > patience {
			t.notice(err)
			return child, err
		}
	}
}

func (t *term) spawnOnce(c command, marker string, output *os.File) (*child, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer null.Close()
	mark := procgroup.MarkerName + "=" + marker
	h, err := t.hire(hand.Order{Leader: t.leader, Execute: &hand.Execute{
		Path: c.path,
		Args: append([]string{c.path}, c.args...),
		Env:  environ.Merge(c.env, []string{mark}),

		Confine: c.confine,
		Own:     c.own,
	}}, os.ProcAttr{Dir: c.dir, Env: []string{mark}, Files: []*os.File{null, output, output}}, c.network.Files()...)
	if err != nil {
		return nil, err
	}
	t.at("start: ordered")
	// It is our child and not waited for, so that its number stays its own.
	stat, err := procgroup.ReadProc(h.process.Pid)
	if err == nil {
		_, err = h.outcome()
	} else {
		err = errors.Join(err, h.process.Kill(), h.answers.Close())
	}
	if err != nil {
		return nil, errors.Join(err, h.bury())
	}
	if err := h.process.Release(); err != nil {
		return nil, fmt.Errorf("release process: %w", err)
	}
	return &child{
		Ident: procgroup.Ident{PID: stat.PID, Start: stat.Start, BootID: procgroup.BootID()},
		fd:    pidfd(h.fd),
		own:   true,
	}, nil
}

// reaper waits for processes that a term has started and left: whoever leads
// now cannot, and what nobody waits for stays in the list of processes.
type reaper struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newReaper() *reaper {
	r := &reaper{}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

func (r *reaper) take(c *child) {
	r.running.Go(func() {
		defer c.close()
		_, _ = c.wait(r.ctx) // how it ended is no matter here
	})
}

func (r *reaper) close() {
	r.cancel()
	r.running.Wait()
}

// adopt makes a child of a running process that something else started. It
// returns nil when that very process does not run any more.
func adopt(i procgroup.Ident) *child {
	fd, err := unix.PidfdOpen(i.PID, 0)
	if err != nil {
		fd = -1
	}
	c := &child{Ident: i, fd: pidfd(fd)}
	if !i.Alive() {
		c.close()
		return nil
	}
	return c
}

func pidfd(fd int) *os.File {
	if fd < 0 || unix.SetNonblock(fd, true) != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
}

// close reaps the process once more, in case it ended unwatched.
func (c *child) close() {
	c.reap()
	if c.fd != nil {
		c.fd.Close()
	}
}

// wait returns when the process has ended, reaped where it is ours, or ctx
// has.
func (c *child) wait(ctx context.Context) (exit, error) {
	if c.fd == nil {
		return c.waitByPolling(ctx)
	}
	conn, err := c.fd.SyscallConn()
	if err != nil {
		return exit{}, fmt.Errorf("wait for process %d: %w", c.PID, err)
	}
	if err := c.fd.SetReadDeadline(time.Time{}); err != nil {
		return c.waitByPolling(ctx)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.fd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = conn.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return n > 0 && err == nil
	})
	switch {
	case ctx.Err() != nil:
		return exit{}, ctx.Err()
	case err != nil: // the deadline of an earlier wait came late, too
		return c.waitByPolling(ctx)
	}
	return c.reap(), nil
}

// waitByPolling is for kernels without pidfd.
func (c *child) waitByPolling(ctx context.Context) (exit, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for c.Alive() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return exit{}, ctx.Err()
		}
	}
	return c.reap(), nil
}

// reap collects the status of an ended process if it is a child of ours.
func (c *child) reap() exit {
	if c.fd != nil {
		conn, err := c.fd.SyscallConn()
		if err != nil {
			return exit{}
		}
		var ours bool
		err = conn.Control(func(fd uintptr) {
			ours = unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == nil
		})
		if err != nil || !ours {
			return exit{}
		}
	} else if !c.own {
		return exit{}
	}
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(c.PID, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return exit{status: status, known: err == nil && pid == c.PID}
	}
}
