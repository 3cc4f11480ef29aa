//go:build linux

package netns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	handle "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// Default is the private network that namespaces get their addresses of, where
// the operator names no other.
var Default = netip.MustParsePrefix("10.213.0.0/16")

// linkPrefix begins the names of this machine's ends. What follows is the
// number of the /30, so that the kernel gives each to one namespace.
const linkPrefix = "slw-"

// inner is what the device inside is called.
const inner = "eth0"

// Networks makes namespaces. Make one with [New].
type Networks struct {
	prefix netip.Prefix
	table  string
}

// New checks the prefix, the zero one for [Default]: IPv4, and at least a /30.
// Several installations on a machine can share it; owner names this one.
func New(prefix netip.Prefix, owner string) (*Networks, error) {
	if !prefix.IsValid() {
		prefix = Default
	}
	if !prefix.Addr().Is4() || prefix.Bits() > 30 {
		return nil, fmt.Errorf("use network %s: it must be of IPv4 and at least a /30", prefix)
	}
	return &Networks{prefix.Masked(), table + "-" + owner}, nil
}

// Namespace is a network namespace that is held open.
type Namespace struct {
	// File is the namespace. A process that gets it as a descriptor joins it
	// by the path /proc/self/fd/NUMBER.
	File *os.File
	// Inside is the workload's address, Outside this machine's beside it.
	Inside, Outside netip.Addr
	// Link is this machine's end.
	Link string
}

// Files are what a process has to be given for it to join; nil has none.
func (n *Namespace) Files() []*os.File {
	if n == nil {
		return nil
	}
	return []*os.File{n.File}
}

// Close lets go of the namespace. It goes on while a process is in it.
func (n *Namespace) Close() error { return n.File.Close() }

// Probe says why no namespaces can be had here, or nil, by making one.
func (n *Networks) Probe() error {
	made, err := n.Make("slipway probe", 1)
	if err != nil {
		return err
	}
	return made.Close()
}

// Make makes a namespace whose port is reached at Inside. label is what people
// see as the alias of Link (`ip link`).
func (n *Networks) Make(label string, port int) (*Namespace, error) {
	made, err := n.make(label, port)
	if err != nil {
		return nil, fmt.Errorf("make network namespace: %w", err)
	}
	return made, nil
}

func (n *Networks) make(label string, port int) (*Namespace, error) {
	if err := n.conflict(); err != nil {
		return nil, err
	}
	made := &Namespace{}
	err := machine.OnThread(func() error {
		here, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer here.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if made.File, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		outside, err := netlink.NewHandleAt(handle.NsHandle(here.Fd()))
		if err != nil {
			return err
		}
		defer outside.Close()
		slot, err := n.pair(outside, made)
		if err == nil {
			err = n.outside(outside, made, slot, label)
		}
		if err == nil {
			err = made.inside(port)
		}
		if err != nil {
			return errors.Join(err, made.File.Close())
		}
		return nil
	})
	return made, err
}

// conflict finds another's route into the network.
func (n *Networks) conflict() error {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		ip, _ := netip.AddrFromSlice(r.Dst.IP.To4())
		ones, _ := r.Dst.Mask.Size()
		to := netip.PrefixFrom(ip, ones)
		if ones == 0 || !to.Overlaps(n.prefix) {
			continue
		}
		link, err := netlink.LinkByIndex(r.LinkIndex)
		if err != nil || strings.HasPrefix(link.Attrs().Name, linkPrefix) {
			continue // gone meanwhile, or ours
		}
		return fmt.Errorf("network %s is in use: there is a route to %s over %s; configure another", n.prefix, to, link.Attrs().Name)
	}
	return nil
}

// pair makes the devices, with the number of a /30 that nobody has. Numbers are
// drawn, so that an address is not soon another instance's: an edge may still
// believe it the former's.
func (n *Networks) pair(outside *netlink.Handle, made *Namespace) (slot uint32, err error) {
	const tries = 256
	slots := uint32(1) << (30 - n.prefix.Bits())
	for range tries {
		slot = rand.Uint32N(slots)
		made.Link = fmt.Sprintf("%s%x", linkPrefix, addressAt(n.prefix, slot, 0).As4())
		err = outside.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: made.Link},
			PeerName:      inner,
			PeerNamespace: netlink.NsFd(int(made.File.Fd())),
		})
		if !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("make devices: %w", err)
	}
	return slot, nil
}

func addressAt(p netip.Prefix, slot, n uint32) netip.Addr {
	b := p.Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += slot<<2 + n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func (n *Networks) outside(h *netlink.Handle, made *Namespace, slot uint32, label string) error {
	made.Outside, made.Inside = addressAt(n.prefix, slot, 1), addressAt(n.prefix, slot, 2)
	link, err := h.LinkByName(made.Link)
	if err != nil {
		return fmt.Errorf("find device %s: %w", made.Link, err)
	}
	if err := h.LinkSetAlias(link, label); err != nil {
		return fmt.Errorf("label device %s: %w", made.Link, err)
	}
	return raise(h, link, made.Outside)
}

// inside sets up the namespace that the thread is in.
func (n *Namespace) inside(port int) error {
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err == nil {
		err = h.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	link, err := h.LinkByName(inner)
	if err != nil {
		return fmt.Errorf("find device %s: %w", inner, err)
	}
	if err := raise(h, link, n.Inside); err != nil {
		return err
	}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IP(n.Outside.AsSlice())}); err != nil {
		return fmt.Errorf("route by %s: %w", n.Outside, err)
	}
	return toLoopback(port)
}

func raise(h *netlink.Handle, link netlink.Link, at netip.Addr) error {
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IP(at.AsSlice()), Mask: net.CIDRMask(30, 32)}}
	err := h.AddrAdd(link, address)
	if err == nil {
		err = h.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("give %s the address %s: %w", link.Attrs().Name, at, err)
	}
	return nil
}
