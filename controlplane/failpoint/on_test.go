//go:build failpoints

package failpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		Here("elsewhere")
		Here("here")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestHere(t *testing.T) {
	for name, want := range map[string]func(*exec.Cmd) bool{
		"kill": func(c *exec.Cmd) bool {
			_ = c.Wait()
			return c.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		},
		"stop": func(c *exec.Cmd) bool {
			var status syscall.WaitStatus
			_, err := syscall.Wait4(c.Process.Pid, &status, syscall.WUNTRACED, nil)
			_ = c.Process.Signal(syscall.SIGCONT)
			return err == nil && status.Stopped() && c.Wait() == nil
		},
		"": func(c *exec.Cmd) bool { return c.Wait() == nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if name != "" {
				if err := os.WriteFile(filepath.Join(dir, "here"), []byte(name), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), "FAILPOINT_CHILD=1", "SLIPWAY_FAILPOINTS="+dir)
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			guard := time.AfterFunc(20*time.Second, func() { _ = child.Process.Kill() })
			defer guard.Stop()
			if !want(child) {
				t.Errorf("the process ended with %v", child.ProcessState)
			}
			if _, err := os.Stat(filepath.Join(dir, "here.hit")); (err == nil) != (name != "") {
				t.Errorf("the place tells %v", err)
			}
		})
	}
}
