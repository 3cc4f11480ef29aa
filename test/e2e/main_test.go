// Package e2e runs the real binary: `slipway up` in a folder of its own, real
// sockets, real processes. It proves the "must hold" of the main job. By
// default it needs nothing but Go; SLIPWAY_E2E=all adds the tests of Python
// apps.
package e2e

import (
	"os"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// The names by which these tests know the shared harness.
var (
	eventually = slipwaytest.Eventually
	freePort   = slipwaytest.FreePort
)

type app = slipwaytest.App

const patience = slipwaytest.Patience

func TestMain(m *testing.M) { os.Exit(slipwaytest.Main(m.Run)) }
