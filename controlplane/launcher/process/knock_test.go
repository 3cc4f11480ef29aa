//go:build linux

package process

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestClosed(t *testing.T) {
	for _, c := range []struct{ name, listen, knock string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1"},
		{"every address", ":0", "127.0.0.1"},
		{"IPv6", "[::1]:0", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := net.Listen("tcp", c.listen)
			if err != nil {
				t.Skip(err) // no IPv6 here
			}
			at := netip.AddrPortFrom(netip.MustParseAddr(c.knock), uint16(l.Addr().(*net.TCPAddr).Port))
			if closed(at) {
				t.Error("closed while somebody listens")
			}
			l.Close()
			if !closed(at) {
				t.Error("open, and nobody listens")
			}
		})
	}
}

func TestKnocksStayFrequent(t *testing.T) {
	for _, c := range []struct{ since, want time.Duration }{
		{-time.Hour, time.Millisecond}, // the clock was set
		{0, time.Millisecond},
		{400 * time.Millisecond, 2 * time.Millisecond},
		{time.Second, 5 * time.Millisecond},
		{time.Minute, 5 * time.Millisecond},
	} {
		if got := knockPause(c.since); got != c.want {
			t.Errorf("%v after the start: every %v, want %v", c.since, got, c.want)
		}
	}
}
