package framing_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http2"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	_ "github.com/seed-dbc68772/slipway/caddymodule/framing"
)

const patience = 20 * time.Second

type settings map[string]any

// startTLS starts a Caddy that says over which protocol it is asked, and
// returns where.
func startTLS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cert, key := certtest.SelfSigned(t, "a.test").Write(t, filepath.Join(dir, "a"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	config, err := json.Marshal(settings{
		"admin":   settings{"disabled": true, "config": settings{"persist": false}},
		"storage": settings{"module": "file_system", "root": dir},
		"logging": settings{"logs": settings{"default": settings{"level": "ERROR"}}},
		"apps": settings{
			"tls": settings{"certificates": settings{"load_files": []any{
				settings{"certificate": cert, "key": key},
			}}},
			"http": settings{"servers": settings{"edge": settings{
				"listen": []string{addr}, "protocols": []string{"h1", "h2"}, "read_header_timeout": time.Second,
				"automatic_https":         settings{"disable": true},
				"listener_wrappers":       []any{settings{"wrapper": "slipway"}},
				"tls_connection_policies": []any{settings{}},
				"routes": []any{settings{"handle": []any{settings{
					"handler": "static_response", "body": "{http.request.proto} {http.request.tls.proto} {http.request.host}",
				}}}},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return addr
}

func TestTLSAndItsProtocolsStay(t *testing.T) {
	addr := startTLS(t)
	for name, tc := range map[string]struct {
		h2   bool
		want string
	}{
		"HTTP/2":   {true, "HTTP/2.0 h2 " + "127.0.0.1"},
		"HTTP/1.1": {false, "HTTP/1.1 http/1.1 " + "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"}, ForceAttemptHTTP2: tc.h2}
			if !tc.h2 {
				transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			defer transport.CloseIdleConnections()
			resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); string(body) != tc.want {
				t.Errorf("asked %q, want %q", body, tc.want)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HTTP/1.1\nHost: a.test\n\n")
		if got, err := io.ReadAll(c); !strings.HasSuffix(string(got), "refused.invalid") {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("limits are advertised", func(t *testing.T) {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, http2.ClientPreface)
		frame, err := http2.NewFramer(c, c).ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[http2.SettingID]uint32{
			http2.SettingMaxConcurrentStreams: 250, http2.SettingMaxFrameSize: 16 << 10, http2.SettingHeaderTableSize: 4 << 10,
		} {
			if got, _ := frame.(*http2.SettingsFrame).Value(id); got != want {
				t.Errorf("%v is %d, want %d", id, got, want)
			}
		}
	})
	t.Run("HTTP/2 without its preface", func(t *testing.T) {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("%q, %v: it is answered", got, err)
		}
	})
	t.Run("without TLS", func(t *testing.T) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%v, %v", resp, err)
		}
	})
	t.Run("handshake that does not come", func(t *testing.T) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("%q, %v: the connection does not end", got, err)
		}
	})
}
