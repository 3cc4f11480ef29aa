package up

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// lockEnv makes the test binary hold a folder until its input ends.
const lockEnv = "SLIPWAY_TEST_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockEnv); dir != "" {
		if _, err := lockFolder(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheSecondHolderIsToldWhoTheFirstIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), lockEnv+"="+dir)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the child says %q (%v)", line, err)
	}
	_, err = lockFolder(dir)
	if err == nil {
		t.Fatal("two hold the folder")
	}
	if got, pid := told(t, err), strconv.Itoa(child.Process.Pid); !strings.Contains(got, "process "+pid) || !strings.Contains(got, "kill "+pid) {
		t.Errorf("got %q, want the process %s", got, pid)
	}
	// A holder that is killed leaves the folder free.
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	stdin.Close()
	unlock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(dir); err == nil {
		t.Error("one process holds it twice")
	}
	unlock()
	unlock, err = lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	want := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		want = 0o711 // for the users of instances
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != want {
		t.Errorf("the folder's mode is %v (%v)", st.Mode(), err)
	}
}

func TestAFolderThatCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := lockFolder(filepath.Join(file, "data"))
	if err == nil {
		t.Fatal("it was made")
	}
	if got := told(t, err); !strings.Contains(got, "--data") {
		t.Errorf("got %q", got)
	}
}

// shortDir is a folder whose path is short, unlike those of t.TempDir.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "slw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestSocketsAreInAShortFolderOfThisUser(t *testing.T) {
	long := filepath.Join(shortDir(t), strings.Repeat("x", 60))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	short := shortDir(t)
	for _, tc := range []struct{ name, runtime, tmp, parent string }{
		{"run-time folder", short, long, short},
		{"no run-time folder", "", short, short},
		{"a run-time folder that is not there", short + "/none", short, short},
		{"a relative one", "run", short, short},
		{"both too long", long, long, "/tmp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("XDG_RUNTIME_DIR", tc.runtime)
			t.Setenv("TMPDIR", tc.tmp)
			dir, err := socketFolder("/" + strings.Repeat("long/", 100) + t.Name())
			if err != nil {
				t.Fatal(err)
			}
			defer os.Remove(dir)
			if filepath.Dir(dir) != tc.parent {
				t.Errorf("it is %s, want one in %s", dir, tc.parent)
			}
			if sock := filepath.Join(dir, "admin.sock"); len(sock) > 107 {
				t.Errorf("%d bytes are too many for a socket", len(sock))
			}
			if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("mode %v (%v)", st.Mode(), err)
			}
			if again, err := socketFolder("/" + strings.Repeat("long/", 100) + t.Name()); err != nil || again != dir {
				t.Errorf("the next run gets %s (%v)", again, err)
			}
		})
	}
}

func TestASocketFolderOfOthersIsRefused(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", shortDir(t))
	for name, make := range map[string]func(dir string) error{
		"open to others": func(dir string) error { return os.Chmod(dir, 0o755) },
		"a link": func(dir string) error {
			return firstError(os.Mkdir(dir+".real", 0o700), os.Remove(dir), os.Symlink(dir+".real", dir))
		},
		"a file": func(dir string) error { return firstError(os.Remove(dir), os.WriteFile(dir, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := socketFolder("/data/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			if _, err = socketFolder("/data/" + name); err == nil {
				t.Fatal("it is taken")
			}
			if got := told(t, err); !strings.Contains(got, dir) || !strings.Contains(got, "XDG_RUNTIME_DIR") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Root's instances have users of their own, who pass through the folder.
func TestTheFolderLetsTheUsersOfInstancesThrough(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("instances have users of their own where root starts them")
	}
	outer := t.TempDir()
	dir := filepath.Join(outer, "a", "data")
	unlock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	closed := filepath.Dir(outer) // a test's own folder is closed to others
	if got := keptOut(dir); got != closed {
		t.Errorf("kept out by %q, want %q", got, closed)
	}
	if err := os.Chmod(closed, 0o711); err != nil {
		t.Fatal(err)
	}
	if got := keptOut(dir); got != "" {
		t.Errorf("kept out by %q", got)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
