//go:build linux

package process

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Until its port is open a workload is asked often, since visitors wait for it:
// at first every minKnock, then half a percent of what the start has taken, up to
// maxKnock.
const (
	minKnock = time.Millisecond
	maxKnock = 5 * time.Millisecond
)

// knockPause is how long to wait, this long after the start, before the port is
// tried again.
func knockPause(since time.Duration) time.Duration {
	return min(max(since/200, minKnock), maxKnock)
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
