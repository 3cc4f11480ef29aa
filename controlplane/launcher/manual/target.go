package manual

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// target is a parsed Runtime.Address.
type target struct {
	host string
	port uint16
}

func parseTarget(address string) (target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return target{}, fmt.Errorf("Runtime.Address %q is no URL", address)
	}
	if u.Scheme != "http" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return target{}, fmt.Errorf("Runtime.Address %q is not http://host:port", address)
	}
	port := uint64(80)
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
			return target{}, fmt.Errorf("Runtime.Address %q has no valid port", address)
		}
	}
	return target{u.Hostname(), uint16(port)}, nil
}

// String is the address as a Host header has it.
func (t target) String() string {
	if ip, err := netip.ParseAddr(t.host); err == nil {
		return netip.AddrPortFrom(ip, t.port).String()
	}
	return fmt.Sprintf("%s:%d", t.host, t.port)
}

// forbiddenError is an address that the launcher may not use.
type forbiddenError struct{ error }

// special are the ranges that no wider network allows: this machine, its
// links, and where clouds tell their machines what nobody else may know (spec
// apps.md §2, Runtime.Address).
var special = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::/128"), // connected to, it is loopback
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("224.0.0.0/24"), netip.MustParsePrefix("ff02::/16"),
	netip.MustParsePrefix("fd00:ec2::254/128"), netip.MustParsePrefix("fd20:ce::254/128"), // of AWS, and of Google
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("192.0.0.192/32"), // of Alibaba, and of Oracle
	netip.MustParsePrefix("168.63.129.16/32"), // of Azure
}

// within reports whether all of p lies in a range.
func within(p, of netip.Prefix) bool { return of.Contains(p.Addr()) && p.Bits() >= of.Bits() }

// permit says why the launcher may not use an address.
func (c Config) permit(a netip.AddrPort) error {
	allowed := slices.DeleteFunc(slices.Clone(c.Allow), func(p netip.Prefix) bool { return !p.Contains(a.Addr()) })
	if len(allowed) == 0 {
		return forbiddenError{fmt.Errorf("address %s is not in a network that this launcher may use (launcher manual { allow … })", a)}
	}
	for _, of := range special {
		if of.Contains(a.Addr()) && !slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return within(p, of) }) {
			return forbiddenError{fmt.Errorf("address %s is in %s, which this launcher may use only where that is allowed by itself (launcher manual { allow … })", a, of)}
		}
	}
	if c.Deny != nil && c.Deny(a) {
		return forbiddenError{fmt.Errorf("address %s is one that this launcher may not use", a)}
	}
	return nil
}

// resolve looks the host up. One address that is not permitted spoils all: the
// next look-up may return them in another order.
func (c Config) resolve(ctx context.Context, t target) ([]netip.AddrPort, error) {
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(t.host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = c.Resolver.LookupNetIP(ctx, "ip", t.host); err != nil {
		return nil, fmt.Errorf("look up %s: %w", t.host, err)
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		a := netip.AddrPortFrom(ip.Unmap(), t.port)
		if err := c.permit(a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("look up %s: it has no address", t.host)
	}
	return all, nil
}

// refusal types why an address cannot be used.
func refusal(err error) controlplane.Reason {
	code := controlplane.BadBundle
	if _, ok := errors.AsType[forbiddenError](err); ok {
		code = controlplane.LauncherDown
	}
	return controlplane.Reason{Code: code, Text: err.Error()}
}
