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
	"os/exec"
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

var enabled = os.Getenv("SLIPWAY_E2E") == "all"

// places limits how many worlds stand at a time: each has a browser.
var places = make(chan struct{}, 2)

// needsChromium is the head of every test here.
func needsChromium(t *testing.T) {
	t.Helper()
	if !enabled {
		t.Skip("it needs chromium: run with SLIPWAY_E2E=all")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatalf("chromium is not installed: %v", err)
	}
	t.Parallel()
	places <- struct{}{}
	t.Cleanup(func() { <-places })
}

func TestMain(m *testing.M) {
	if !enabled {
		os.Exit(m.Run()) // nothing runs, so nothing is built
	}
	os.Exit(slipwaytest.Main(m.Run))
}
