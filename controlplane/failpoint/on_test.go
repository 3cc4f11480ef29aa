//go:build failpoints

package failpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("FAILPOINT_CHILD") != "" {
		Here("elsewhere")
		Here("here")
		Here("here") // once is enough
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, dir string) (c *exec.Cmd, ended chan error) {
	t.Helper()
	c = exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "FAILPOINT_CHILD=1", "SLIPWAY_FAILPOINTS="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { _ = c.Process.Kill() })
	t.Cleanup(func() { guard.Stop() })
	ended = make(chan error, 1)
	go func() { ended <- c.Wait() }()
	return c, ended
}

func TestHereHoldsUntilTheFileIsGone(t *testing.T) {
	dir := t.TempDir()
	held := filepath.Join(dir, "held")
	for name, content := range map[string]string{"here": "held", "held": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, ended := child(t, dir)
	for hit := ""; hit != strconv.Itoa(c.Process.Pid); time.Sleep(time.Millisecond) {
		raw, err := os.ReadFile(filepath.Join(dir, "here.hit"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		hit = string(raw)
		if len(ended) > 0 {
			t.Fatalf("it went on from there: %v", <-ended)
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("it was not held: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestHereIsNothingWithoutItsFile(t *testing.T) {
	dir := t.TempDir()
	_, ended := child(t, dir)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("it leaves %v", left)
	}
}
