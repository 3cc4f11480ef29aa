package sampleapp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"image/png"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

const testID = "0d7f3a52-4a3e-4f41-9a33-51b1f6a0c001"

var baseURLMode = map[string]string{
	"H2O_WAVE_BASE_URL":     "/instance/" + testID + "/",
	"H2O_CLOUD_INSTANCE_ID": testID,
	"H2O_CLOUD_APP_NAME":    Name,
	"H2O_CLOUD_APP_VERSION": Version,
	"SLIPWAY_URL":           "http://localhost:8080/instance/" + testID + "/",
}

func TestPaths(t *testing.T) {
	const prefix = "/instance/" + testID
	domain := map[string]string{}
	tests := []struct {
		name, target string
		env          map[string]string
		status       int
		contentType  string
	}{
		{"page", "/", domain, 200, "text/html; charset=utf-8"},
		{"page below", "/a/b?c", domain, 200, "text/html; charset=utf-8"},
		{"no redirect to a clean path", "//a/../b/", domain, 200, "text/html; charset=utf-8"},
		{"JSON", "/whoami?x", domain, 200, "application/json; charset=utf-8"},
		{"an escaped name is another one", "/%77hoami", domain, 200, "text/html; charset=utf-8"},
		{"health", "/healthz", domain, 200, "text/plain; charset=utf-8"},
		{"icon", "/icon.png", domain, 200, "image/png"},
		{"no upgrade", "/ws", domain, 426, "text/plain; charset=utf-8"},

		{"prefix: page", prefix + "/", baseURLMode, 200, "text/html; charset=utf-8"},
		{"prefix: JSON", prefix + "/whoami", baseURLMode, 200, "application/json; charset=utf-8"},
		{"prefix: health", prefix + "/healthz", baseURLMode, 200, "text/plain; charset=utf-8"},
		{"prefix: health for the launcher", "/healthz", baseURLMode, 200, "text/plain; charset=utf-8"},
		{"prefix: without its slash", prefix, baseURLMode, 404, "text/plain; charset=utf-8"},
		{"prefix: stripped", "/whoami", baseURLMode, 404, "text/plain; charset=utf-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := exchange(t, serve(t, tt.env), "GET "+tt.target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if got := resp.Header.Get("Content-Type"); resp.StatusCode != tt.status || got != tt.contentType {
				t.Errorf("%d %s, want %d %s", resp.StatusCode, got, tt.status, tt.contentType)
			}
		})
	}
}

func TestWhoamiShowsTheRequestByteForByte(t *testing.T) {
	targets := []string{
		"/whoami?a;b=1&c",
		"/whoami?x=%00;y&%zz",
		"/whoami?",
	}
	for _, target := range targets {
		t.Run(target, func(t *testing.T) {
			s := whoami(t, serve(t, nil), "PUT "+target+" HTTP/1.1\r\nHost: A.example:81\r\nx-one: 1\r\nX-One: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc")
			if s.Method != "PUT" || s.Target != target || s.Host != "A.example:81" || s.Proto != "HTTP/1.1" || s.BodySize != 3 {
				t.Errorf("saw %+v", s)
			}
			if got := strings.Join(s.Headers["X-One"], ","); got != "1,2" {
				t.Errorf("X-One %q, want 1,2", got)
			}
			if s.Remote == "" || s.Instance.RoutingMode != "DOMAIN" || s.Instance.BasePath != "/" {
				t.Errorf("saw %+v", s)
			}
		})
	}
}

