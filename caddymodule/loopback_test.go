package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestNothingListensBeyondLoopback: until there is sign-in, a configuration
// that would open every instance to the network does not start.
func TestNothingListensBeyondLoopback(t *testing.T) {
	const config = `{
		"admin": {"disabled": true, "config": {"persist": false}},
		"apps": {
			"slipway": {"base_url": "http://localhost", "etcd": {"endpoints": ["unix:///nowhere/etcd.sock"]}},
			"http": {"servers": {"edge": {
				"listen": ["LISTEN"], "automatic_https": {"disable": true},
				"routes": [{"handle": [{"handler": "slipway"}]}]
			}}}
		}
	}`
	for listen, refused := range map[string]bool{
		":0":          true,
		"0.0.0.0:0":   true,
		"[::]:0":      true,
		"127.0.0.1:0": false,
		"localhost:0": false,
	} {
		t.Run(listen, func(t *testing.T) {
			err := caddy.Load([]byte(strings.Replace(config, "LISTEN", listen, 1)), true)
			defer caddy.Stop()
			if !refused {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "default_bind 127.0.0.1") {
				t.Errorf("error %v, want one that names default_bind", err)
			}
		})
	}
}
