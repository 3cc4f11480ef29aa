package caddymodule

import (
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
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

func TestAReasonFollowsAFullStop(t *testing.T) {
	const before = "The app failed to start. Nothing reached it. "
	for text, want := range map[string]string{
		"":                                     "",
		"It ended by itself.":                  "It ended by itself.",
		"the process ended with exit status 3": "The process ended with exit status 3",
		"crashed":                              "Crashed",
		"requirements.txt cannot be read":      "requirements.txt cannot be read",
		"python3 is not there":                 "python3 is not there",
		`"x:Y" is no name of an image`:         `"x:Y" is no name of an image`,
		`Env DB needs the key "pw" of the secret`:  `Env DB needs the key "pw" of the secret`,
		"$PORT is not opened":                      "$PORT is not opened",
		"nothing listened on port 80 within 2m0s.": "Nothing listened on port 80 within 2m0s.",
	} {
		p := pageOfWait(hold.ErrFailed, &waitingpage.State{Reason: &waitingpage.Reason{Text: text}}, false)
		if p.text != before+want {
			t.Errorf("%q is told as %q", text, p.text)
		}
	}
}
