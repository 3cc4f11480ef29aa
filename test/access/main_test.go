// Package access asks the real binary who may do what: every cell of spec
// access.md §2 to §4 and what §6 says of HTTP, over TLS, at an edge with a
// control plane and at a pure edge, with a real OpenID provider. The tables
// here are those of the specification; each of their cells is a subtest.
package access

import (
	"os"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func TestMain(m *testing.M) { os.Exit(slipwaytest.Main(m.Run)) }

// TestAccess has one world for all: what is asked first is asked with all
// settings on, then the control plane and the provider have their outages, and
// what is asked last is asked with the settings' defaults.
func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.populate(t)
	for _, part := range []struct {
		name string
		run  func(*world, *testing.T)
	}{
		{"apps with public_mode", (*world).askApps},
		{"instances with base_url_sharing", (*world).askInstances},
		{"aliases with user_aliases", (*world).askAliases},
		{"tags", (*world).askTags},
		{"secrets", (*world).askSecrets},
		{"cookies", (*world).askCookies},
		{"tickets", (*world).askTickets},
		{"ways back", (*world).askWaysBack},
		{"refusals", (*world).askRefusals},
		{"other origins", (*world).askOrigins},
		{"identity headers", (*world).askIdentity},
		{"audit", (*world).askAudit},
		{"keys and renewal", (*world).askKeys},
		{"wakes", (*world).askWakes},
		{"streams of the API", (*world).askStreams},
		{"rights that end", (*world).askEnds},
		{"provider down", (*world).askWithoutProvider},
		{"control plane down", (*world).askWithoutControl},
		{"defaults", (*world).askDefaults},
		{"keys a day later", (*world).askRotation}, // nobody enters any more for 20 s
	} {
		w.stayIn(t)
		if !t.Run(part.name, func(t *testing.T) { part.run(w, t) }) && !w.up() {
			t.Fatal("the world is gone")
		}
	}
}