func TestPageShowsTheRequestLine(t *testing.T) {
	const target = "/a%2f..%2fb;c/%2e%2e/d?x=%00;y"
	resp := exchange(t, serve(t, nil), "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	body := read(t, resp)
	if want := "<pre id=\"line\">GET " + target + " HTTP/1.1</pre>"; !strings.Contains(html.UnescapeString(body), want) {
		t.Errorf("the page has no %s:\n%s", want, body)
	}
}

func TestWhoamiKnowsTheInstance(t *testing.T) {
	prefix := baseURLMode["H2O_WAVE_BASE_URL"]
	s := whoami(t, serve(t, baseURLMode), "GET "+prefix+"whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	want := instance{
		ID: testID, URL: baseURLMode["SLIPWAY_URL"], RoutingMode: "BASE_URL", BasePath: prefix,
		AppName: Name, AppVersion: Version,
	}
	if s.Instance != want {
		t.Errorf("instance %+v, want %+v", s.Instance, want)
	}
}

func TestPageEscapes(t *testing.T) {
	const evil = `<script>alert('1')</script>"><img src=x onerror=alert(2)>`
	env := map[string]string{
		"SLIPWAY_URL": "javascript:alert(3)", "H2O_CLOUD_INSTANCE_ID": evil, "H2O_CLOUD_APP_NAME": evil, "H2O_CLOUD_APP_VERSION": evil,
	}
	raw := "POST /" + strings.ReplaceAll(evil, " ", "+") + " HTTP/1.1\r\nHost: x\r\nX-Evil: " + evil +
		"\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	resp := exchange(t, serve(t, env), raw)
	body := read(t, resp)
	if resp.StatusCode != 200 {
		t.Fatalf("status %d: %s", resp.StatusCode, body)
	}
	for _, bad := range []string{"<script>alert", "<img src=x", `href="javascript:`} {
		if strings.Contains(body, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
	for _, want := range []string{"onerror=alert(2)", "5 bytes", `<th scope="row">X-Evil</th>`, "chunked"} {
		if !strings.Contains(html.UnescapeString(body), want) {
			t.Errorf("the page does not hold %s", want)
		}
	}
	policy := resp.Header.Get("Content-Security-Policy")
	_, nonce, _ := strings.Cut(policy, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if len(nonce) < 20 || !strings.Contains(body, `<script nonce="`+nonce+`">`) || !strings.Contains(body, `<style nonce="`+nonce+`">`) {
		t.Errorf("policy %q does not allow the page's own script", policy)
	}
}

func TestPageTellsABodysSize(t *testing.T) {
	const large = 3 << 20
	resp, err := http.Post(serve(t, nil).URL, "text/plain", strings.NewReader(strings.Repeat("x", large)))
	if err != nil {
		t.Fatal(err)
	}
	if body := read(t, resp); !strings.Contains(body, fmt.Sprintf(`<td id="body-size">%d bytes</td>`, large)) {
		t.Errorf("the page does not tell %d bytes", large)
	}
}

func TestPageUsesNothingFromOutside(t *testing.T) {
	body := read(t, exchange(t, serve(t, nil), "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	for _, bad := range []string{"http://", "https://", "@import", `src="//`} {
		if strings.Contains(body, bad) {
			t.Errorf("the page holds %s", bad)
		}
	}
}

func TestWebSocketEchoes(t *testing.T) {
	for name, env := range map[string]map[string]string{"DOMAIN": nil, "BASE_URL": baseURLMode} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, env)
			conn := dial(t, server.URL+instanceOf(variables(env)).BasePath)
			defer conn.CloseNow()
			for kind, message := range map[websocket.MessageType]string{
				websocket.MessageText:   "grüße",
				websocket.MessageBinary: strings.Repeat("\x00\xff", maxMessage/2),
			} {
				if err := conn.Write(t.Context(), kind, []byte(message)); err != nil {
					t.Fatal(err)
				}
				conn.SetReadLimit(maxMessage + 1)
				back, data, err := conn.Read(t.Context())
				if err != nil || back != kind || string(data) != message {
					t.Errorf("got %v %.20q %v, want %v %.20q", back, data, err, kind, message)
				}
			}
			conn.Close(websocket.StatusNormalClosure, "")
		})
	}
}

func TestWebSocketRefuses(t *testing.T) {
	server := serve(t, nil)
	_, resp, err := websocket.Dial(t.Context(), server.URL+"/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"http://evil.example"}},
	})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("another origin: %v, want 403", err)
	}

	conn := dial(t, server.URL+"/")
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageBinary, make([]byte, maxMessage+1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("a message that is too long: %v, want code 1009", err)
	}
}

func TestEventsTick(t *testing.T) {
	resp, err := http.Get(serve(t, nil).URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %s", got)
	}
	lines := bufio.NewScanner(resp.Body)
	for range 2 {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "data: 20") || !lines.Scan() || lines.Text() != "" {
			t.Fatalf("got %q, %v", lines.Text(), lines.Err())
		}
	}
}

func TestIconIsAPicture(t *testing.T) {
	data, err := icon()
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size.X != iconSize || size.Y != iconSize || len(data) > 100_000 {
		t.Errorf("%v pixels in %d bytes", size, len(data))
	}
}

// serve runs the app in a test server.
func serve(t *testing.T, env map[string]string) *httptest.Server {
	t.Helper()
	stop, cancel := context.WithCancel(context.Background())
	a := &app{instance: instanceOf(variables(env)), log: log.New(io.Discard, "", 0), stop: stop}
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		cancel()
		server.Close()
		a.sockets.wait()
	})
	return server
}

// exchange sends bytes as they are and reads one answer.
func exchange(t *testing.T, server *httptest.Server, raw string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func whoami(t *testing.T, server *httptest.Server, raw string) seen {
	t.Helper()
	resp := exchange(t, server, raw)
	body := read(t, resp)
	var s seen
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return s
}
