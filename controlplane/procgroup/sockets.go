//go:build linux

package procgroup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Listener is one TCP socket in state LISTEN.
type Listener struct {
	Address netip.AddrPort
	Inode   uint64
}

// Listeners lists the listening TCP sockets of the network namespace that the
// process is in.
func Listeners(pid int) ([]Listener, error) {
	var all []Listener
	for _, name := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, name))
		if os.IsNotExist(err) && name == "tcp6" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list listening sockets: %w", err)
		}
		all = append(all, parseListeners(b)...)
	}
	return all, nil
}

// parseListeners reads proc_pid_net(5) tcp and tcp6. Lines that it does not
// understand are no listeners.
func parseListeners(b []byte) []Listener {
	var all []Listener
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		address, ok := parseHexAddress(f[1])
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if ok && err == nil {
			all = append(all, Listener{address, inode})
		}
	}
	return all
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
func Answers(all []Listener, address netip.AddrPort) []Listener {
	var exact, any4, any6 []Listener
	for _, l := range all {
		switch ip := l.Address.Addr(); {
		case l.Address.Port() != address.Port():
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
