//go:build linux

package procgroup

import (
	"net/netip"
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	const tail = " S 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000"
	for _, c := range []struct {
		name, line string
		want       Proc
		ok         bool
	}{
		{"a plain name", "42 (server)" + tail, Proc{42, 10, 20, 30, 'S', 1, 987654}, true},
		{"a name that looks like fields", "42 (a) R 1 1 1 (b)" + tail, Proc{42, 10, 20, 30, 'S', 1, 987654}, true},
		{"a line break in the name", "42 (a\nb)" + tail, Proc{42, 10, 20, 30, 'S', 1, 987654}, true},
		{"a first thread that has ended", "42 (server) Z 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 987654 1000", Proc{42, 10, 20, 30, 'Z', 3, 987654}, true},
		{"cut off", "42 (server) S 10 20", Proc{}, false},
		{"no name", "42 S 10", Proc{}, false},
		{"nothing", "", Proc{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := parseStat([]byte(c.line)); got != c.want || (err == nil) != c.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("42 (server) S 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000"))
	f.Fuzz(func(t *testing.T, b []byte) { parseStat(b) })
}

func FuzzParseSockets(f *testing.F) {
	f.Add([]byte("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1138 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) { parseSockets(b) })
}

func TestParseSockets(t *testing.T) {
	got := parseSockets([]byte(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1138 1 0
   1: 0100007F:1F91 0100007F:0001 01 00000000:00000000 00:00000000 00000000     0        0 1139 1 0
   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1140 1 0
   3: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1141 1 0
`))
	at := netip.MustParseAddrPort
	want := []Socket{
		{Local: at("127.0.0.1:8080"), Remote: at("0.0.0.0:0"), State: 10, Inode: 1138},
		{Local: at("127.0.0.1:8081"), Remote: at("127.0.0.1:1"), State: 1, Inode: 1139},
		{Local: at("[::1]:80"), Remote: at("[::]:0"), State: 10, Inode: 1140},
		{Local: at("127.0.0.1:81"), Remote: at("[::]:0"), State: 10, Inode: 1141},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestAnswers(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		name, ask string
		all       []Socket
		want      []uint64
	}{
		{"bound to it", "127.0.0.1:80", []Socket{{Local: at("0.0.0.0:80"), Inode: 1}, {Local: at("127.0.0.1:80"), Inode: 2}}, []uint64{2}},
		{"bound to all", "127.0.0.1:80", []Socket{{Local: at("0.0.0.0:80"), Inode: 1}, {Local: at("[::]:80"), Inode: 2}}, []uint64{1}},
		{"both families at once", "127.0.0.1:80", []Socket{{Local: at("[::]:80"), Inode: 2}}, []uint64{2}},
		{"IPv6 is not reached by IPv4 sockets", "[::1]:80", []Socket{{Local: at("0.0.0.0:80"), Inode: 1}}, nil},
		{"another port", "127.0.0.1:80", []Socket{{Local: at("127.0.0.1:81"), Inode: 1}}, nil},
		{"another address", "127.0.0.1:80", []Socket{{Local: at("10.0.0.1:80"), Inode: 1}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []uint64
			for _, l := range Answers(c.all, at(c.ask)) {
				got = append(got, l.Inode)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
