package cli

import (
	"testing"
	"time"
)

func TestDays(t *testing.T) {
	for in, want := range map[string]string{"12h": "12h0m0s", "90d": "2160h0m0s", "0.5d": "12h0m0s"} {
		var d days
		if err := d.Set(in); err != nil || d.String() != want {
			t.Errorf("%s: %s (%v)", in, d.String(), err)
		}
	}
	for _, in := range []string{"", "d", "0", "-1d", "-5m", "1e9d", "NaNd", "Infd", "year"} {
		if new(days).Set(in) == nil {
			t.Errorf("%q is a time", in)
		}
	}
}

func TestHowLongToWait(t *testing.T) {
	for in, want := range map[string]time.Duration{"0": 0, "50ms": 50 * time.Millisecond, "1d": 24 * time.Hour, "1h30m": 90 * time.Minute} {
		var d waitLimit
		if err := d.Set(in); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %s (%v)", in, d.String(), err)
		}
	}
	for _, in := range []string{"", "d", "-1s", "-1d", "1e9d", "NaNd", "soon"} {
		if new(waitLimit).Set(in) == nil {
			t.Errorf("%q is a time to wait", in)
		}
	}
}
