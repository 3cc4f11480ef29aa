package identity

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// system asks Linux.
type system struct {
	diag  diag
	known memory
}

// diag says which sockets there are: procgroup.Diag.
type diag interface {
	Find(from, to netip.AddrPort) (s procgroup.Socket, ok bool, err error)
	ListenersAt(port uint16) ([]procgroup.Socket, error)
	Close()
}

func newSystem() system { return system{diag: &procgroup.Diag{}} }

func (s *system) close() { s.diag.Close() }

// stranger is the error for a socket that is not the instance's.
type stranger struct {
	inode uint64 // 0: not known
	why   string
}

func (e *stranger) Error() string { return e.why }

// who names the program that has the socket. It looks through all processes.
func (*system) who(err error) string {
	s, ok := errors.AsType[*stranger](err)
	if !ok || s.inode == 0 {
		return "not known"
	}
	pid, name := procgroup.Owner(s.inode)
	if pid == 0 {
		return "not known"
	}
	return fmt.Sprintf("process %d, %s", pid, name)
}

// socket is one at either end of it.
type socket = procgroup.Socket

// link is the connection in question: from here to the endpoint.
type link struct {
	near, far netip.AddrPort
	began     time.Time
	identity  string
}

func (s *system) check(conn net.Conn, began time.Time, identity string) error {
	near, ok := conn.LocalAddr().(*net.TCPAddr)
	far, ok2 := conn.RemoteAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return &stranger{why: "it is no TCP connection"}
	}
	l := link{near: plain(near), far: plain(far), began: began, identity: identity}
	// Who would take a connection from here now: no other one can have port 0.
	now, ok, err := s.diag.Find(netip.AddrPortFrom(l.near.Addr(), 0), l.far)
	if err == nil && ok && now.State == procgroup.Listening {
		if h, ok := s.known.recall(identity, now.Cookie); ok && h.own && h.sole && !h.seen.After(began) {
			return nil
		}
	}
	return s.look(l)
}

func plain(a *net.TCPAddr) netip.AddrPort {
	p := a.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

// look decides where no listener is known to be the only one.
func (s *system) look(l link) error {
	id, err := procgroup.Parse(l.identity)
	if err != nil {
		return err
	}
	if id.Boot != thisBoot() {
		return &stranger{why: "the instance runs on another machine, or ran before this one was started again"}
	}
	// The listeners first, the connection then: see the package's proof.
	listeners, peer, err := s.survey(l)
	if err != nil {
		return err
	}
	holders, unread := s.holders(l, id, listeners)
	own, before := 0, 0
	first := &stranger{why: "nothing of the instance's listens there"}
	for i, h := range holders {
		switch {
		case !h.own && first.inode == 0:
			first = &stranger{listeners[i].Inode, fmt.Sprintf("the socket %d that listens there is not the instance's", listeners[i].Inode)}
		case h.own:
			own++
			if !h.seen.After(l.began) {
				before++
			}
		}
	}
	all := len(holders) > 0 && own == len(holders)
	if all && before == own {
		return nil
	}
	if unaccepted(peer) {
		// One that is closed has no inode either, and the kernel reads the
		// inode after the state: so ask again.
		if peer, err = s.peer(l); err != nil {
			return err
		}
	}
	switch {
	case all && unaccepted(peer):
		return nil
	case peer.Inode == 0 && all:
		first.why = "the connection is closed already"
	case peer.Inode != 0 && (own > 0 || len(holders) == 0):
		// Whoever listens, this one was accepted.
		var open map[uint64]bool
		if open, unread = groupOf(id).Sockets(peer.Inode); open[peer.Inode] {
			return nil
		}
		first = &stranger{peer.Inode, fmt.Sprintf("the socket %d that answers is not the instance's", peer.Inode)}
	}
	if unread != nil {
		first.why += fmt.Sprintf(", as far as can be seen: %v; an edge needs the instances' user, or root", unread)
	}
	return first
}

// survey lists who listens, and says what has become of the other end since.
func (s *system) survey(l link) (listeners []socket, peer socket, err error) {
	if listeners, err = s.diag.ListenersAt(l.far.Port()); err != nil {
		return surveyProc(l)
	}
	listeners = slices.DeleteFunc(listeners, func(s socket) bool { return !reaches(l.far, s) })
	peer, err = s.peer(l)
	return listeners, peer, err
}

// peer is the other end; zero if it is gone.
func (s *system) peer(l link) (socket, error) {
	p, ok, err := s.diag.Find(l.near, l.far)
	switch {
	case err != nil:
		_, p, err = surveyProc(l)
		return p, err
	case !ok || p.State == procgroup.Listening:
		return socket{}, nil
	}
	return p, nil
}

// reaches reports whether a listener is bound to the address, or to all.
func reaches(address netip.AddrPort, l socket) bool {
	ip := l.Local.Addr()
	switch {
	case l.Local.Port() != address.Port():
		return false
	case !ip.IsUnspecified():
		return ip == address.Addr()
	case address.Addr().Is4():
		return !l.Only6
	}
	return ip.Is6()
}

// unaccepted reports whether a connection waits to be accepted.
func unaccepted(s socket) bool {
	return s.Inode == 0 && (s.State == procgroup.Established || s.State == procgroup.SynReceived)
}

// holders says of each listener whether it is the instance's. unread is why
// that could not be seen of all.
func (s *system) holders(l link, id procgroup.Identity, listeners []socket) (holders []holder, unread error) {
	seen := time.Now()
	holders = make([]holder, len(listeners))
	var unknown []uint64
	for i, sock := range listeners {
		h, ok := s.known.recall(l.identity, sock.Cookie)
		if !ok || !h.own && seen.Sub(h.seen) > strangerAge {
			h = holder{seen: seen, fresh: true}
			if slices.Contains(id.Sockets, sock.Inode) {
				h.own, h.seen = true, time.Time{} // since the launcher told of it
			} else {
				unknown = append(unknown, sock.Inode)
			}
		}
		holders[i] = h
	}
	var open map[uint64]bool
	if len(unknown) > 0 {
		open, unread = groupOf(id).Sockets(unknown...)
	}
	for i := range holders {
		h := &holders[i]
		if !h.fresh {
			continue
		}
		h.fresh = false
		h.own = h.own || open[listeners[i].Inode]
		h.sole = h.own && len(listeners) == 1 && unshared(listeners[i], l.far)
		s.known.keep(l.identity, listeners[i].Cookie, *h)
	}
	return holders, unread
}

func groupOf(id procgroup.Identity) procgroup.Group {
	return procgroup.Group{
		Leader: procgroup.Ident{PID: id.PID, Start: id.Start, BootID: procgroup.BootID()},
		Mark:   id.Mark,
	}
}
