//go:build linux

package process

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// Until its port is open a workload is asked often, since visitors wait for it:
// at first after minKnock, then after a quarter of a percent of what the start
// has taken, up to maxKnock.
const (
	minKnock = 250 * time.Microsecond
	maxKnock = 5 * time.Millisecond
)

// knockPause is how long to wait, this long after the start, before the port is
// tried again.
func knockPause(since time.Duration) time.Duration {
	return min(max(since/400, minKnock), maxKnock)
}

// rest waits that long, or a little longer after the end of ctx. The runtime
// counts timers in whole milliseconds while it has nothing else to do; a thread
// can be had for a pause as short as these.
func rest(ctx context.Context, pause time.Duration) {
	if pause < maxKnock {
		left := unix.NsecToTimespec(pause.Nanoseconds())
		_ = unix.Nanosleep(&left, nil) // a signal may end it early
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// door says who listens on this machine. The zero value is ready.
type door struct{ diag procgroup.Diag }

// listens reports whether somebody listens at an address. It asks the kernel,
// so that the app sees no connection that nobody uses; where that is forbidden it
// connects.
func (d *door) listens(ctx context.Context, at netip.AddrPort) bool {
	s, ok, err := d.diag.Find(netip.AddrPortFrom(at.Addr(), 0), at)
	switch {
	case err != nil:
		return !closed(at) && probe.Connect(ctx, at.String()) == nil
	case !ok || s.State != procgroup.Listening:
		return false
	case at.Addr().Is4():
		return true
	}
	return probe.Connect(ctx, at.String()) == nil // the machine may have no such address
}

// listeners are the sockets that listen on a port.
func (d *door) listeners(port int) ([]procgroup.Socket, error) {
	if all, err := d.diag.ListenersAt(uint16(port)); err == nil {
		return all, nil
	}
	return procgroup.ListenersAt(port)
}

// closed reports whether surely nobody listens at an address of this machine.
// It costs a fraction of a connection that may have to be waited for, and asks
// no scheduler: the kernel refuses within the call.
func closed(at netip.AddrPort) bool {
	family, peer := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, peer = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return family == unix.AF_INET6 && err == unix.EAFNOSUPPORT
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, peer); err {
	case nil:
		return false
	case unix.EINPROGRESS: // it may have been refused already
		refused, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		return err == nil && refused != 0
	default:
		return true
	}
}
