//go:build linux

package process

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
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
					fmt.Fprintf(f, "line %d %d\n", n, n) // twice: two halves are no line
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
				if _, err := fmt.Sscanf(lines.Text(), "line %d", &n); err != nil || lines.Text() != fmt.Sprintf("line %d %d", n, n) {
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

// A workload makes folders as deep as it likes. To remove them takes few of the
// files that visitors' connections need.
func TestATreeOfAnyDepthIsRemoved(t *testing.T) {
	dir, depth := filepath.Join(t.TempDir(), "deep"), 2000
	tree, closed := filepath.Join(dir, "0", "with a file"), dir+"/0/\xff/closed"
	for _, folder := range []string{tree, closed} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	bottom, err := os.OpenRoot(tree)
	for range depth {
		if err == nil {
			err = bottom.Mkdir("d", 0o700)
		}
		var next *os.Root
		if err == nil {
			next, err = bottom.OpenRoot("d")
		}
		if err != nil {
			t.Fatal(err)
		}
		bottom.Close()
		bottom = next
	}
	err = errors.Join(bottom.WriteFile("file", nil, 0o400), bottom.Close(), os.Chmod(closed, 0))
	if err != nil {
		t.Fatal(err)
	}
	var limit, less unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if less = limit; less.Cur > uint64(depth)/4 {
		less.Cur = uint64(depth) / 4
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &less); err != nil {
		t.Fatal(err)
	}
	err = removeTree(dir)
	if restored := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); restored != nil {
		t.Error(restored)
	}
	if err != nil {
		t.Errorf("%.300v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
		_ = os.RemoveAll(dir) // with all files, so that t's own removal finds nothing
	}
}

// Packages bring code that may write what it likes: neither the disk nor the
// control plane's memory is to be full of it.
func TestTheLogOfAnInstallationIsBounded(t *testing.T) {
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(t.TempDir(), name), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	const limit = 1 << 20
	cfg := config(t, t.TempDir())
	cfg.LogLimit = limit
	b := builder{
		e: &environments{t: &term{base: base{cfg: cfg}}}, log: open("log"), output: open("output"),
		progress: venv.Progress{Say: func(venv.Words) {}},
	}
	var want strings.Builder
	for _, step := range []struct {
		name, text string
		over       bool
		copied     string // of this step; the lines for programs are not
	}{
		{"lines", "one\ntwo\n", false, "one\ntwo\n"},
		{"a line for programs, and a part of one", "Progress 1 of 2\nthr", false, ""},
		{"its end", "ee\n", false, "three\n"},
		{"a line that does not end", strings.Repeat("x", 3*limit), false, strings.Repeat("x", 3*limit)},
		{"the end of the step", "last", true, "last"},
	} {
		if _, err := b.log.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		b.copy(step.over)
		want.WriteString(step.copied)
		if got, err := os.ReadFile(b.output.Name()); err != nil || string(got) != want.String() {
			t.Fatalf("after %s: %d bytes, want %d: %.40q, %v", step.name, len(got), want.Len(), got, err)
		}
		if _, taken, err := sizes(b.log); err != nil || taken > limit {
			t.Errorf("after %s: the log takes %d bytes, %v", step.name, taken, err)
		}
	}
	if !strings.HasSuffix(b.said(), "xlast") {
		t.Error("the end of the log is lost")
	}
}
