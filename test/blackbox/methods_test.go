package blackbox

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// methods are those that the edge answers, or that are upgrades.
var methods = []struct {
	name, raw string
	status    int
	kept      bool
}{
	{"TRACE", request("TRACE", "{D}.{base}", "/"), 405, false},
	{"TRACE of the base domain", request("TRACE", "{base}", "/"), 405, false},
	{"CONNECT to an authority", request("CONNECT", "evil.example:443", "evil.example:443"), 405, false},
	{"CONNECT to a path", request("CONNECT", "{D}.{base}", "/"), 405, false},
	{"CONNECT with a :protocol that is no pseudo field", request("CONNECT", "{D}.{base}", "/", "protocol: websocket"), 405, false},
	{"OPTIONS *", request("OPTIONS", "{D}.{base}", "*"), 200, true},
	{"OPTIONS * of an unknown host", request("OPTIONS", "nobody.{base}", "*"), 200, true},
	{"OPTIONS * of a sleeping instance", request("OPTIONS", "{S}.{base}", "*"), 200, true},
	{"OPTIONS * with a body", withBody("OPTIONS", "{D}.{base}", "*", "body"), 200, true},
	{"OPTIONS of a path is the app's", request("OPTIONS", "{D}.{base}", "/a"), 200, true},
	{"a method of one's own is the app's", request("BREW", "{D}.{base}", "/a"), 200, true},
	{"trace in small letters is the app's", request("trace", "{D}.{base}", "/a"), 200, true},
	{"a WebSocket", request("GET", "{D}.{base}", "/ws", webSocket), 101, false},
	{"a WebSocket in capitals", request("GET", "{D}.{base}", "/ws", strings.Replace(webSocket, "websocket", "WEBSOCKET", 1)), 101, false},
	{"a WebSocket under a prefix", request("GET", "{base}", "/instance/{B}/ws", webSocket), 101, false},
	{"a WebSocket by POST is a request", request("POST", "{D}.{base}", "/a", webSocket, "Content-Length: 0"), 200, true},
	{"a WebSocket with a body is a request", withBody("GET", "{D}.{base}", "/a", "body", webSocket), 200, true},
	{"a WebSocket that the app does not take", request("GET", "{D}.{base}", "/a", webSocket), 200, true},
}

func TestMethodsAndUpgrades(t *testing.T) {
	w := setUp(t)
	for _, x := range methods {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			a, kept := e.talk(t, x.raw)
			wantStatus(t, a, x.status)
			if kept != x.kept {
				t.Errorf("kept is %v", kept)
			}
			if x.status == 405 && a.header.Get("Allow") == "" || strings.HasPrefix(x.name, "OPTIONS *") && a.header.Get("Allow") == "" {
				t.Error("there is no Allow")
			}
			if strings.HasSuffix(x.name, "the app's") {
				a.echo(t)
			}
		})
	}
}

