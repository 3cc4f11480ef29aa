package caddymodule

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func TestTheServerGetsTheLimitsThatTheOperatorLeft(t *testing.T) {
	for _, tc := range []struct {
		name    string
		server  *caddyhttp.Server
		head    int
		timeout time.Duration
	}{
		{"Caddy's", &caddyhttp.Server{MaxHeaderBytes: 16 << 10}, 64 << 10, 10 * time.Second},
		{"the operator's", &caddyhttp.Server{MaxHeaderBytes: 32 << 10, ReadHeaderTimeout: caddy.Duration(time.Second)}, 32 << 10, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			prepareServer(tc.server, zap.NewNop())
			if tc.server.MaxHeaderBytes != tc.head || time.Duration(tc.server.ReadHeaderTimeout) != tc.timeout {
				t.Errorf("limits are %d, %s", tc.server.MaxHeaderBytes, time.Duration(tc.server.ReadHeaderTimeout))
			}
		})
	}
}
