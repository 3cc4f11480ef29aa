// Package bench measures the real binary, beside Caddy's own reverse_proxy in
// the same run where that says more than a figure alone. It asserts nothing:
//
//	go test -run '^$' -bench . ./test/bench
//
// A benchmark takes its rounds by itself, whatever -benchtime; -count repeats
// it. The
// proxy that is measured has the first CPU for itself where there are two, and
// GOMAXPROCS=1; load, apps and etcd have the others.
package bench

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What TestMain makes once: the binary, and a folder whose path is short, as
// sockets need it.
var binary, workDir string

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		os.Exit(m.Run()) // nothing is measured, so nothing is built
	}
	code, err := withBinary(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

func withBinary(run func() int) (int, error) {
	var err error
	if workDir, err = os.MkdirTemp("/tmp", "slipway-bench-"); err != nil {
		return 1, err
	}
	defer os.RemoveAll(workDir)
	binary = filepath.Join(workDir, "slipway")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/slipway")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "../..", os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return 1, fmt.Errorf("build slipway: %w", err)
	}
	if err := pin(os.Getpid(), others()); err != nil {
		return 1, err
	}
	return run(), nil
}
