package caddymodule

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/framing"
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

// The guard sees HTTP/1 alone; HTTP/2 and HTTP/3 get the same answers.
func TestTooLargeRequestsAreRefusedAlikeInAllProtocols(t *testing.T) {
	for name, head := range map[string]string{
		"too long a target": "GET /" + strings.Repeat("x", 32<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"too many fields":   "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("A: b\r\n", 201) + "\r\n",
		"neither":           "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
			if err != nil {
				t.Fatal(err)
			}
			wantStatus, wantCode, want := framing.Judge([]byte(head))
			status, code, bad := oversized(r)
			if status != wantStatus || code != wantCode || bad != want {
				t.Errorf("%d %s %v, want %d %s %v", status, code, bad, wantStatus, wantCode, want)
			}
		})
	}
}
