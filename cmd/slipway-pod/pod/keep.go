//go:build linux

package pod

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	processpair "github.com/seed-dbc68772/slipway/controlplane/launcher/process/pair"
)

// passedOn are the signals that the app gets when slipway-pod does.
var passedOn = []os.Signal{
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH,
}

// keep runs the program until it ends, and returns its exit code.
func (s *step) keep(r *inpod.Run, p *program) (int, error) {
	// As process 1 it gets the orphans anyhow, and in tests it is to be no other.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("run app: %w", err)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append([]os.Signal{syscall.SIGCHLD}, passedOn...)...)
	defer signal.Stop(signals)
	// Not by package os, which would wait for the child beside reap.
	pid, err := syscall.ForkExec(p.path, append([]string{p.path}, p.args...), &syscall.ProcAttr{
		Dir: r.App, Env: p.env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return 0, unstartable(p, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var door sync.WaitGroup
	var opened bool // read once door is done
	if p.wave != nil {
		door.Go(func() { opened = s.open(ctx, r, *p.wave) })
	}
	status := await(pid, signals)
	cancel()
	door.Wait()
	_ = syscall.Kill(-pid, syscall.SIGKILL) // what of its group is left
	if p.wave != nil && status.ExitStatus() == processpair.ServerEnded {
		when := "before the app was ready"
		if opened {
			when = "while the app ran"
		}
		return 0, fail(controlplane.Crashed, "the Wave server ended %s; its last lines are in the instance's log", when)
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// await passes signals on and reaps until the child has ended.
func await(child int, signals <-chan os.Signal) syscall.WaitStatus {
	for {
		if status, over := reap(child); over {
			return status
		}
		if got := <-signals; got != syscall.SIGCHLD {
			_ = syscall.Kill(-child, got.(syscall.Signal)) // it may have ended just now
		}
	}
}

// reap takes in all that have ended, and reports whether the child has.
func reap(child int) (status syscall.WaitStatus, over bool) {
	for {
		var of syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &of, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || pid == 0:
			return status, over
		case pid == child:
			status, over = of, true
		}
	}
}
