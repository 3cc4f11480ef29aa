package caddymodule

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
)

// trustedProxies are the networks of proxies whose X-Forwarded headers are
// taken for true (spec routing.md §5). None is the default.
type trustedProxies []netip.Prefix

// parseTrustedProxies reads addresses and networks.
func parseTrustedProxies(texts []string) (trustedProxies, error) {
	var trusted trustedProxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var ip netip.Addr
			if ip, err = netip.ParseAddr(text); err == nil {
				prefix = netip.PrefixFrom(ip, ip.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		trusted = append(trusted, prefix.Masked())
	}
	return trusted, nil
}

// trust reports whether the request comes from a proxy in front of the edge.
func (t trustedProxies) trust(ip string) bool {
	if len(t) == 0 {
		return false
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, prefix := range t {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the address of who asks: the last one that no trusted proxy has. What
// stands before it in X-Forwarded-For is anybody's word.
func (t trustedProxies) client(r *http.Request) string {
	chain := strings.Split(t.forwarded(r).For, ",")
	for i := len(chain) - 1; i > 0; i-- {
		if ip := strings.TrimSpace(chain[i]); !t.trust(ip) {
			return ip
		}
	}
	return strings.TrimSpace(chain[0])
}

// forwarded is what an app is told about who asks: what the edge sees itself,
// behind what a trusted proxy saw.
func (t trustedProxies) forwarded(r *http.Request) upstream.Forwarded {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	f := upstream.Forwarded{For: ip, Host: r.Host, Proto: "http"}
	if r.TLS != nil {
		f.Proto = "https"
	}
	if !t.trust(ip) {
		return f
	}
	if sent := strings.Join(r.Header["X-Forwarded-For"], ", "); sent != "" {
		f.For = sent + ", " + ip
	}
	if sent := r.Header.Get("X-Forwarded-Host"); sent != "" {
		f.Host = sent
	}
	if sent := r.Header.Get("X-Forwarded-Proto"); sent != "" {
		f.Proto = sent
	}
	return f
}
