//go:build linux

package process

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// The Wave server is that of the app's own package, else the configured one
// (spec apps.md §4).
func TestWhichWaveServer(t *testing.T) {
	for _, c := range []struct {
		name      string
		own       string // the package's: "x" can be executed, "-" cannot; "" is none
		noWWW     bool   // beside the configured one
		noVenv    bool
		ownServes bool
		ownPages  bool
	}{
		{name: "both", own: "x", ownServes: true, ownPages: true},
		{name: "the package has none"},
		{name: "the package's cannot be executed", own: "-"},
		{name: "no package at all", noVenv: true},
		{name: "the configured one has no pages", noWWW: true, ownPages: true},
		{name: "no pages anywhere", noWWW: true, noVenv: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			venv, configured := t.TempDir(), filepath.Join(t.TempDir(), "waved")
			confinetest.Write(t, configured, "#!/bin/sh\n", 0o755)
			if !c.noWWW {
				confinetest.Write(t, filepath.Join(filepath.Dir(configured), "www", "index.html"), "", 0o644)
			}
			switch own := filepath.Join(venv, "waved"); c.own {
			case "x":
				confinetest.Write(t, own, "#!/bin/sh\n", 0o755)
			case "-":
				confinetest.Write(t, own, "#!/bin/sh\n", 0o644)
			}
			want := waveServer{configured, filepath.Join(filepath.Dir(configured), "www")}
			if c.ownServes {
				want.program = filepath.Join(venv, "waved")
			}
			if c.ownPages {
				want.pages = filepath.Join(venv, "www")
			}
			if c.noVenv {
				venv = ""
			}
			r := &run{i: &instance{t: &term{base: base{
				cfg:       Config{WaveServer: configured},
				isolation: &isolation{able: machine.Abilities{Users: errors.New("not here")}},
			}}}}
			if got, why := r.waveServer(venv); why != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, why, want)
			}
		})
	}
}
