package upstreamtest

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// answer is an app's answer and what the visitor gets.
type answer struct {
	name   string
	method string // default: GET
	raw    string
	closes bool // the app closes the connection after it

	status  int
	body    string
	header  string // "Name: value" that is there; "Name:" that is not
	trailer string // likewise
	reused  bool   // the connection serves the next request
}

func (a answer) run(f *fixture) {
	method := a.method
	if method == "" {
		method = http.MethodGet
	}
	f.start(func(c *appConn) {
		for {
			r, err := c.request()
			if err != nil {
				return
			}
			if r.RequestURI == "/next" {
				c.send(next)
				continue
			}
			if c.send(a.raw); a.closes {
				return
			}
		}
	})
	v := f.visit()
	v.send(method + " / HTTP/1.1\r\nHost: " + Host + "\r\n\r\n")
	resp, body := v.whole(method)
	for resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, body = v.whole(method)
	}
	if resp.StatusCode != a.status || a.status != http.StatusBadGateway && body != a.body {
		f.errorf("got %d %.80q, want %d %.80q", resp.StatusCode, body, a.status, a.body)
	}
	checkField(f, resp.Header, a.header)
	checkField(f, resp.Trailer, a.trailer)
	f.next()
	if conns := f.app.conns.Load(); a.reused && conns != 1 || !a.reused && conns < 2 {
		f.errorf("the app has seen %d connections", conns)
	}
}

// checkField compares one field: several of a name are joined by "|".
func checkField(f *fixture, h http.Header, field string) {
	if field == "" {
		return
	}
	name, value, _ := strings.Cut(field, ":")
	if got := strings.Join(h.Values(name), "|"); got != strings.TrimSpace(value) {
		f.errorf("%s is %.80q, want %.80q", name, got, strings.TrimSpace(value))
	}
}

