package slipwaytest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// All is true with SLIPWAY_E2E=all: then those tests run too that need more than
// Go.
var All = os.Getenv("SLIPWAY_E2E") == "all"

// Needs is the head of a test that needs these programs: it is skipped, but with
// SLIPWAY_E2E=all a program that is missing is a failure.
func Needs(t testing.TB, programs ...string) {
	t.Helper()
	if !All {
		t.Skipf("it needs %s: run with SLIPWAY_E2E=all", strings.Join(programs, ", "))
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed: %v", program, err)
		}
	}
}

// MainOfAll is Main of a package whose tests all need more than Go: where none of
// them runs, nothing is built.
func MainOfAll(run func() int) int {
	if !All {
		return run()
	}
	return Main(run)
}

// Places limit how many tests of a package stand at a time.
type Places chan struct{}

// Take waits for a place, which the end of the test gives back.
func (p Places) Take(t testing.TB) {
	p <- struct{}{}
	t.Cleanup(func() { <-p })
}

// NeedsCluster is the head of a test that needs a Kubernetes cluster, as
// test/cluster/run gives it with KUBECONFIG: it is skipped without one, and
// without SLIPWAY_E2E=all.
func NeedsCluster(t testing.TB) (kubeconfig string) {
	t.Helper()
	kubeconfig = os.Getenv("KUBECONFIG")
	if !All || kubeconfig == "" {
		t.Skip("it needs a Kubernetes cluster: run it with SLIPWAY_E2E=all and test/cluster/run")
	}
	return kubeconfig
}
