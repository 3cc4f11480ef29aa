//go:build linux

package process

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func TestPortsAreHandedOutInTurn(t *testing.T) {
	p := newPorts()
	p.low, p.high, p.next = 20000, 20200, 20150
	first, err := p.pick()
	if err != nil {
		t.Fatal(err)
	}
	p.release(first)
	kept, err := p.pick()
	if err != nil || kept == first {
		t.Fatalf("port %d after %d, %v", kept, first, err)
	}
	last, wraps := kept, 0
	for range 500 {
		port, err := p.pick()
		if err != nil || port < p.low || port > p.high || port == kept {
			t.Fatalf("port %d, %v", port, err)
		}
		if port <= last {
			wraps++
		}
		last = port
		p.release(port)
	}
	if wraps < 1 || wraps > 4 {
		t.Errorf("%d times from the beginning: not in turn", wraps)
	}
}

func TestNoPortIsFree(t *testing.T) {
	p := newPorts()
	p.low, p.high, p.next = 20000, 20002, 20001
	for port := p.low; port <= p.high; port++ {
		p.hold(port)
	}
	if port, err := p.pick(); err == nil {
		t.Errorf("port %d was handed out twice", port)
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
