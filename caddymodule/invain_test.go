package caddymodule

import (
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
)

// Whoever waits in vain is told whether trying again does a thing twice.
func TestWhetherSomethingReachedTheApp(t *testing.T) {
	waits := []error{
		hold.ErrFailed, hold.ErrTimeout, hold.ErrMayNotWake, hold.ErrNoWaking, &hold.LimitedError{},
		&hold.FullError{Taken: hold.PlacesOfInstance}, &hold.FullError{Taken: hold.PlacesOfEdge}, &hold.FullError{Taken: hold.PlacesOfSource},
	}
	for _, err := range waits {
		for arrived, want := range map[bool]string{false: "Nothing reached it", true: "It may have received the request"} {
			if got := pageOfWait(err, nil, arrived).text; !strings.Contains(got, want) {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
		}
	}
}
