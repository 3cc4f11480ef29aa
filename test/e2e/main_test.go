// Package e2e runs the real binary: `slipway up` in a folder of its own, real
// sockets, real processes. It proves the "must hold" of the main job. By
// default it needs nothing but Go; SLIPWAY_E2E=all adds the tests of Python
// apps.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What TestMain makes once for all tests.
var (
	slipwayBinary string
	testappBinary string
	// runtimeDir is XDG_RUNTIME_DIR of every slipway: sockets that a kill -9
	// leaves behind go with it. Its path is short, as a socket's must be.
	runtimeDir string
)

func TestMain(m *testing.M) {
	code, err := withBinaries(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func withBinaries(run func() int) (int, error) {
	dir, err := os.MkdirTemp("/tmp", "slipway-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	slipwayBinary, testappBinary = filepath.Join(dir, "slipway"), filepath.Join(dir, "testapp")
	runtimeDir = filepath.Join(dir, "run")
	if err := os.Mkdir(runtimeDir, 0o700); err != nil {
		return 1, err
	}
	if err := build("../..", slipwayBinary, "./cmd/slipway"); err != nil {
		return 1, err
	}
	if err := build(".", testappBinary, "./testapp"); err != nil {
		return 1, err
	}
	return run(), nil
}

func build(dir, out, pkg string) error {
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}
