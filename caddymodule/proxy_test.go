package caddymodule_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rawApp accepts connections, records the head of each request as it came and
// answers 204.
func rawApp(t *testing.T) (endpoint string, heads <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen := make(chan string, 16)
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				r := textproto.NewReader(bufio.NewReader(conn))
				for {
					var head strings.Builder
					for {
						line, err := r.ReadLine()
						if err != nil {
							return
						}
						if line == "" {
							break
						}
						head.WriteString(line + "\n")
					}
					seen <- head.String()
					io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
				}
			}()
		}
	}()
	return l.Addr().String(), seen
}

func TestTheTargetReachesTheAppByteForByte(t *testing.T) {
	e := startEdge(t, nil)
	endpoint, heads := rawApp(t)
	in, byPath := instance(1, endpoint), instance(2, endpoint)
	byPath.RoutingMode = "BASE_URL"
	e.put(in, byPath)
	prefix := "/instance/" + byPath.ID
	for _, tc := range []struct{ name, target, host, want string }{
		{"escapes", "/a%2f..%2fb;c/%2e%2e/d?x=%00;y", in.ID + "." + base, ""},
		{"semicolons", "/?a;b=1&c", in.ID + "." + base, ""},
		{"empty query", "/x?", in.ID + "." + base, ""},
		{"double slashes", "//evil.example/a//b/./../c", in.ID + "." + base, ""},
		{"case of escapes", "/%c3%A4%7e", in.ID + "." + base, ""},
		{"query order", "/?b=2&a=1&b=+%20%2B", in.ID + "." + base, ""},
		{"path mode", prefix + "/a%2Fb?c", base, ""},
		{"absolute form", "http://" + in.ID + "." + base + "/x%2fy?z", "else.example", "/x%2fy?z"},
		{"absolute form without a path", "http://" + in.ID + "." + base, "else.example", "/"},
		{"host with a port", "/p", in.ID + "." + base + ":8080", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := e.raw(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", tc.target, tc.host))
			if resp.StatusCode != http.StatusNoContent {
				t.Fatalf("status %d, Location %q", resp.StatusCode, resp.Header.Get("Location"))
			}
			if tc.want == "" {
				tc.want = tc.target
			}
			line, rest, _ := strings.Cut(<-heads, "\n")
			if line != "GET "+tc.want+" HTTP/1.1" {
				t.Errorf("the app got %q, want the target %q", line, tc.want)
			}
			if !strings.HasPrefix(tc.target, "http") && !strings.Contains(rest, "Host: "+tc.host+"\n") {
				t.Errorf("the app got another Host than %q:\n%s", tc.host, rest)
			}
		})
	}
}

