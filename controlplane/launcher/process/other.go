//go:build !linux

package process

import (
	"errors"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// Launcher runs instances as processes. It exists on Linux only.
type Launcher struct{ launcher.Launcher }

// New fails: adoption needs /proc.
func New(Config) (*Launcher, error) {
	return nil, errors.New("open the process launcher: it needs Linux")
}
