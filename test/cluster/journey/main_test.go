// Package journey runs the real slipway against a real cluster: what an owner
// and visitors do from an import to the end, what the launcher asks of the API
// beside what the chart's Role allows, and what breaks meanwhile.
//
// It needs SLIPWAY_E2E=all and test/cluster/run (test/cluster/README.md), which
// has helm; bundles need Debian's python3 with its venv, and the Wave app a
// chromium.
package journey

import (
	"os"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		os.Exit(m.Run()) // nothing runs, so nothing is built
	}
	os.Exit(slipwaytest.MainOfAll(m.Run))
}

var eventually = slipwaytest.Eventually

const patience = slipwaytest.Patience

// figure writes a measured value where a reader of the log finds it.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("figure: "+format, args...)
}
