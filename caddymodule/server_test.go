package caddymodule

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestTheServerGetsTheLimitsThatTheOperatorLeft(t *testing.T) {
	guard := []json.RawMessage{json.RawMessage(`{"wrapper": "slipway"}`)}
	other := []json.RawMessage{json.RawMessage(`{"wrapper": "http_redirect"}`)}
	for _, tc := range []struct {
		name     string
		server   *caddyhttp.Server
		head     int
		timeout  time.Duration
		warnings int
	}{
		{"Caddy's", &caddyhttp.Server{MaxHeaderBytes: 16 << 10, ListenerWrappersRaw: guard}, 64 << 10, 10 * time.Second, 0},
		{"the operator's", &caddyhttp.Server{MaxHeaderBytes: 32 << 10, ReadHeaderTimeout: caddy.Duration(time.Second), ListenerWrappersRaw: guard}, 32 << 10, time.Second, 0},
		{"without a guard", &caddyhttp.Server{MaxHeaderBytes: 16 << 10}, 64 << 10, 10 * time.Second, 1},
		{"with another wrapper", &caddyhttp.Server{MaxHeaderBytes: 16 << 10, ListenerWrappersRaw: other}, 64 << 10, 10 * time.Second, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			core, logged := observer.New(zap.WarnLevel)
			prepareServer(tc.server, zap.New(core))
			if tc.server.MaxHeaderBytes != tc.head || time.Duration(tc.server.ReadHeaderTimeout) != tc.timeout {
				t.Errorf("limits are %d, %s", tc.server.MaxHeaderBytes, time.Duration(tc.server.ReadHeaderTimeout))
			}
			if logged.Len() != tc.warnings {
				t.Errorf("logged %v", logged.All())
			}
		})
	}
}
