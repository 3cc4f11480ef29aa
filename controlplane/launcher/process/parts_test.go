//go:build linux

package process

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
// follows comes to its end. Where a range is taken out, it sees each line once,
// but for those that were cut before it came.
func TestCuttingALogUnderItsReader(t *testing.T) {
	for _, c := range []struct {
		name  string
		cut   func(*os.File, int64) error
		again bool // what a reader has seen may come again
	}{
		{"taking out a range", cutHead, false},
		{"copying the tail", copyTail, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(dir, "logs", "1.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := writeState(dir, 1, state{Log: "1.log"}); err != nil {
				t.Fatal(err)
			}
			r, err := openLog(t.Context(), t.Context(), dir, launcher.LogOptions{Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			write := func() {
				for n := range 20000 {
					fmt.Fprintf(f, "line %d\n", n)
					if n%1000 == 999 {
						length, _, err := sizes(f)
						if err == nil {
							err = c.cut(f, length*2/3)
						}
						if err != nil {
							t.Error(err)
						}
					}
				}
			}
			var writer sync.WaitGroup
			defer writer.Wait()
			writer.Go(write)
			lines := bufio.NewScanner(r)
			last := -1
			for last != 19999 && lines.Scan() {
				var n int
				if strings.ContainsRune(lines.Text(), 0) {
					t.Fatalf("read what was cut: %q after %d", lines.Text(), last)
				}
				if _, err := fmt.Sscanf(lines.Text(), "line %d", &n); err != nil || lines.Text() != fmt.Sprintf("line %d", n) {
					continue // cut in its middle
				}
				if n <= last && !c.again {
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
