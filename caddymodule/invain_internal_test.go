package caddymodule

import (
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
)

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
		p := pageOfWait(hold.ErrFailed, &waitingpage.State{Reason: &waitingpage.Reason{Text: text}})
		if p.text != before+want {
			t.Errorf("%q is told as %q", text, p.text)
		}
	}
}