func answerCases() []testCase {
	const head = "HTTP/1.1 200 OK\r\n"
	hints := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	return asCases([]answer{
		{name: "answer with a length", raw: head + "Content-Length: 5\r\n\r\nhello", status: 200, body: "hello", header: "Content-Length: 5", reused: true},
		{name: "answer of no length", raw: head + "Content-Length: 0\r\n\r\n", status: 200, header: "Content-Length: 0", reused: true},
		{name: "answer in chunks", raw: head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n", status: 200, body: "hello!", reused: true},
		{name: "answer in no chunks", raw: head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 200, reused: true},
		{name: "answer until close", raw: head + "\r\nhello", closes: true, status: 200, body: "hello"},
		{name: "answer that says close", raw: head + "Connection: close\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello", header: "Connection:"},
		{name: "answer of HTTP/1.0", raw: "HTTP/1.0 200 OK\r\n\r\nhello", closes: true, status: 200, body: "hello"},
		{name: "answer of HTTP/1.0 with a length", raw: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
		{name: "answer of HTTP/1.0 that keeps alive", raw: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", status: 200, body: "hello", reused: true},
		{name: "answer to HEAD", method: "HEAD", raw: head + "Content-Length: 1234\r\n\r\n", status: 200, header: "Content-Length: 1234", reused: true},
		{name: "answer to HEAD in chunks", method: "HEAD", raw: head + "Transfer-Encoding: chunked\r\n\r\n", status: 200, header: "Content-Length:", reused: true},
		{name: "204", raw: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reused: true},
		{name: "204 with a length", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", status: 204, header: "Content-Length:", reused: true},
		{name: "304", raw: "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 99\r\n\r\n", status: 304, header: "Etag: \"x\"", reused: true},
		{name: "204 with a body all the same", raw: "HTTP/1.1 204 No Content\r\n\r\n" + evil, status: 204},
		{name: "HEAD with a body all the same", method: "HEAD", raw: head + "Content-Length: 5\r\n\r\n" + evil, status: 200},
		{name: "more than the length", raw: head + "Content-Length: 2\r\n\r\nok" + evil, status: 200, body: "ok"},
		{name: "lower-case names", raw: head + "content-length: 5\r\nx-mine: 1\r\n\r\nhello", status: 200, body: "hello", header: "X-Mine: 1", reused: true},
		{name: "no reason phrase", raw: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", reused: true},
		{name: "unknown status", raw: "HTTP/1.1 799 Odd\r\nContent-Length: 2\r\n\r\nok", status: 799, body: "ok", reused: true},
		{name: "bare line feeds", raw: "HTTP/1.1 200 OK\nContent-Length: 2\nX-A: b\n\nok", status: 200, body: "ok", header: "X-A: b", reused: true},
		{name: "equal lengths twice", raw: head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", header: "Content-Length: 2", reused: true},
		{name: "length and chunks: chunks count", raw: head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", status: 200, body: "ok"},
		{name: "no guessed type", raw: head + "Content-Length: 6\r\n\r\n<html>", status: 200, body: "<html>", header: "Content-Type:", reused: true},
		{name: "the server is the app's", raw: head + "Server: mine/1\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", header: "Server: mine/1", reused: true},
		{name: "head of nearly 64 KiB", raw: head + "X-A: " + strings.Repeat("a", 60<<10) + "\r\nContent-Length: 2\r\n\r\nok", status: 200, body: "ok", reused: true},
		{name: "early hints", raw: hints + ok, status: 200, body: "ok", reused: true},
		{name: "continue unasked", raw: "HTTP/1.1 100 Continue\r\n\r\n" + ok, status: 200, body: "ok", reused: true},
		{name: "processing", raw: "HTTP/1.1 102 Processing\r\n\r\n" + ok, status: 200, body: "ok", reused: true},
		{name: "ten informational answers", raw: strings.Repeat(hints, 10) + ok, status: 200, body: "ok", reused: true},
		{name: "eleven informational answers", raw: strings.Repeat(hints, 11) + ok, status: 502},
		{name: "switching protocols unasked", raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", status: 502},
		{name: "announced trailer", raw: head + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", status: 200, body: "ok", trailer: "X-Sum: 1", reused: true},
		{name: "sudden trailer", raw: head + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", status: 200, body: "ok", trailer: "X-Sum: 1", reused: true},
	})
}

// evil must never pass for an answer.
const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

func asCases(answers []answer) (cases []testCase) {
	for _, a := range answers {
		cases = append(cases, testCase{name: a.name, run: a.run})
	}
	return cases
}

// malformedCases are answers that are none.
func malformedCases() []testCase {
	const head = "HTTP/1.1 200 OK\r\n"
	var answers []answer
	raw := malformed(head)
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		answers = append(answers, answer{name: name, raw: raw[name], status: http.StatusBadGateway, closes: true})
	}
	return asCases(answers)
}

func malformed(head string) map[string]string {
	return map[string]string{
		"folded header":                    head + "X-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
		"no HTTP":                          "220 mail.example ESMTP\r\n\r\n",
		"status of two digits":             "HTTP/1.1 20 OK\r\n\r\n",
		"status of four digits":            "HTTP/1.1 2000 OK\r\n\r\n",
		"status below 100":                 "HTTP/1.1 099 OK\r\n\r\n",
		"status with a sign":               "HTTP/1.1 +20 OK\r\n\r\n",
		"unknown version":                  "HTTP/3.7 200 OK\r\n\r\n",
		"header without a colon":           head + "nonsense\r\nContent-Length: 2\r\n\r\nok",
		"header without a name":            head + ": b\r\nContent-Length: 2\r\n\r\nok",
		"space in a header's name":         head + "Content-Length : 2\r\n\r\nok",
		"control character in a header":    head + "X-A: b\x01\r\nContent-Length: 2\r\n\r\nok",
		"carriage return in a header":      head + "X-A: b\rX-B: c\r\nContent-Length: 2\r\n\r\nok",
		"length with a sign":               head + "Content-Length: +2\r\n\r\nok",
		"negative length":                  head + "Content-Length: -2\r\n\r\nok",
		"hexadecimal length":               head + "Content-Length: 0x2\r\n\r\nok",
		"empty length":                     head + "Content-Length: \r\n\r\nok",
		"length beyond 63 bits":            head + "Content-Length: 9223372036854775808\r\n\r\nok",
		"conflicting lengths":              head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
		"list of lengths":                  head + "Content-Length: 2, 3\r\n\r\nok!",
		"unknown transfer encoding":        head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"two transfer encodings":           head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks of HTTP/1.0":               "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"head of more than 64 KiB":         head + "X-A: " + strings.Repeat("a", 65<<10) + "\r\nContent-Length: 2\r\n\r\nok",
		"many headers of more than 64 KiB": head + strings.Repeat("X-A: bcdefgh\r\n", 5000) + "Content-Length: 2\r\n\r\nok",
	}
}

// cutCases are answers that break off: the visitor must notice.
func cutCases() (cases []testCase) {
	const head = "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct {
		name, raw string
		reset     bool
	}{
		{"cut in a known length", head + "Content-Length: 10\r\n\r\nhello", false},
		{"cut in a chunk", head + "Transfer-Encoding: chunked\r\n\r\na\r\nhello", false},
		{"cut between chunks", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false},
		{"cut before the last empty line", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", false},
		{"malformed chunk", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", false},
		{"malformed trailer", head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx y: z\r\n\r\n", false},
		{"reset in an answer until close", head + "\r\nhello", true},
	} {
		cases = append(cases, testCase{name: c.name, run: func(f *fixture) {
			seen := make(chan struct{})
			f.start(func(conn *appConn) {
				r, err := conn.request()
				if err != nil {
					return
				}
				if r.RequestURI == "/next" {
					conn.send(next)
					return
				}
				conn.send(c.raw)
				if c.reset {
					f.hold(seen)
					reset(conn.Conn)
				}
			})
			v := f.visit()
			v.get("/")
			var got []byte
			resp, err := http.ReadResponse(v.r, nil)
			if err == nil {
				if c.reset {
					got = make([]byte, 5)
					_, err = io.ReadFull(bufio.NewReaderSize(resp.Body, 16), got)
					f.must(err)
				}
				close(seen)
				got, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				f.errorf("the visitor takes %q for a whole answer of status %d", got, resp.StatusCode)
			}
			f.next()
		}})
	}
	return cases
}
