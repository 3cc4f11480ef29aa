package controlmodule

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// settings are those that a block has given so far.
type settings map[string]bool

// once refuses the setting whose name was read last if it was given before: the
// second would silently win. Those named in repeated may be given again.
func (s settings) once(d *caddyfile.Dispenser, repeated ...string) error {
	name := d.Val()
	if s[name] && !slices.Contains(repeated, name) {
		return d.Errf("%s is given twice", name)
	}
	s[name] = true
	return nil
}
