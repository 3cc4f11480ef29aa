//go:build linux

package procgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Diag asks the kernel about sockets by sock_diag(7), in the network namespace
// of this process. Any user may ask. A question takes microseconds, and proc(5),
// which walks the table of all connections, milliseconds on a large machine. The
// zero value is ready; its methods may be called from several goroutines.
type Diag struct {
	mu   sync.Mutex
	idle []*asker
}

// maxIdle is how many netlink sockets stay open between questions.
const maxIdle = 4

// patience bounds a question. The kernel answers within the call that asks.
const patience = time.Second

// asker is a netlink socket with its buffer.
type asker struct {
	fd  int
	seq uint32
	buf [32 << 10]byte
}

func (d *Diag) take() (*asker, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		a := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return a, nil
	}
	d.mu.Unlock()
	fd, err := openNetlink()
	if err != nil {
		return nil, err
	}
	return &asker{fd: fd}, nil
}

func openNetlink() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, fmt.Errorf("open netlink: %w", err)
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return -1, errors.Join(fmt.Errorf("limit netlink: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// give takes an asker back. One that failed may have an answer under way still.
func (d *Diag) give(a *asker, err error) {
	d.mu.Lock()
	if err == nil && len(d.idle) < maxIdle {
		d.idle = append(d.idle, a)
		a = nil
	}
	d.mu.Unlock()
	if a != nil {
		unix.Close(a.fd)
	}
}

// Close gives back what stays open between questions. More may be asked after it.
func (d *Diag) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.idle {
		unix.Close(a.fd)
	}
	d.idle = nil
}

// Find returns the socket that a segment from one address to another reaches:
// the connection's of these two, or else the listener that would take it. ok
// is false if there is none.
func (d *Diag) Find(from, to netip.AddrPort) (s Socket, ok bool, err error) {
	a, err := d.take()
	if err != nil {
		return Socket{}, false, err
	}
	q := question{family: family(to.Addr()), local: to, remote: from}
	err = a.ask(q, func(found Socket) { s, ok = found, true })
	if errors.Is(err, unix.ENOENT) {
		err = nil
	}
	d.give(a, err)
	return s, ok, err
}

// ListenersAt lists the sockets that listen on a port. It walks the whole table of
// listening sockets: tens of microseconds, a few for Find.
func (d *Diag) ListenersAt(port uint16) ([]Socket, error) {
	a, err := d.take()
	if err != nil {
		return nil, err
	}
	var all []Socket
	for _, f := range []uint8{unix.AF_INET, unix.AF_INET6} {
		q := question{family: f, states: 1 << Listening, local: netip.AddrPortFrom(netip.Addr{}, port)}
		if err = a.ask(q, func(s Socket) {
			if s.Local.Port() == port {
				all = append(all, s)
			}
		}); err != nil {
			break
		}
	}
	d.give(a, err)
	return all, err
}

func family(ip netip.Addr) uint8 {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// question is an inet_diag_req_v2. With states it asks for all that are in one
// of them, without for the one socket.
type question struct {
	family        uint8
	states        uint32
	local, remote netip.AddrPort
}

const (
	headerSize   = unix.SizeofNlMsghdr
	questionSize = headerSize + 56
	answerSize   = 72 // inet_diag_msg
	loopback     = 1  // the interface that all traffic within a machine takes

	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	skV6Only     = 11 // INET_DIAG_SKV6ONLY
)

func (a *asker) ask(q question, tell func(Socket)) error {
	a.seq++
	var b [questionSize]byte
	flags := uint16(unix.NLM_F_REQUEST)
	states := ^uint32(0)
	if q.states != 0 {
		flags |= unix.NLM_F_DUMP
		states = q.states
	}
	order := binary.NativeEndian
	order.PutUint32(b[0:], questionSize)
	order.PutUint16(b[4:], diagByFamily)
	order.PutUint16(b[6:], flags)
	order.PutUint32(b[8:], a.seq)
	b[16], b[17] = q.family, unix.IPPROTO_TCP
	order.PutUint32(b[20:], states)
	binary.BigEndian.PutUint16(b[24:], q.local.Port())
	binary.BigEndian.PutUint16(b[26:], q.remote.Port())
	putAddr(b[28:44], q.local.Addr())
	putAddr(b[44:60], q.remote.Addr())
	order.PutUint32(b[60:], loopback)
	order.PutUint64(b[64:], ^uint64(0)) // any cookie
	if err := unix.Sendto(a.fd, b[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("ask for sockets: %w", err)
	}
	for {
		n, _, err := unix.Recvfrom(a.fd, a.buf[:], 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("ask for sockets: %w", err)
		}
		if done, err := a.read(a.buf[:n], q, tell); done || err != nil {
			return err
		}
	}
}

// read takes the messages of one packet and reports whether it was the last.
func (a *asker) read(b []byte, q question, tell func(Socket)) (done bool, err error) {
	for len(b) >= headerSize {
		size := int(binary.NativeEndian.Uint32(b))
		if size < headerSize || size > len(b) {
			break
		}
		kind, body := binary.NativeEndian.Uint16(b[4:]), b[headerSize:size]
		own := binary.NativeEndian.Uint32(b[8:]) == a.seq
		b = b[min((size+3)&^3, len(b)):]
		switch {
		case !own:
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR && len(body) >= 4:
			return true, fmt.Errorf("ask for sockets: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(body))))
		case kind == diagByFamily && len(body) >= answerSize:
			tell(parseSocket(body))
			if q.states == 0 {
				return true, nil
			}
		}
	}
	return false, nil
}

// parseSocket reads an inet_diag_msg and the attributes behind it.
func parseSocket(b []byte) Socket {
	order := binary.NativeEndian
	s := Socket{
		State:  b[1],
		Local:  netip.AddrPortFrom(getAddr(b[0], b[8:24]), binary.BigEndian.Uint16(b[4:])),
		Cookie: order.Uint64(b[44:]),
		User:   order.Uint32(b[64:]),
		Inode:  uint64(order.Uint32(b[68:])),
	}
	for b = b[answerSize:]; len(b) >= 4; {
		size, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if size < 4 || size > len(b) {
			break
		}
		if kind == skV6Only && size > 4 {
			s.Only6 = b[4] != 0
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return s
}

func putAddr(b []byte, ip netip.Addr) {
	if ip.IsValid() {
		copy(b, ip.AsSlice())
	}
}

// getAddr is an address as Go writes it: an IPv4 address in a socket of both
// families is one of IPv4.
func getAddr(family uint8, b []byte) netip.Addr {
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}
