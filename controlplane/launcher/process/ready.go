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
	)
	for {
		address, own, stranger := r.openPort(ctx, g)
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
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			if ctx.Err() != context.DeadlineExceeded {
				return verdict{}
			}
			return verdict{reason: r.tooLate(g, opened, unhealthy)}
		}
	}
}

// openPort is openPort of the run's port, wherever that is. In a network of its
// own nobody else can listen.
func (r *run) openPort(ctx context.Context, g group) (address netip.AddrPort, own []uint64, stranger *procgroup.Socket) {
	if r.state.Address == "" {
		return openPort(ctx, g, r.state.Port)
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

// openPort connects to the port on the loopback and says whose socket answers:
// own are the inodes of the group's that listen there.
// Looking that up is dearer than connecting, and comes second.
func openPort(ctx context.Context, g group, port int) (address netip.AddrPort, own []uint64, stranger *procgroup.Socket) {
	for _, ip := range []netip.Addr{loopback4, loopback6} {
		at := netip.AddrPortFrom(ip, uint16(port))
		if closed(at) || probe.Connect(ctx, at.String()) != nil {
			continue
		}
		all, err := procgroup.ListenersAt(port)
		if err != nil {
			continue
		}
		found := procgroup.Answers(all, at)
		inodes := inodesOf(found)
		open, _ := g.Sockets(inodes...)
		other := slices.IndexFunc(inodes, func(inode uint64) bool { return !open[inode] })
		switch {
		case len(found) == 0:
		case other < 0:
			return at, inodes, nil
		default:
			stranger = &found[other]
		}
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
			if open[l.Inode] {
				at = append(at, l.Local.String())
			}
		}
		if len(at) > 0 {
			elsewhere = "; the app listens on " + strings.Join(at, ", ") + " instead"
		}
	}
	return portNeverOpened(r.state.Port, r.state.HealthTimeout, elsewhere)
}
