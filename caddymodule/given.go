package caddymodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Given are the settings that a block of a Caddyfile has given so far, by name.
type Given map[string]bool

// Once refuses a setting that was given before: the second would silently win.
// Those in repeated may be given again, each with another name. The error names
// the place that d has read last.
func (g Given) Once(d *caddyfile.Dispenser, name string, repeated ...string) error {
	if g[name] {
		return d.Errf("%s is given twice", name)
	}
	g[name] = !slices.Contains(repeated, name)
	return nil
}
