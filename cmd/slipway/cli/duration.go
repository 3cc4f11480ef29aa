package cli

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// parseDuration is time.ParseDuration, with days too: "90d", "0.5d".
func parseDuration(s string) (time.Duration, error) {
	n, found := strings.CutSuffix(s, "d")
	if !found {
		return time.ParseDuration(s)
	}
	const most = 36500
	count, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(count) || math.Abs(count) > most {
		return 0, errors.New("too long")
	}
	return time.Duration(count * float64(24*time.Hour)), nil
}

// days is a duration above 0 that may be in days.
type days time.Duration

func (d *days) Type() string  { return "duration" }
func (d *days) takes() string { return "a time above 0, such as 12h or 90d" }

func (d *days) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *days) Set(s string) error {
	life, err := parseDuration(s)
	if err != nil || life <= 0 {
		return errors.New("it is " + d.takes())
	}
	*d = days(life)
	return nil
}

// waitLimit is how long to wait at most, which may be in days; 0 is one look.
type waitLimit time.Duration

func (d *waitLimit) Type() string   { return "duration" }
func (d *waitLimit) takes() string  { return "a time of 0 or more, such as 30s, 5m or 1d" }
func (d *waitLimit) String() string { return time.Duration(*d).String() }

func (d *waitLimit) Set(s string) error {
	most, err := parseDuration(s)
	if err != nil || most < 0 {
		return errors.New("it is " + d.takes())
	}
	*d = waitLimit(most)
	return nil
}

// waitLimitFlag adds a flag that says how long to wait.
func waitLimitFlag(c *cobra.Command, to *time.Duration, name, usage string) {
	c.Flags().Var((*waitLimit)(to), name, usage)
}
