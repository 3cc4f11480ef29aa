package blackbox

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// line is a request whose first line has n bytes, without its end.
func line(n int, host string) string {
	const start, end = "GET /", " HTTP/1.1"
	return start + long(n-len(start)-len(end)) + end + "\r\nHost: " + host + "\r\n\r\n"
}

// head is a request whose line and fields have n bytes, with their ends. It is
// for a host that every edge spells alike.
func head(n int) string {
	const start = "GET /a HTTP/1.1\r\nHost: custom.example\r\nX-Own: "
	return start + long(n-len(start)-len("\r\n\r\n")) + "\r\n\r\n"
}

// many is a request of n fields, Host among them.
func many(n int, host, field string) string {
	return "GET /a HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Repeat(field+"\r\n", n-1) + "\r\n"
}

// sizes are §7's limits, and one byte or field beyond.
var sizes = []struct {
	name, raw string
	status    int
}{
	{"a request line of 32 KiB", line(32<<10, "{D}.{base}"), 200},
	{"a request line of 32 KiB and a byte", line(32<<10+1, "{D}.{base}"), 414},
	{"a request line of 1 MiB", line(1<<20, "{D}.{base}"), 414},
	{"a request line over 32 KiB of the base domain", line(32<<10+1, "{base}"), 414},
	{"a request line over 32 KiB of an unknown host", line(32<<10+1, "nobody.{base}"), 414},
	{"a request line over 32 KiB that would redirect", line(32<<10+1, "d-alias.{base}"), 414},
	{"a request line of 32 KiB that redirects", line(32<<10, "d-alias.{base}"), 302},
	{"a request line without an end", long(100 << 10), 414},
	{"a method of 64 KiB", long(64<<10) + " / HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 414},
	{"line and fields of 64 KiB", head(64 << 10), 200},
	{"line and fields of 64 KiB and a byte", head(64<<10 + 1), 431},
	{"line and fields of 1 MiB", head(1 << 20), 431},
	{"a name of 64 KiB", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\n" + long(64<<10) + ": 1\r\n\r\n", 431},
	{"a cookie of 60 KiB", request("GET", "{D}.{base}", "/a", "Cookie: a="+long(60<<10)), 200},
	{"200 fields", many(200, "{D}.{base}", "X-Own: 1"), 200},
	{"201 fields", many(201, "{D}.{base}", "X-Own: 1"), 431},
	{"201 fields of an unknown host", many(201, "nobody.{base}", "X-Own: 1"), 431},
	{"201 fields that are dropped", many(201, "{D}.{base}", "X_Own: 1"), 431},
	{"201 empty fields", many(201, "{D}.{base}", "X:"), 431},
	{"2000 fields", many(2000, "{D}.{base}", "X: 1"), 431},
}

func TestSizes(t *testing.T) {
	w := setUp(t)
	for _, x := range sizes {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			a, kept := e.talk(t, x.raw)
			wantStatus(t, a, x.status)
			if kept != (x.status < 400) {
				t.Errorf("kept is %v", kept)
			}
		})
	}
}

// slowly sends the parts with pauses between them, and reads until the end of
// the connection. It returns what came, and whether it ended by itself.
func slowly(t *testing.T, e *edge, pause time.Duration, parts ...string) (got string, ended bool) {
	t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := make(chan struct{})
	go func() { // ends with the connection, or its parts
		defer close(sent)
		for _, part := range parts {
			if _, err := io.WriteString(conn, e.fill(part)); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}()
	defer func() { conn.Close(); <-sent }()
	conn.SetReadDeadline(time.Now().Add(slipwaytest.Patience))
	all, err := io.ReadAll(conn)
	return string(all), !errors.Is(err, os.ErrDeadlineExceeded)
}

// Times are two seconds at one of the edges: for the headers, and for a body that
// makes no progress.
func TestTimes(t *testing.T) {
	w := setUp(t)
	post := "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nConnection: close\r\n"
	for _, x := range []struct {
		name  string
		pause time.Duration
		parts []string
		want  string // how the answer begins; "": there is none
	}{
		{"headers that are not whole in time", 0, []string{"GET / HTTP/1.1\r\nHost: {D}.{base}\r\nX-Own: "}, ""},
		{"headers that come byte by byte", 400 * time.Millisecond, strings.Split("GET / HTTP/1.1", ""), ""},
		{"headers behind a request", 0, []string{request("GET", "nobody.{base}", "/"), "GET / HTTP/1.1\r\n"}, "HTTP/1.1 404"},
		{"headers in two parts, in time", 100 * time.Millisecond, []string{"GET / HTTP/1.1\r\nHost: nobody.{base}\r\n", "Connection: close\r\n\r\n"}, "HTTP/1.1 404"},
		{"a body that makes no progress", 0, []string{post + "Content-Length: 10\r\n\r\nhalf"}, "HTTP/1.1 4"},
		{"a body in chunks that makes no progress", 0, []string{post + "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"}, "HTTP/1.1 4"},
		{"a slow body that progresses", 400 * time.Millisecond, append([]string{post + "Content-Length: 8\r\n\r\n"}, strings.Split("abcdefgh", "")...), "HTTP/1.1 200"},
		{"a slow body in chunks that progresses", 400 * time.Millisecond, []string{
			post + "Transfer-Encoding: chunked\r\n\r\n", "1\r", "\na\r\n", "1\r\n", "b", "\r\n", "0\r\n", "\r\n",
		}, "HTTP/1.1 200"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			got, ended := slowly(t, w.strict, x.pause, x.parts...)
			if !ended || x.want == "" && got != "" && !strings.HasPrefix(got, "HTTP/1.1 408") || !strings.HasPrefix(got, x.want) {
				t.Errorf("%.200q, ended is %v", got, ended)
			}
		})
	}
}
