package controlmodule

import (
	"encoding/json"
	"net"
	"net/netip"
	"testing"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

func freeAddress(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String())
}

// No app can be where this process itself listens.
func TestOwnAddresses(t *testing.T) {
	server, health, edges, other := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	everywhere := freeAddress(t)
	type settings map[string]any
	config, err := json.Marshal(settings{
		"admin":   settings{"disabled": true, "config": settings{"persist": false}},
		"storage": settings{"module": "file_system", "root": t.TempDir()},
		"apps": settings{
			"tls": settings{"disable_storage_clean": true}, // it would outlive the test
			"http": settings{"servers": settings{"edge": settings{
				"listen":          []string{server.String(), netip.AddrPortFrom(netip.IPv4Unspecified(), everywhere.Port()).String()},
				"automatic_https": settings{"disable": true},
			}}},
			"slipway": settings{
				"base_url": "http://apps.example", "health_listen": health.String(), "edge_name": "own",
				"etcd":             settings{"endpoints": []string{etcdtest.Shared(t).Endpoint()}, "prefix": etcdtest.Prefix(t)},
				"control_listener": settings{"listen": edges.String()},
				"control_plane":    settings{"blobs": t.TempDir(), "launchers": settings{"manual": settings{}}},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		name string
		at   netip.AddrPort
		own  bool
	}{
		{"a server", server, true},
		{"a server on every address", everywhere, true},
		{"health_listen", health, true},
		{"the listener for other edges", edges, true},
		{"a server's port of another address", netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), server.Port()), false},
		{"another port", other, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ownAddress(c.at); got != c.own {
				t.Errorf("%s is its own: %v", c.at, got)
			}
		})
	}
}
