//go:build linux

// Package confinetest has what the tests of confinement share: folders that
// other users may enter, and a second run as such a user.
package confinetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Ordinary is a user, and a group, without any rights.
const Ordinary = 61001

// Open is a folder that every user may enter.
func Open(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Write makes a file with its folders, in exactly that mode.
func Write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// Absent fails the test if there is something at the path.
func Absent(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is on the machine: %v", path, err)
	}
}

// RunAsOrdinaryUser runs the calling test program once more without root's
// rights, with these flags beside -test.v.
func RunAsOrdinaryUser(t *testing.T, flags ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := Open(t)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program, tmp := filepath.Join(dir, "program.test"), filepath.Join(dir, "tmp")
	Write(t, program, string(self), 0o755)
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(tmp, Ordinary, Ordinary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-test.v", "-test.timeout=5m", "-test.paniconexit0"}, flags...)...)
	cmd.Env = []string{"TMPDIR=" + tmp, "HOME=" + tmp, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = tmp
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: Ordinary, Gid: Ordinary}}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
