// Package browser holds the rules of sign-in and isolation (spec access.md §6)
// in a real Chromium, against the real binary with TLS and a real OpenID
// provider: what a browser does with cookies, redirects, forms and policies is
// not guessed. Hostile apps are the app for tests, in whose pages a test runs
// the scripts of an attacker.
//
// These tests need a chromium in PATH, and run with SLIPWAY_E2E=all; there a
// chromium that is missing is a failure. SLIPWAY_SCREENSHOTS names a folder
// for pictures of the pages of the console and of the waiting page, SLIPWAY_AXE
// the file of axe-core, which checks those too.
package browser

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

// limit is how long a test may take, everything in it included.
const limit = 5 * time.Minute

// places are for worlds: each has a browser.
var places = make(slipwaytest.Places, 2)

// needsChromium is the head of every test here.
func needsChromium(t *testing.T) {
	t.Helper()
	slipwaytest.Needs(t, "chromium")
	t.Parallel()
	places.Take(t)
}

func TestMain(m *testing.M) { os.Exit(slipwaytest.MainOfAll(m.Run)) }
