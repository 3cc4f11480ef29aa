// Package realapps runs apps that were not written here, of PyPI, in fixed
// versions: packed with `slipway bundle`, run by `slipway up`, opened in a real
// Chromium, put to sleep and woken. Manifests and start modules are those of
// docs/frameworks.md, taken from there, so that each of its lines is tried.
//
// These tests need python3 with venv, a chromium in PATH, and pip's index. They
// run with SLIPWAY_E2E=all, and there what is missing is a failure.
// SLIPWAY_SCREENSHOTS names a folder for a picture of each app.
package realapps

import (
	"os"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

var eventually = slipwaytest.Eventually

const (
	// limit is how long a test may take, installation and all.
	limit = 10 * time.Minute
	// installing is how long an installation of packages may take.
	installing = 8 * time.Minute
	// starting is how long an app may take to show itself once it is installed.
	starting = 2 * time.Minute
)

// places are for worlds: each has a browser, and installs packages.
var places = make(slipwaytest.Places, 2)

func TestMain(m *testing.M) { os.Exit(slipwaytest.MainOfAll(m.Run)) }
