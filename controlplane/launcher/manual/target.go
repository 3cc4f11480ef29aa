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

// permit says why the launcher may not use an address.
func (c Config) permit(a netip.AddrPort) error {
	if !slices.ContainsFunc(c.Allow, func(p netip.Prefix) bool { return p.Contains(a.Addr()) }) {
		return forbiddenError{fmt.Errorf("address %s is not in a network that this launcher may use (launcher manual { allow … })", a)}
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
