package identity

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// unshared reports whether no other socket can listen at the address beside
// this one. The kernel allows that only to sockets which all have SO_REUSEPORT
// and are of one user: so a socket of ours is refused exactly if a stranger's
// is. It is never connected to, for it never listens.
func unshared(l socket, address netip.AddrPort) bool {
	if l.User != uint32(os.Geteuid()) {
		return false
	}
	family := unix.AF_INET6
	if address.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) != nil {
		return false
	}
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}
	if address.Addr().Is4() {
		at = &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	}
	return errors.Is(unix.Bind(fd, at), unix.EADDRINUSE)
}

// nobody is the user of sockets whose user is not known.
const nobody = ^uint32(0)

// surveyProc is survey where netlink is forbidden or not there: by proc(5),
// which tells no cookies. It takes as long as the machine has TCP sockets.
func surveyProc(l link) (listeners []socket, peer socket, err error) {
	all, err := procgroup.TCPSockets(os.Getpid())
	if err != nil {
		return nil, socket{}, err
	}
	for _, s := range all {
		s.Cookie, s.User = s.Inode|1<<63, nobody
		switch {
		case s.State == procgroup.Listening && reaches(l.far, s):
			listeners = append(listeners, s)
		case s.State != procgroup.Listening && s.Local == l.far && s.Remote == l.near:
			peer = s
		}
	}
	return listeners, peer, nil
}
