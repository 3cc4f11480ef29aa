//go:build linux

package process

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

func reason(code controlplane.ReasonCode, format string, args ...any) *controlplane.Reason {
	return &controlplane.Reason{Code: code, Text: fmt.Sprintf(format, args...)}
}

// crashed says how a process ended that nobody had asked to.
func crashed(id string, e exit, ready bool) *controlplane.Reason {
	when := "before it was ready"
	if ready {
		when = "while it ran"
	}
	var how string
	switch {
	case !e.known:
		how = fmt.Sprintf("the process ended %s; its exit code is not known, since an earlier control plane had started it", when)
	case e.status.Signaled() && e.status.Signal() == unix.SIGKILL:
		how = fmt.Sprintf("the process was killed (SIGKILL) %s, maybe because the machine ran out of memory", when)
	case e.status.Signaled():
		how = fmt.Sprintf("the process ended by %s %s", unix.SignalName(e.status.Signal()), when)
	default:
		how = fmt.Sprintf("the process ended with exit code %d %s", e.status.ExitStatus(), when)
	}
	return reason(controlplane.Crashed, "%s; its last lines are in `slipway instance logs %s`", how, id)
}

// outOfMemory is for a run that the kernel has ended within its memory limit.
func outOfMemory(id, limit string) *controlplane.Reason {
	return reason(controlplane.OOM, "the app needed more memory than its limit, Runtime.MemoryLimit %s; its last lines are in `slipway instance logs %s`", limit, id)
}

// unconfinable types why a program could not be kept apart.
func unconfinable(f *hand.Fault) *controlplane.Reason {
	if r := noCapacity(f); r != nil {
		return r
	}
	if f.Confine == confine.StepMounts {
		return reason(controlplane.NeedsMountNamespace, "the app's files and volumes cannot be mounted: %s", f.Text)
	}
	return broken(f)
}

func portInUse(port int, l procgroup.Socket) *controlplane.Reason {
	by := ""
	if pid, name := procgroup.Owner(l.Inode); pid != 0 {
		by = fmt.Sprintf(" (process %d, %s)", pid, name)
	}
	return reason(controlplane.PortInUse, "another program%s listens on port %d, which app.toml fixes as Runtime.Port; leave Port out and listen on $PORT", by, port)
}

func portNeverOpened(port int, timeout time.Duration, elsewhere string) *controlplane.Reason {
	return reason(controlplane.PortNeverOpened, "nothing listened on port %d ($PORT) within %s%s", port, timeout, elsewhere)
}

// unstartable types an error from executing the program of a bundle, at path.
func unstartable(entry, path string, err error) *controlplane.Reason {
	if r := noCapacity(err); r != nil {
		return r
	}
	return reason(controlplane.BadBundle, "%s cannot be executed on this machine: %s", entry, procgroup.Unrunnable(path, err))
}

// noCapacity is the reason for an error that more room or rights to processes
// would mend, or nil.
func noCapacity(err error) *controlplane.Reason {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return reason(controlplane.NoCapacity, "the disk of the data folder is full")
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return reason(controlplane.NoCapacity, "the machine has no room for another process: %v", err)
	}
	return nil
}

// broken is for faults of the data folder that nobody foresaw.
func broken(err error) *controlplane.Reason {
	if r := noCapacity(err); r != nil {
		return r
	}
	return reason(controlplane.LauncherDown, "the process launcher cannot work: %v", err)
}
