//go:build linux

package process

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// awaitReady probes until the workload is ready or its time is over.
func (r *run) awaitReady(ctx context.Context, g group) verdict {
	ctx, cancel := context.WithDeadline(ctx, r.state.StartedAt.Add(r.state.HealthTimeout))
	defer cancel()
	var (
		pace      probe.Backoff
		unhealthy error
		strangers int
		opened    bool
		door      door
	)
	defer door.diag.Close()
	for {
		address, own, stranger := r.openPorts(ctx, g, &door)
		pause := knockPause(time.Since(r.state.StartedAt))
		switch {
		case own != nil:
			strangers = 0
			if r.state.HealthPath == "" {
				return verdict{endpoint: address.String(), sockets: own}
			}
			if !opened {
				opened = true
				r.tell(controlplane.StageHealth)
			}
			host := fmt.Sprintf("127.0.0.1:%d", r.state.Port)
			err := probe.Health(ctx, address.String(), host, r.state.HealthPath)
			if err == nil {
				return verdict{endpoint: address.String(), sockets: own}
			}
			if ctx.Err() == nil || unhealthy == nil {
				unhealthy = err
			}
			pause = pace.Next()
		case stranger != nil:
			// Once may be a process of ours that was just born.
			if strangers++; strangers > 1 {
				return verdict{stranger: stranger}
			}
			pause = pace.Next()
		}
		rest(ctx, pause)
		switch ctx.Err() {
		case nil:
		case context.DeadlineExceeded:
			return verdict{reason: r.tooLate(g, opened, unhealthy)}
		default:
			return verdict{}
		}
	}
}

// openPort is openPort of the run's port, wherever that is. In a network of its
// own nobody else can listen.
func (r *run) openPort(ctx context.Context, g group, door *door) (address netip.AddrPort, own []uint64, stranger *procgroup.Socket) {
	if r.state.Address == "" {
		return openPort(ctx, g, r.state.Port, door)
	}
	ip, err := netip.ParseAddr(r.state.Address)
	if err != nil {
		return address, nil, nil
	}
	address = netip.AddrPortFrom(ip, uint16(r.state.Port))
	if closed(address) || probe.Connect(ctx, address.String()) != nil {
		return address, nil, nil
	}
	return address, []uint64{}, nil
}

// openPort looks who listens on the port of the loopback: own are the inodes of
// the group's that listen there.
// Whose they are is dearer than that there is one, and comes second.
func openPort(ctx context.Context, g group, port int, door *door) (address netip.AddrPort, own []uint64, stranger *procgroup.Socket) {
	for i, ip := range []netip.Addr{loopback4, loopback6, loopback4} {
		if i == 2 && own == nil {
			break
		}
		at := netip.AddrPortFrom(ip, uint16(port))
		if !door.listens(ctx, at) {
			continue
		}
		all, err := door.listeners(port)
		if err != nil {
			continue
		}
		found := procgroup.Answers(all, at)
		inodes := inodesOf(found)
		open, _ := g.Sockets(inodes...)
		other := slices.IndexFunc(inodes, func(inode uint64) bool { return !open[inode] })
		switch {
		case len(found) == 0:
		case other >= 0:
			stranger = &found[other]
		case ip.Is4():
			return at, inodes, nil
		default: // one that is for both may have been opened between the two looks
			address, own = at, inodes
		}
	}
	if own != nil {
		return address, own, nil
	}
	return netip.AddrPort{}, nil, stranger
}

func inodesOf(sockets []procgroup.Socket) []uint64 {
	inodes := make([]uint64, len(sockets))
	for i, s := range sockets {
		inodes[i] = s.Inode
	}
	return inodes
}

// tooLate says what the workload had not come to in its time.
func (r *run) tooLate(g group, opened bool, unhealthy error) *controlplane.Reason {
	if opened {
		return reason(controlplane.HealthTimeout, "Runtime.HealthPath %s did not answer 2xx or 3xx within %s: %v",
			r.state.HealthPath, r.state.HealthTimeout, unhealthy)
	}
	elsewhere := ""
	if all, err := procgroup.Listeners(g.Leader.PID); err == nil {
		open, _ := g.Sockets(inodesOf(all)...)
		var at []string
		for _, l := range all {
			if open[l.Inode] && (r.state.AppPort == 0 || int(l.Local.Port()) != r.state.Port) {
				at = append(at, l.Local.String())
			}
		}
		if len(at) > 0 {
			elsewhere = "; the app listens on " + strings.Join(at, ", ") + " instead"
		}
	}
	if r.state.AppPort != 0 {
		return r.pairNeverOpened(elsewhere)
	}
	return portNeverOpened(r.state.Port, r.state.HealthTimeout, elsewhere)
}
