//go:build linux

package process

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func TestParseStat(t *testing.T) {
	const tail = " S 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000"
	for _, c := range []struct {
		name, line string
		want       proc
		ok         bool
	}{
		{"a plain name", "42 (server)" + tail, proc{42, 10, 20, 30, 'S', 1, 987654}, true},
		{"a name that looks like fields", "42 (a) R 1 1 1 (b)" + tail, proc{42, 10, 20, 30, 'S', 1, 987654}, true},
		{"a line break in the name", "42 (a\nb)" + tail, proc{42, 10, 20, 30, 'S', 1, 987654}, true},
		{"a first thread that has ended", "42 (server) Z 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 987654 1000", proc{42, 10, 20, 30, 'Z', 3, 987654}, true},
		{"cut off", "42 (server) S 10 20", proc{}, false},
		{"no name", "42 S 10", proc{}, false},
		{"nothing", "", proc{}, false},
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

func FuzzParseListeners(f *testing.F) {
	f.Add([]byte("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1138 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) { parseListeners(b) })
}

func TestParseListeners(t *testing.T) {
	got := parseListeners([]byte(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1138 1 0
   1: 0100007F:1F91 0100007F:0001 01 00000000:00000000 00:00000000 00000000     0        0 1139 1 0
   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1140 1 0
   3: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1141 1 0
`))
	want := []listener{
		{netip.MustParseAddrPort("127.0.0.1:8080"), 1138},
		{netip.MustParseAddrPort("[::1]:80"), 1140},
		{netip.MustParseAddrPort("127.0.0.1:81"), 1141},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestAnswers(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		name, ask string
		all       []listener
		want      []uint64
	}{
		{"bound to it", "127.0.0.1:80", []listener{{at("0.0.0.0:80"), 1}, {at("127.0.0.1:80"), 2}}, []uint64{2}},
		{"bound to all", "127.0.0.1:80", []listener{{at("0.0.0.0:80"), 1}, {at("[::]:80"), 2}}, []uint64{1}},
		{"both families at once", "127.0.0.1:80", []listener{{at("[::]:80"), 2}}, []uint64{2}},
		{"IPv6 is not reached by IPv4 sockets", "[::1]:80", []listener{{at("0.0.0.0:80"), 1}}, nil},
		{"another port", "127.0.0.1:80", []listener{{at("127.0.0.1:81"), 1}}, nil},
		{"another address", "127.0.0.1:80", []listener{{at("10.0.0.1:80"), 1}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []uint64
			for _, l := range answers(c.all, at(c.ask)) {
				got = append(got, l.inode)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestPickedPortsDiffer(t *testing.T) {
	p := newPorts()
	p.low, p.high = 20000, 20200
	seen := map[int]bool{}
	for range 50 {
		port, err := p.pick()
		if err != nil || seen[port] || port < p.low || port > p.high {
			t.Fatalf("port %d, %v", port, err)
		}
		seen[port] = true
	}
}

// Both ways of cutting a log lose no byte that was there, and a reader that
// follows sees each line once, but for those that were cut before it came.
func TestCuttingALogUnderItsReader(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(*os.File, int64) (int64, error)
	}{
		{"taking out a range", cutHead},
		{"copying the tail", copyTail},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLogs(filepath.Join(t.TempDir(), "logs"), 64<<10)
			f, err := l.rotate()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			r, err := l.open(t.Context(), launcher.LogOptions{Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			lines := bufio.NewScanner(r)
			for n := range 20000 {
				fmt.Fprintf(f, "line %d\n", n)
				if n%1000 == 999 {
					l.mu.Lock()
					info, _ := f.Stat()
					rw, err := os.OpenFile(l.current(), os.O_RDWR|os.O_APPEND, 0)
					if err != nil {
						t.Fatal(err)
					}
					cut, err := c.cut(rw, info.Size()*2/3)
					rw.Close()
					if err != nil || cut > info.Size()*2/3 {
						t.Fatalf("cut %d of %d: %v", cut, info.Size(), err)
					}
					l.file.cut += cut
					l.mu.Unlock()
				}
			}
			f.Close()
			last := -1
			for last != 19999 && lines.Scan() {
				var n int
				if _, err := fmt.Sscanf(lines.Text(), "line %d", &n); err != nil {
					continue // cut in its middle
				}
				if n <= last && last >= 0 {
					t.Fatalf("line %d after %d", n, last)
				}
				last = n
			}
			if last != 19999 {
				t.Errorf("ended at %d: %v", last, lines.Err())
			}
		})
	}
}

func TestMerge(t *testing.T) {
	got := merge([]string{"PATH=/bin", "LANG=C"}, []string{"LANG=de", "X=1", "broken", "=y", "Z=a\x00b"}, []string{"X=2"})
	if want := []string{"PATH=/bin", "LANG=de", "X=2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLastError(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"pip's error", "Collecting x\nERROR: first\nERROR: No matching distribution\n\n[notice] a new pip\n", "No matching distribution"},
		{"no error line", "Collecting x\nkilled\n\n", "killed"},
		{"nothing", "", "pip failed without a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := lastError(c.text, "pip"); got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestEnvironmentKey(t *testing.T) {
	base := requirements{text: []byte("a\n"), wheels: []wheel{{"x.whl", "1"}}}
	p := python{real: "/usr/bin/python3.11", version: "3.11.7"}
	if first, second := base.key(p), base.key(p); first != second {
		t.Error("a key changes by itself")
	}
	for name, other := range map[string]string{
		"requirements": requirements{text: []byte("b\n"), wheels: base.wheels}.key(p),
		"a wheel":      requirements{text: base.text, wheels: []wheel{{"x.whl", "2"}}}.key(p),
		"the version":  base.key(python{real: p.real, version: "3.11.8"}),
		"the program":  base.key(python{real: "/opt/python", version: p.version}),
	} {
		if other == base.key(p) {
			t.Errorf("%s does not change the key", name)
		}
	}
}

func TestRemoveTreeTakesFoldersWithoutRights(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "a", "b", "c"), nil, 0o400)
	os.Chmod(filepath.Join(dir, "a", "b"), 0)
	os.Chmod(filepath.Join(dir, "a"), 0o500)
	if err := removeTree(dir); err != nil {
		t.Error(err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no folder given", func(c *Config) { c.DataDir = "" }, "DataDir"},
		{"no way to unpack", func(c *Config) { c.Unpack = nil }, "Unpack"},
		{"below a file", func(c *Config) { c.DataDir = filepath.Join(file, "data") }, "make data folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			c.change(&cfg)
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTheDataFolderIsMadeWithItsParents(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.DataDir = filepath.Join(t.TempDir(), "a", "b")
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(cfg.DataDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}
