// Package scale measures Slipway on Kubernetes with the real binary: what many
// instances and many wakes at once cost the control plane and the API server,
// and how much of a wake is Slipway's.
//
// TestManyAtOnce needs an API server, a controller manager and a scheduler
// (NO_NODE=1 test/cluster/up); the nodes are the test's own. BenchmarkWake needs
// a node that runs pods. Both share a machine with the cluster, on whose network
// they are (test/cluster/run).
package scale

import (
	"os"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func TestMain(m *testing.M) { os.Exit(slipwaytest.MainOfAll(m.Run)) }
