// Package faults breaks what the real binary depends on, under load, and looks
// at what visitors get: etcd, the control plane, apps, disks and edges are
// killed, frozen or replaced. Nothing is mocked: etcd, edges and apps are
// processes of their own.
//
// These tests take minutes, so `go test ./...` skips them: SLIPWAY_E2E=all runs
// them with short times, SLIPWAY_SOAK=1 (`make e2e SOAK=1`) with those of the
// figures in the documentation.
package faults

import (
	"os"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// The names by which these tests know the shared harness.
var (
	eventually = slipwaytest.Eventually
	freePort   = slipwaytest.FreePort
)

const patience = slipwaytest.Patience

var (
	soaking = os.Getenv("SLIPWAY_SOAK") == "1"
	enabled = soaking || slipwaytest.All
)

// places limits how many houses stand at a time: with more, the figures would
// be those of the machine's scheduler.
var places = make(slipwaytest.Places, 2)

// slow is the head of every test here.
func slow(t *testing.T) {
	t.Helper()
	if !enabled {
		t.Skip("it takes long: run with SLIPWAY_E2E=all, or with make e2e SOAK=1")
	}
	t.Parallel()
	places.Take(t)
}

// lasting is how long a fault lasts: short, unless this is a soak.
func lasting(short, soak time.Duration) time.Duration {
	if soaking {
		return soak
	}
	return short
}

func TestMain(m *testing.M) {
	switch dir := os.Getenv(etcdFolder); {
	case dir != "":
		os.Exit(serveEtcd(dir))
	case !enabled:
		os.Exit(m.Run()) // nothing runs, so nothing is built
	}
	os.Exit(slipwaytest.Main(m.Run))
}

// figure writes a measured value where a reader of the log finds it.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("figure: "+format, args...)
}
