//go:build linux

package procgroup

import (
	"cmp"
	"net"
	"os"
	"slices"
	"testing"
)

// What Diag says is what proc(5) says.
func TestListenersAt(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err) // no IPv6 here
			}
			defer l.Close()
			port := l.Addr().(*net.TCPAddr).Port
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() // a connection of the port, which does not listen
			got, err := ListenersAt(port)
			if err != nil {
				t.Fatal(err)
			}
			byNetlink, err := new(Diag).ListenersAt(uint16(port))
			if err != nil {
				t.Skip(err)
			}
			all, err := Listeners(os.Getpid())
			if err != nil {
				t.Fatal(err)
			}
			want := slices.DeleteFunc(all, func(s Socket) bool { return int(s.Local.Port()) != port })
			for _, found := range [][]Socket{got, byNetlink, want} {
				slices.SortFunc(found, func(a, b Socket) int { return cmp.Compare(a.Inode, b.Inode) })
				for i, s := range found { // what both tell
					found[i] = Socket{Local: s.Local, State: s.State, Inode: s.Inode}
				}
			}
			if len(want) == 0 || !slices.Equal(got, want) || !slices.Equal(byNetlink, want) {
				t.Errorf("got %v, by netlink %v, want %v", got, byNetlink, want)
			}
		})
	}
}

func BenchmarkListenersAt(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	b.Run("netlink", func(b *testing.B) {
		for b.Loop() {
			if _, err := ListenersAt(port); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("proc", func(b *testing.B) {
		for b.Loop() {
			if _, err := Listeners(os.Getpid()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