// Over HTTP/2 a WebSocket is an extended CONNECT.
func TestExtendedConnect(t *testing.T) {
	w := setUp(t)
	transport := &http2.Transport{AllowHTTP: true}                                                       //nolint:staticcheck // net/http's takes no :protocol
	transport.DialTLSContext = func(ctx context.Context, _, _ string, _ *tls.Config) (net.Conn, error) { //nolint:staticcheck // see above
		return new(net.Dialer).DialContext(ctx, "tcp", w.up.addr)
	}
	defer transport.CloseIdleConnections() //nolint:staticcheck // see above
	for _, x := range []struct {
		name, method, host, path, protocol string
		status                             int
	}{
		{"websocket", "CONNECT", "{D}.{base}", "/ws", "websocket", 200},
		{"websocket under a prefix", "CONNECT", "{base}", "/instance/{B}/ws", "websocket", 200},
		{"websocket at another name", "CONNECT", "d-alias.{base}", "/ws", "websocket", 200},
		{"websocket in the wrong mode", "CONNECT", "{base}", "/instance/{D}/ws", "websocket", 307},
		{"websocket of an unknown name", "CONNECT", "nobody.{base}", "/ws", "websocket", 404},
		{"another protocol", "CONNECT", "{D}.{base}", "/ws", "connect-udp", 501},
		{"another protocol, before the host is looked at", "CONNECT", "nobody.{base}", "/ws", "webtransport", 501},
		{"no protocol", "CONNECT", "{D}.{base}", "", "", 405},
		{"TRACE", "TRACE", "{D}.{base}", "/", "", 405},
	} {
		t.Run(x.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), x.method, "http://"+w.up.fill(x.host+x.path), nil)
			if err != nil {
				t.Fatal(err)
			}
			if x.protocol != "" {
				r.Header[":protocol"] = []string{x.protocol}
				r.Header.Set("Sec-WebSocket-Version", "13")
			}
			response, err := transport.RoundTrip(r) //nolint:staticcheck // see above
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != x.status {
				t.Errorf("status %d, want %d", response.StatusCode, x.status)
			}
		})
	}
}

// http10 are answers of every kind to HTTP/1.0: each says that it is the last.
var http10 = []struct {
	name, line, fields string
	status             int
}{
	{"of the app", "GET /a", "Host: {D}.{base}\r\n", 200},
	{"of the app, in chunks", "GET /answer", "Host: {D}.{base}\r\nX-Answer: " + base64.StdEncoding.EncodeToString([]byte(
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n1\r\na\r\n0\r\n\r\n")) + "\r\n", 200},
	{"of the app, to HEAD", "HEAD /a", "Host: {D}.{base}\r\n", 200},
	{"of the app, to a body", "POST /a", "Host: {D}.{base}\r\nContent-Length: 0\r\n", 200},
	{"of the app, to an upgrade", "GET /a", "Host: {D}.{base}\r\n" + webSocket + "\r\n", 200},
	{"a redirect", "GET /a", "Host: d-alias.{base}\r\n", 302},
	{"the console's redirect", "GET /", "Host: {base}\r\n", 302},
	{"404", "GET /a", "Host: nobody.{base}\r\n", 404},
	{"405", "TRACE /a", "Host: {D}.{base}\r\n", 405},
	{"400", "GET /%zz", "Host: {D}.{base}\r\n", 400},
	{"400 by its host", "GET /", "Host: a_b\r\n", 400},
	{"414", "GET /" + long(33<<10), "Host: {D}.{base}\r\n", 414},
	{"OPTIONS *", "OPTIONS *", "Host: {D}.{base}\r\n", 200},
	{"OPTIONS * without a host", "OPTIONS *", "", 200},
	{"the API", "GET /api/openapi.json", "Host: {base}\r\n", 200},
	{"health", "GET /livez", "Host: {base}\r\n", 200},
	{"the console", "GET /", "Host: console.{base}\r\n", 200},
	{"status", "GET /.slipway/status", "Host: {D}.{base}\r\n", 200},
}

func TestHTTP10AnswersEndTheConnection(t *testing.T) {
	w := setUp(t)
	for _, x := range http10 {
		for how, field := range map[string]string{"plain": "", "keep-alive": "Connection: keep-alive\r\n"} {
			t.Run(x.name+" "+how, func(t *testing.T) {
				a, kept := w.up.talk(t, x.line+" HTTP/1.0\r\n"+x.fields+field+"\r\n")
				wantStatus(t, a, x.status)
				if got := a.header["Connection"]; kept || len(got) != 1 || got[0] != "close" {
					t.Errorf("kept is %v, Connection is %q", kept, got)
				}
				if got := a.header["Transfer-Encoding"]; got != nil || len(a.interim) > 0 {
					t.Errorf("Transfer-Encoding is %q, interim answers %v", got, a.interim)
				}
			})
		}
	}
}
