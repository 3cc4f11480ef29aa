//go:build linux

package process

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

// listener is one TCP socket in state LISTEN.
type listener struct {
	address netip.AddrPort
	inode   uint64
}

// listeners lists the listening TCP sockets of the network namespace that the
// process is in.
func listeners(pid int) ([]listener, error) {
	var all []listener
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
func parseListeners(b []byte) []listener {
	var all []listener
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		address, ok := parseHexAddress(f[1])
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if ok && err == nil {
			all = append(all, listener{address, inode})
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

// socketsOf are the inodes of the sockets that the process has open.
func socketsOf(pid int, into map[uint64]bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	d, err := os.Open(dir)
	if err != nil {
		return // it ended, or it may not be looked into
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return
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
}

// answers are the listeners that a connection to address reaches: those bound
// to it, or else those bound to every address.
func answers(all []listener, address netip.AddrPort) []listener {
	var exact, any4, any6 []listener
	for _, l := range all {
		switch ip := l.address.Addr(); {
		case l.address.Port() != address.Port():
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

// owner is a process that has the socket open, for messages; 0 if unknown.
func owner(inode uint64) (pid int, name string) {
	all, err := processes()
	if err != nil {
		return 0, ""
	}
	for pid := range all {
		open := map[uint64]bool{}
		if socketsOf(pid, open); open[inode] {
			b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
			return pid, strings.TrimSpace(string(b))
		}
	}
	return 0, ""
}
