// Package faults breaks what the real binary depends on, under load, and looks
// at what visitors get: etcd, the control plane, apps, disks and edges are
// killed, frozen or replaced. Nothing is mocked: etcd, edges and apps are
// processes of their own.
//
// These tests take minutes, so `go test ./...` skips them: SLIPWAY_E2E=all runs
// them with short times, SLIPWAY_SOAK=1 (`make soak`) with those of the
// figures in the documentation, and runs the tests named TestSoak… too.
package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that is not measured.
const patience = 30 * time.Second

var soaking = os.Getenv("SLIPWAY_SOAK") == "1"

// places limits how many houses stand at a time: with more, the figures would
// be those of the machine's scheduler.
var places = make(chan struct{}, 2)

// slow is the head of every test here.
func slow(t *testing.T) {
	t.Helper()
	if !soaking && os.Getenv("SLIPWAY_E2E") != "all" {
		t.Skip("it takes long: run with SLIPWAY_E2E=all, or with make soak")
	}
	if strings.HasPrefix(t.Name(), "TestSoak") && !soaking {
		t.Skip("it takes very long: run with make soak")
	}
	t.Parallel()
	places <- struct{}{}
	t.Cleanup(func() { <-places })
}

// lasting is how long a fault lasts: short, unless this is a soak.
func lasting(short, soak time.Duration) time.Duration {
	if soaking {
		return soak
	}
	return short
}

var binaries struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	if dir := os.Getenv(etcdFolder); dir != "" {
		os.Exit(serveEtcd(dir))
	}
	code := m.Run()
	if binaries.dir != "" {
		os.RemoveAll(binaries.dir)
	}
	os.Exit(code)
}

// binary is the path of the real program, or of the app for tests.
func binary(t *testing.T, name string) string {
	t.Helper()
	binaries.once.Do(func() {
		if binaries.dir, binaries.err = os.MkdirTemp("", "slipway-faults-"); binaries.err != nil {
			return
		}
		for name, pkg := range map[string]string{"slipway": "./cmd/slipway", "testapp": "./test/e2e/testapp"} {
			cmd := exec.Command("go", "build", "-o", filepath.Join(binaries.dir, name), pkg)
			cmd.Dir, cmd.Stdout, cmd.Stderr = "../..", os.Stderr, os.Stderr
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if err := cmd.Run(); err != nil {
				binaries.err = fmt.Errorf("build %s: %w", pkg, err)
				return
			}
		}
	})
	if binaries.err != nil {
		t.Fatal(binaries.err)
	}
	return filepath.Join(binaries.dir, name)
}

// eventually polls until ok is true, and returns how long that took.
func eventually(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for ; !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("after %s still not so: %s", patience, what)
		}
	}
	return time.Since(began)
}

// figure writes a measured value where a reader of the log finds it.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("figure: "+format, args...)
}
