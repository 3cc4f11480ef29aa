package blackbox

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// edge is a running one, and the URLs that it was configured with.
type edge struct {
	world        *world
	addr, secure string // its listeners; secure is with TLS
	base         string // domain
	start, port  string // of its URLs: "https://" and ":8443"
	strict       bool
}

// url is what this edge writes for "host/path".
func (e *edge) url(text string) string {
	host, rest, _ := strings.Cut(e.fill(text), "/")
	return e.start + host + e.port + "/" + rest
}

// request is the bytes of one with a Host; fields are whole lines. Names in
// braces are filled in when it is sent.
func request(method, host, target string, fields ...string) string {
	raw := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n"
	for _, line := range fields {
		raw += line + "\r\n"
	}
	return raw + "\r\n"
}

// withBody is a request with a body of known length.
func withBody(method, host, target, body string, fields ...string) string {
	return request(method, host, target, append(fields, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

// answer is what came back for one request.
type answer struct {
	status   int
	minor    int // of HTTP/1.x
	header   http.Header
	body     []byte
	trailer  http.Header
	interim  []int // the 1xx before it
	location string
}

// echo is what the test app says about a request (test/e2e/testapp).
type echo struct {
	URI, Method, Host, Instance string
	Header                      http.Header
	Body                        string `json:"body_sha256"`
	Raw                         []byte
}

func (a answer) echo(t *testing.T) echo {
	t.Helper()
	var e echo
	if err := json.Unmarshal(a.body, &e); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d is no answer of the app: %v\n%.300s", a.status, err, a.body)
	}
	return e
}

// sentinel follows what a case sends, over the same connection and at once: its
// answer says that the edge and the case agree on where the request ended.
const sentinel = "GET /sentinel HTTP/1.1\r\nHost: {D}.{base}\r\nConnection: close\r\n\r\n"

// talk sends a request and the sentinel. It returns the answer, and whether the
// connection was kept for the sentinel. Any other answer fails the test.
func (e *edge) talk(t *testing.T, raw string) (a answer, kept bool) {
	t.Helper()
	answers, err := e.answers(raw+sentinel, "GET")
	if err != nil && len(answers) == 0 {
		t.Fatalf("no answer to %.200q: %v", e.fill(raw), err)
	}
	switch {
	case len(answers) == 1:
		return answers[0], false
	case len(answers) > 2:
		t.Fatalf("%d answers to %.200q and another request", len(answers), e.fill(raw))
	}
	second := answers[1]
	if got := second.echo(t); got.URI != "/sentinel" || got.Instance != e.world.ids["D"] || len(got.Header["Content-Length"]) > 0 {
		t.Errorf("behind %.200q the app got %s %s", e.fill(raw), got.Method, got.URI)
	}
	return answers[0], true
}

// ask sends a request alone and returns its answer.
func (e *edge) ask(raw string) (answer, error) {
	answers, err := e.answers(raw, "")
	if len(answers) > 0 {
		return answers[0], nil
	}
	return answer{}, err
}

// answers sends bytes and returns all that is answered until the connection
// ends; if nothing is to follow, the first answer. Next is the method of what
// follows the first request.
func (e *edge) answers(raw, next string) ([]answer, error) {
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		return nil, err
	}
	return converse(conn, e.fill(raw), next)
}

// converse does it over a connection, and ends that.
func converse(conn net.Conn, raw, next string) ([]answer, error) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(slipwaytest.Patience))
	sent := make(chan struct{})
	go func() { // ends with the connection
		defer close(sent)
		io.WriteString(conn, raw)
	}()
	defer func() { conn.Close(); <-sent }()
	method, _, _ := strings.Cut(raw, " ")
	reader := bufio.NewReader(conn)
	var got []answer
	for {
		a, err := readAnswer(reader, method)
		if errors.Is(err, io.EOF) && len(got) > 0 {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, a)
		if next == "" || a.status == http.StatusSwitchingProtocols {
			return got, nil
		}
		method = next
	}
}

func readAnswer(r *bufio.Reader, method string) (answer, error) {
	var interim []int
	for {
		if _, err := r.Peek(1); err != nil {
			return answer{}, io.EOF
		}
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answer{}, err
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			interim = append(interim, response.StatusCode)
			continue
		}
		a := answer{
			status: response.StatusCode, minor: response.ProtoMinor, header: response.Header,
			interim: interim, location: response.Header.Get("Location"),
		}
		if response.Close && a.minor == 1 {
			a.header.Set("Connection", "close") // ReadResponse takes it out
		}
		if a.status != http.StatusSwitchingProtocols {
			a.body, err = io.ReadAll(response.Body)
			a.trailer = response.Trailer
		}
		return a, err
	}
}

// talkTLS sends a request over TLS by a server name.
func (e *edge) talkTLS(t *testing.T, name, raw string) answer {
	t.Helper()
	conn, err := tls.Dial("tcp", e.secure, &tls.Config{ServerName: e.fill(name), InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := converse(conn, e.fill(raw), "")
	if err != nil {
		t.Fatal(err)
	}
	return answers[0]
}

// wantOwn checks what holds for every answer that the edge gives by itself:
// redirects and refusals.
func wantOwn(t *testing.T, a answer) {
	t.Helper()
	if got := a.header["Cache-Control"]; len(got) != 1 || got[0] != "no-store" {
		t.Errorf("%d has Cache-Control %q, want no-store", a.status, got)
	}
	if got := a.header["Set-Cookie"]; got != nil {
		t.Errorf("%d has Set-Cookie %q", a.status, got)
	}
	if a.status == http.StatusMovedPermanently || a.status == http.StatusPermanentRedirect {
		t.Errorf("%d is for ever", a.status)
	}
}

// wantStatus checks a status, and what goes with it where the edge answers.
func wantStatus(t *testing.T, a answer, status int) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s %.200s", a.status, status, a.location, a.body)
	}
	if status >= 300 && a.status == status {
		wantOwn(t, a)
	}
}

// wantServed checks that an instance answered, and that it saw the target.
func (e *edge) wantServed(t *testing.T, a answer, letter, target string) echo {
	t.Helper()
	got := a.echo(t)
	if got.Instance != e.world.ids[letter] || got.URI != e.fill(target) {
		t.Errorf("%s of %s answered, want %s of %s", got.URI, got.Instance, e.fill(target), letter)
	}
	if line, _, _ := bytes.Cut(got.Raw, []byte("\r\n")); string(line) != got.Method+" "+e.fill(target)+" HTTP/1.1" {
		t.Errorf("the app read %q", line)
	}
	return got
}

// long is text of n bytes.
func long(n int) string { return strings.Repeat("x", n) }

// both runs a test on both edges.
func (w *world) both(t *testing.T, name string, f func(*testing.T, *edge)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Run("safe", func(t *testing.T) { f(t, w.up) })
		t.Run("strict", func(t *testing.T) { f(t, w.strict) })
	})
}
