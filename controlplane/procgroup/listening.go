//go:build linux

package procgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenersAt lists the listening TCP sockets of a port, in the network namespace
// of this process. It asks sock_diag(7): that takes tens of microseconds, and
// proc(5), which walks the table of all connections too, milliseconds on a large
// machine. Where netlink is forbidden proc(5) answers.
func ListenersAt(port int) ([]Listener, error) {
	found, err := diagnose(port)
	if err == nil {
		return found, nil
	}
	all, procErr := Listeners(os.Getpid())
	if procErr != nil {
		return nil, errors.Join(procErr, err)
	}
	for _, l := range all {
		if int(l.Address.Port()) == port {
			found = append(found, l)
		}
	}
	return found, nil
}

func diagnose(port int) (found []Listener, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.Timeval{Sec: 1} // the kernel answers within the call that asks
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, fmt.Errorf("limit netlink: %w", err)
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		more, err := dumpListeners(fd, family, uint16(port))
		if err != nil {
			return nil, fmt.Errorf("ask for sockets: %w", err)
		}
		found = append(found, more...)
	}
	return found, nil
}

const (
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	questionSize = unix.SizeofNlMsghdr + 56
	answerSize   = 72 // inet_diag_msg
)

// dumpListeners sends an inet_diag_req_v2 and reads what is listed. The family is
// the number of the question too.
func dumpListeners(fd int, family uint8, port uint16) (found []Listener, err error) {
	var q [questionSize]byte
	order := binary.NativeEndian
	order.PutUint32(q[0:], questionSize)
	order.PutUint16(q[4:], diagByFamily)
	order.PutUint16(q[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	order.PutUint32(q[8:], uint32(family))
	q[16], q[17] = family, unix.IPPROTO_TCP
	order.PutUint32(q[20:], 1<<stateListen)
	binary.BigEndian.PutUint16(q[24:], port)
	if err := unix.Sendto(fd, q[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			switch {
			case m.Header.Seq != uint32(family):
			case m.Header.Type == unix.NLMSG_DONE:
				return found, nil
			case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
				return nil, unix.Errno(-int32(order.Uint32(m.Data)))
			case m.Header.Type == diagByFamily && len(m.Data) >= answerSize:
				if l := parseListener(m.Data); l.Address.Port() == port {
					found = append(found, l)
				}
			}
		}
	}
}

// parseListener reads an inet_diag_msg.
func parseListener(b []byte) Listener {
	ip := netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	if b[0] == unix.AF_INET {
		ip = netip.AddrFrom4([4]byte(b[8:12]))
	}
	return Listener{
		Address: netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[4:])),
		Inode:   uint64(binary.NativeEndian.Uint32(b[68:])),
	}
}
