//go:build linux

package process

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestWhoListens(t *testing.T) {
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
			var door door
			defer door.diag.Close()
			if closed(at) || !door.listens(t.Context(), at) {
				t.Error("closed while somebody listens")
			}
			l.Close()
			if !closed(at) || door.listens(t.Context(), at) {
				t.Error("open, and nobody listens")
			}
		})
	}
}

// Apps log and count connections; some serve one at a time.
func TestAskingWhoListensConnectsToNobody(t *testing.T) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var door door
	defer door.diag.Close()
	if !door.listens(t.Context(), l.Addr().(*net.TCPAddr).AddrPort()) {
		t.Fatal("closed while somebody listens")
	}
	// A connection would have come within the call.
	if err := l.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("there was a connection")
	}
}

func TestKnocksStayFrequent(t *testing.T) {
	for _, c := range []struct{ since, want time.Duration }{
		{-time.Hour, minKnock}, // the clock was set
		{0, minKnock},
		{400 * time.Millisecond, time.Millisecond},
		{time.Second, 2500 * time.Microsecond},
		{2 * time.Second, 5 * time.Millisecond},
		{time.Minute, 5 * time.Millisecond},
	} {
		if got := knockPause(c.since); got != c.want {
			t.Errorf("%v after the start: every %v, want %v", c.since, got, c.want)
		}
	}
}
