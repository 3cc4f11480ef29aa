//go:build linux

package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// ports hands out TCP ports that nobody uses. It stays outside the range that
// the kernel takes for outgoing connections: one of those could take the port
// before the workload does, and a probe could even connect to itself there.
//
// It goes through them in turn, so that a port which was given back is the last
// to be handed out again: somebody may still believe that it is another's.
type ports struct {
	low, high int

	mu   sync.Mutex
	next int          // to be tried
	held map[int]bool // handed out, their workloads not ended yet
}

func newPorts() *ports {
	low, high := 32768, 60999
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(b), &low, &high); err != nil {
			low, high = 32768, 60999 // the kernel's default
		}
	}
	p := &ports{held: map[int]bool{}}
	switch {
	case low >= 12000:
		p.low, p.high = 10000, low-1
	case high <= 63000:
		p.low, p.high = high+1, 65535
	default:
		p.low, p.high = 10000, 65535
	}
	p.next = p.low + rand.IntN(p.high-p.low+1)
	return p
}

func (p *ports) pick() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.high - p.low + 1 {
		port := p.next
		if p.next++; p.next > p.high {
			p.next = p.low
		}
		if !p.held[port] && bindable(port) {
			p.held[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("pick a port: none from %d to %d is free", p.low, p.high)
}

// hold keeps a port that an adopted workload was given.
func (p *ports) hold(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[port] = true
}

func (p *ports) release(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, port)
}

// bindable reports whether the port is free on every address. It only binds:
// nobody can connect meanwhile.
func bindable(port int) bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		if unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) == nil {
			err = unix.Bind(fd, &unix.SockaddrInet6{Port: port})
			if err == nil || errors.Is(err, unix.EADDRINUSE) {
				return err == nil
			}
		}
	}
	fd4, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd4)
	return unix.Bind(fd4, &unix.SockaddrInet4{Port: port}) == nil
}

// taken finds who listens on the port of the loopback or on every address.
func taken(port int) (procgroup.Socket, bool) {
	all, err := procgroup.ListenersAt(port)
	if err != nil {
		return procgroup.Socket{}, false
	}
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		if found := procgroup.Answers(all, netip.AddrPortFrom(ip, uint16(port))); len(found) > 0 {
			return found[0], true
		}
	}
	return procgroup.Socket{}, false
}
