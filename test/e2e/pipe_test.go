package e2e

import (
	"bufio"
	"os/exec"
	"syscall"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestAReaderWhoLeavesDoesNotEndIt: of `slipway up | tee log` a Ctrl-C ends tee
// too. What is written after that must not end slipway before its instances.
func TestAReaderWhoLeavesDoesNotEndIt(t *testing.T) {
	t.Parallel()
	s := newSlipway(t)
	cmd := exec.Command(slipwaytest.Binary, "up", "--listen", s.address(), "--data", s.data)
	cmd.Env = s.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
	}
	if len(s.processes()) != 1 {
		t.Errorf("processes %v, want the sample's", s.processes())
	}
	out.Close()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v, want 0", err)
	}
	if left := s.processes(); len(left) > 0 {
		t.Errorf("processes outlive it: %v", left)
	}
}