func TestHeadersThatReachTheApp(t *testing.T) {
	e := startEdge(t, nil)
	endpoint, heads := rawApp(t)
	in := instance(1, endpoint)
	e.put(in)
	host := in.ID + "." + base
	const asBefore = ""
	for _, tc := range []struct {
		name, header string
		want         map[string]string // "": the header is absent
	}{
		{"forwarded headers are ours", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n",
			map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": host, "X-Forwarded-Proto": "http", "Via": asBefore}},
		{"they survive Connection", "Connection: close, X-Forwarded-For, X-Forwarded-Host\r\n",
			map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": host, "Connection": asBefore}},
		{"origin headers go", "Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX-Original-URL: /\r\nX-Rewrite-URL: /\r\nX-Forwarded-Prefix: /\r\nProxy: x\r\nVia: 1.1 me\r\n",
			map[string]string{"Forwarded": "", "X-Real-Ip": "", "X-Original-Url": "", "X-Rewrite-Url": "", "X-Forwarded-Prefix": "", "Proxy": "", "Via": ""}},
		{"identity goes in any spelling", "x-slipway-USER: root\r\nX-Slipway-Email: a@b\r\nX-SLIPWAY-ROLES: admin\r\nX-Slipway-Instance: x\r\nX_Slipway_User: root\r\nX.Slipway.User: root\r\n",
			map[string]string{"X-Slipway-User": "", "X-Slipway-Email": "", "X-Slipway-Roles": "", "X-Slipway-Instance": "", "X_slipway_user": "", "X.slipway.user": ""}},
		{"identity goes where Connection names it", "Connection: close, X-Slipway-User\r\nX-Slipway-User: root\r\n",
			map[string]string{"X-Slipway-User": "", "Connection": ""}},
		{"hop-by-hop headers go", "Keep-Alive: 5\r\nProxy-Authorization: x\r\nTE: gzip\r\nConnection: X-Hop\r\nX-Hop: 1\r\n",
			map[string]string{"Keep-Alive": "", "Proxy-Authorization": "", "Te": "", "X-Hop": "", "Connection": ""}},
		{"the app's own stay", "Authorization: Basic eDp5\r\nCookie: a=b\r\nAccept-Encoding: br\r\nUser-Agent: x\r\nSec-Fetch-Mode: cors\r\n",
			map[string]string{"Authorization": "Basic eDp5", "Cookie": "a=b", "Accept-Encoding": "br", "User-Agent": "x", "Sec-Fetch-Mode": "cors"}},
		{"none are added", "",
			map[string]string{"Accept-Encoding": "", "User-Agent": "", "Via": "", "Connection": "", "Upgrade": ""}},
		{"h2c is no upgrade", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
			map[string]string{"Upgrade": "", "Connection": "", "Http2-Settings": ""}},
		{"a list of upgrades is none", "Connection: Upgrade\r\nUpgrade: foo, websocket\r\n", map[string]string{"Upgrade": "", "Connection": ""}},
		{"an empty upgrade before another", "Connection: Upgrade\r\nUpgrade: \r\nUpgrade: h2c\r\n", map[string]string{"Upgrade": "", "Connection": ""}},
		{"an upgrade without Connection", "Upgrade: websocket\r\n", map[string]string{"Upgrade": "", "Connection": ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := e.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\n" + tc.header + "\r\n")
			if resp.StatusCode != http.StatusNoContent {
				t.Fatalf("status %d", resp.StatusCode)
			}
			_, head, _ := strings.Cut(<-heads, "\n")
			got, err := textproto.NewReader(bufio.NewReader(strings.NewReader(head + "\n"))).ReadMIMEHeader()
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range tc.want {
				if have := strings.Join(got[name], "|"); have != want {
					t.Errorf("%s is %q, want %q", name, have, want)
				}
			}
		})
	}
}

func TestAnswersOfTheAppPassUnchanged(t *testing.T) {
	e := startEdge(t, nil)
	status := http.StatusOK
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/x-own")
		w.Header().Set("Location", "//else.example/")
		w.Header().Set("Cache-Control", "max-age=9")
		w.WriteHeader(status)
		io.WriteString(w, "own words")
	}))
	e.put(in)
	for _, status = range []int{200, 201, 301, 302, 400, 404, 418, 500, 502, 503, 504} {
		resp := e.do("GET", urlOf(in)+"/", "Accept", "text/html")
		got := []any{resp.StatusCode, text(resp), resp.Header.Get("Content-Type"), resp.Header.Get("Location"), resp.Header.Get("Cache-Control")}
		if diff := cmp.Diff([]any{status, "own words", "text/x-own", "//else.example/", "max-age=9"}, got); diff != "" {
			t.Errorf("%d (-want +got):\n%s", status, diff)
		}
	}
	e.wantNoErrors()
}

func TestCleartextHTTP2(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.RequestURI)
	}))
	e.put(in)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", e.addr)
	}}
	defer tr.CloseIdleConnections()
	e.http.Transport = tr
	resp := e.do("GET", urlOf(in)+"/a%2fb?c;d")
	if got := text(resp); got != "/a%2fb?c;d" || resp.ProtoMajor != 2 {
		t.Errorf("HTTP/%d, target %q", resp.ProtoMajor, got)
	}
	if resp := e.do("GET", "http://unknown."+base+"/"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown host gives %d", resp.StatusCode)
	}
}
