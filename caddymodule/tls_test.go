package caddymodule_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/http2"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
)

// loaded is a certificate in the configuration.
func loaded(t *testing.T, names ...string) settings {
	c := certtest.SelfSigned(t, names...)
	return settings{"certificate": string(c.Cert), "key": string(c.Key)}
}

// change edits the configuration before the edge starts.
func (e *edge) change(f func(apps, server map[string]any)) {
	e.t.Helper()
	var config map[string]any
	if err := json.Unmarshal([]byte(e.config), &config); err != nil {
		e.t.Fatal(err)
	}
	apps := config["apps"].(map[string]any)
	f(apps, apps["http"].(map[string]any)["servers"].(map[string]any)["edge"].(map[string]any))
	text, err := json.Marshal(config)
	if err != nil {
		e.t.Fatal(err)
	}
	e.config = string(text)
}

// startTLSEdge has certificates for the base domain and the names below it, and
// for custom.example.
func startTLSEdge(t *testing.T, protocols ...string) *edge {
	t.Helper()
	e := newEdge(t, settings{"base_url": "https://" + base})
	e.change(func(apps, server map[string]any) {
		server["protocols"] = protocols
		server["tls_connection_policies"] = []any{settings{}}
		apps["tls"] = settings{"certificates": settings{"load_pem": []any{
			loaded(t, base, "*."+base), loaded(t, "custom.example"),
		}}}
	})
	e.load()
	t.Cleanup(stopCaddy(t))
	return e
}

func TestAHostThatTheCertificateDoesNotCoverIsMisdirected(t *testing.T) {
	e := startTLSEdge(t, "h1", "h2")
	one, two := instance(1, serve(t, hello)), instance(2, serve(t, hello))
	e.put(one, two)
	host := func(n int) string { return instanceID(n) + "." + base }
	for _, tc := range []struct {
		name, sni, host string
		want            int
	}{
		{"the handshake's name", host(1), host(1), 200},
		{"upper case and a port", host(1), strings.ToUpper(instanceID(1)) + "." + base + ":443", 200},
		{"another name of the certificate", host(1), host(2), 200},
		{"a name of another certificate", "custom.example", host(1), 421},
		{"an unknown name, before it is looked up", "custom.example", "nobody." + base, 421},
		{"the base domain on another certificate", "custom.example", base, 421},
		{"an unknown name of the certificate", host(1), "nobody." + base, 404},
		{"a name two labels below", host(1), "a.b." + base, 421},
		{"a malformed name is no host", "custom.example", "a_b", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", e.addr, &tls.Config{ServerName: tc.sni, InsecureSkipVerify: true}) //nolint:gosec // the name alone matters
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", tc.host)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.want {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.want)
			}
			if tc.want == 421 && resp.Header.Get("Cache-Control") != "no-store" {
				t.Error("a 421 may be cached")
			}
		})
	}
	if conn, err := tls.Dial("tcp", e.addr, &tls.Config{ServerName: host(1), InsecureSkipVerify: true}); err != nil { //nolint:gosec // see above
		t.Error(err)
	} else {
		defer conn.Close()
		fmt.Fprintf(conn, "TRACE / HTTP/1.1\r\nHost: custom.example\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 405 {
			t.Errorf("TRACE gives %v, %v", resp, err)
		}
	}
}

// overHTTP2 is a client that speaks HTTP/2 without TLS to the edge. That of
// net/http takes no header :protocol.
func (e *edge) overHTTP2() http.RoundTripper {
	transport := &http2.Transport{AllowHTTP: true}                                                       //nolint:staticcheck // see above
	transport.DialTLSContext = func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) { //nolint:staticcheck // see above
		return new(net.Dialer).DialContext(ctx, "tcp", e.addr)
	}
	e.t.Cleanup(transport.CloseIdleConnections) //nolint:staticcheck // see above
	return transport
}

func TestTheHealthListener(t *testing.T) {
	address := freeAddr(t)
	e := startEdge(t, settings{"health_listen": address})
	for range 2 { // before and after a reload
		for url, want := range map[string]int{"/livez": 200, "/readyz": 200, "/": 404, "/api/v1/apps": 404} {
			resp, err := again(e, func() (*http.Response, error) { return http.Get("http://" + address + url) })
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s gives %d, want %d", url, resp.StatusCode, want)
			}
		}
		e.load()
		http.DefaultClient.CloseIdleConnections()
	}
	for name, bad := range map[string]string{
		"a range of ports": "127.0.0.1:1-9", "no port": "127.0.0.1", "the port of a server": e.addr, "the same on every address": strings.Replace(e.addr, "127.0.0.1", "", 1),
	} {
		config := strings.Replace(e.config, address, bad, 1)
		if err := caddy.Load([]byte(config), true); err == nil || !strings.Contains(err.Error(), "health_listen") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForwardedHeadersOfATrustedProxy(t *testing.T) {
	for _, tc := range []struct {
		name    string
		trusted []string
		sent    []string
		want    string
	}{
		{"nobody is trusted by default", nil, []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "evil", "X-Forwarded-Proto", "https"},
			"127.0.0.1 HOST http"},
		{"another network", []string{"10.0.0.0/8"}, []string{"X-Forwarded-For", "6.6.6.6"}, "127.0.0.1 HOST http"},
		{"an address", []string{"127.0.0.1"}, []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-Host", "public.example", "X-Forwarded-Proto", "https"},
			"6.6.6.6, 127.0.0.1 public.example https"},
		{"a network", []string{"10.0.0.0/8", "127.0.0.0/8"}, []string{"X-Forwarded-For", "6.6.6.6, 7.7.7.7"}, "6.6.6.6, 7.7.7.7, 127.0.0.1 HOST http"},
		{"it says nothing", []string{"127.0.0.0/8"}, nil, "127.0.0.1 HOST http"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			more := settings{}
			if tc.trusted != nil {
				more["trusted_proxies"] = tc.trusted
			}
			e := startEdge(t, more)
			in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Host"), " ", r.Header.Get("X-Forwarded-Proto"))
			}))
			e.put(in)
			want := strings.Replace(tc.want, "HOST", in.ID+"."+base, 1)
			if got := text(e.do("GET", urlOf(in)+"/", tc.sent...)); got != want {
				t.Errorf("the app is told %q, want %q", got, want)
			}
		})
	}
}
