//go:build linux

package procgroup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Socket is what the system says of one TCP socket. IPv4 addresses of IPv6
// sockets are IPv4 addresses.
type Socket struct {
	Local netip.AddrPort
	State uint8  // [Established], [Listening], …
	Inode uint64 // 0: nobody has accepted it, or its program has closed it

	Remote netip.AddrPort // by proc(5) alone

	// By Diag alone.
	Only6  bool // a listener on every address that IPv4 does not reach
	User   uint32
	Cookie uint64 // never used again while the machine runs
}

// The TCP states that matter here, as in include/net/tcp_states.h.
const (
	Established = 1
	SynReceived = 3
	Listening   = 10
)

// TCPSockets lists the TCP sockets of the network namespace that the process is
// in by proc_pid_net(5), those that listen before all others of their family.
func TCPSockets(pid int) ([]Socket, error) {
	var all []Socket
	for _, name := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if os.IsNotExist(err) && name == "tcp6" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		all = append(all, parseSockets(b)...)
	}
	return all, nil
}

// parseSockets passes over lines that it does not understand.
func parseSockets(b []byte) []Socket {
	var all []Socket
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		local, ok := parseHexAddress(f[1])
		remote, ok2 := parseHexAddress(f[2])
		state, err := strconv.ParseUint(f[3], 16, 8)
		inode, err2 := strconv.ParseUint(f[9], 10, 64)
		if ok && ok2 && err == nil && err2 == nil {
			all = append(all, Socket{Local: local, Remote: remote, State: uint8(state), Inode: inode})
		}
	}
	return all
}

// Listeners lists the listening TCP sockets of the network namespace that the
// process is in.
func Listeners(pid int) ([]Socket, error) {
	all, err := TCPSockets(pid)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(s Socket) bool { return s.State != Listening }), nil
}

// ListenersAt lists the TCP sockets that listen on a port, in the network
// namespace of this process: by Diag, and where netlink is forbidden by proc(5).
func ListenersAt(port int) ([]Socket, error) {
	var d Diag
	defer d.Close()
	found, err := d.ListenersAt(uint16(port))
	if err == nil {
		return found, nil
	}
	all, procErr := Listeners(os.Getpid())
	if procErr != nil {
		return nil, errors.Join(procErr, err)
	}
	return slices.DeleteFunc(all, func(s Socket) bool { return int(s.Local.Port()) != port }), nil
}

// parseHexAddress reads "0100007F:1F90": 32-bit words in the machine's order.
func parseHexAddress(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, _ := netip.AddrFromSlice(raw)
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), err == nil
}

// SocketsOf adds the inodes of the sockets that the process has open. It fails
// for a process that has ended, and for one of another user unless we are root.
func SocketsOf(pid int, into map[uint64]bool) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		to, err := os.Readlink(dir + "/" + name)
		if err != nil {
			continue
		}
		if s, ok := strings.CutPrefix(to, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				into[inode] = true
			}
		}
	}
	return nil
}

// Answers are the listeners that a connection to address reaches: those bound
// to it, or else those bound to every address.
func Answers(all []Socket, address netip.AddrPort) []Socket {
	var exact, any4, any6 []Socket
	for _, l := range all {
		switch ip := l.Local.Addr(); {
		case l.Local.Port() != address.Port():
		case ip == address.Addr():
			exact = append(exact, l)
		case ip.IsUnspecified() && ip.Is4():
			any4 = append(any4, l)
		case ip.IsUnspecified():
			any6 = append(any6, l)
		}
	}
	switch {
	case len(exact) > 0:
		return exact
	case address.Addr().Is4() && len(any4) > 0:
		return any4
	}
	return any6
}

// Owner is a process that has the socket open, for messages; 0 if unknown.
func Owner(inode uint64) (pid int, name string) {
	all, err := Processes()
	if err != nil {
		return 0, ""
	}
	for pid := range all {
		open := map[uint64]bool{}
		if SocketsOf(pid, open) == nil && open[inode] {
			b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
			return pid, strings.TrimSpace(string(b))
		}
	}
	return 0, ""
}
