package upstreamtest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

func bodyCases() []testCase {
	cases := []testCase{
		{name: "upload refused with 417", run: func(f *fixture) {
			f.start(func(c *appConn) {
				if _, err := c.head(); err == nil {
					c.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				}
			})
			v := f.visit()
			v.send(post("Expect: 100-continue\r\nContent-Length: 100000\r\n"))
			resp, _ := v.whole("POST")
			equal(f, "status", resp.StatusCode, http.StatusExpectationFailed)
			v.ended()
		}},
		{name: "early answer while the upload goes on", run: earlyAnswer("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")},
		{name: "early answer of an app that keeps the connection", run: earlyAnswer("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")},
		{name: "half a chunked upload and a bad answer", run: halfUpload},
		{name: "both ways at once", run: fullDuplex},
		{name: "slow upload", run: slowUpload},
		{name: "slow upload on a connection that was used", run: slowUploadReused},
		{name: "trailers of a request", run: requestTrailers},
		{name: "pipelined requests", run: func(f *fixture) {
			f.start(func(c *appConn) {
				for {
					r, err := c.request()
					if err != nil {
						return
					}
					c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(r.RequestURI)+len(r.body), r.RequestURI+r.body))
				}
			})
			v := f.visit()
			v.send("GET /1 HTTP/1.1\r\nHost: " + Host + "\r\n\r\n" + post("Content-Length: 2\r\n") + "ab" + "GET /3 HTTP/1.1\r\nHost: " + Host + "\r\n\r\n")
			for _, want := range []string{"/1", "/ab", "/3"} {
				_, body := v.whole("GET")
				equal(f, "body", body, want)
			}
		}},
	}
	for name, size := range map[string]int{"no body": 0, "small body": 10, "body of 16 KiB": 16 << 10, "body of 100 KiB": 100 << 10} {
		for _, how := range []string{"known length", "chunks", "continue", "silent app"} {
			if how != "silent app" || size == 10 {
				cases = append(cases, testCase{name: name + ", " + how, run: echoes(size, how)})
			}
		}
	}
	return cases
}

func post(header string) string { return "POST / HTTP/1.1\r\nHost: " + Host + "\r\n" + header + "\r\n" }

// echoes sends a body to an app that sends it back.
func echoes(size int, how string) func(*fixture) {
	return func(f *fixture) {
		f.start(func(c *appConn) {
			c.continues = how == "continue"
			for {
				r, err := c.request()
				if err != nil {
					return
				}
				c.send("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(r.body)) + "\r\n\r\n" + r.body)
			}
		})
		body := strings.Repeat("x", size)
		v := f.visit()
		for range 3 { // on one connection
			if how == "chunks" {
				v.send(post("Transfer-Encoding: chunked\r\n"))
				if size > 0 {
					v.send(strconv.FormatInt(int64(size), 16) + "\r\n" + body + "\r\n")
				}
				v.send("0\r\n\r\n")
			} else {
				expect := ""
				if how != "known length" {
					expect = "Expect: 100-continue\r\n"
				}
				v.send(post(expect + "Content-Length: " + strconv.Itoa(size) + "\r\n"))
				if expect != "" && size > 0 {
					equal(f, "interim status", v.begin("POST").StatusCode, http.StatusContinue)
				}
				v.send(body)
			}
			resp, got := v.whole("POST")
			if resp.StatusCode != http.StatusOK || got != body {
				f.fatalf("%d, %d bytes of %d", resp.StatusCode, len(got), size)
			}
			if resp.Close {
				f.errorf("the visitor's connection is closed")
			}
		}
		equal(f, "connections of the app", f.app.conns.Load(), 1)
	}
}

func earlyAnswer(answer string) func(*fixture) {
	return func(f *fixture) {
		f.start(func(c *appConn) {
			if head, err := c.head(); err != nil || strings.HasPrefix(head, "GET") {
				c.send(next)
				return
			}
			c.send(answer)
			f.hold(f.over) // it reads nothing
		})
		v := f.visit()
		v.send(post("Content-Length: 50000000\r\n") + strings.Repeat("x", 40<<10))
		resp, body := v.whole("POST")
		equal(f, "status", resp.StatusCode, http.StatusRequestEntityTooLarge)
		equal(f, "body", body, "big")
		if !resp.Close {
			f.errorf("the visitor is not told that the connection is closed")
		}
		v.ended()
		f.next()
	}
}

// halfUpload: what is left of a body must never be taken for a request.
func halfUpload(f *fixture) {
	var evil atomic.Bool
	f.start(func(c *appConn) {
		head, err := c.head()
		if strings.Contains(head, "/evil") {
			evil.Store(true)
		}
		if err == nil {
			c.send("nonsense\r\n\r\n")
		}
	})
	v := f.visit()
	v.send(post("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n")
	resp, _ := v.whole("POST")
	equal(f, "status", resp.StatusCode, http.StatusBadGateway)
	_, _ = io.WriteString(v, "GET /evil HTTP/1.1\r\nHost: "+Host+"\r\n\r\n") // it may be closed already
	_, _ = io.ReadAll(v.r)
	if evil.Load() {
		f.errorf("the rest of a body was taken for a request")
	}
}

func fullDuplex(f *fixture) {
	f.start(func(c *appConn) {
		if _, err := c.head(); err != nil {
			return
		}
		c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 100 {
			size, err := c.r.ReadString('\n')
			if err != nil {
				return
			}
			n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 32)
			if err != nil || n == 0 {
				break
			}
			piece := make([]byte, n+2)
			if _, err := io.ReadFull(c.r, piece); err != nil {
				return
			}
			c.send(size + string(piece))
		}
		c.send("0\r\n\r\n")
	})
	v := f.visit()
	v.send(post("Transfer-Encoding: chunked\r\n"))
	resp := v.begin("POST")
	defer resp.Body.Close()
	for i := range 20 {
		piece := fmt.Sprintf("%04d", i)
		v.send("4\r\n" + piece + "\r\n")
		got := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
			f.fatalf("got %q (%v), want %q", got, err, piece)
		}
	}
	v.send("0\r\n\r\n")
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		f.errorf("at the end came %q (%v)", rest, err)
	}
}

func slowUpload(f *fixture) {
	f.start(answering(ok))
	v := f.visit()
	slowly(v)
}

// slowly sends a body that takes longer than a first byte may.
func slowly(v *visitor) {
	v.send(post("Content-Length: 20000\r\n"))
	for range 10 {
		v.send(strings.Repeat("x", 2000))
		time.Sleep(FirstByte * 3 / 20)
	}
	resp, _ := v.whole("POST")
	equal(v.f, "status", resp.StatusCode, http.StatusOK)
}

func slowUploadReused(f *fixture) {
	f.start(answering(ok))
	v := f.visit()
	v.get("/")
	v.whole("GET")
	slowly(v)
	v.get("/")
	v.whole("GET")
	equal(f, "connections of the app", f.app.conns.Load(), 1)
}

func requestTrailers(f *fixture) {
	seen := make(chan *received, 1)
	f.start(func(c *appConn) {
		if r, err := c.request(); err == nil {
			seen <- r
			c.send(ok)
		}
	})
	v := f.visit()
	v.send(post("Trailer: X-Sum, X-Slipway-User\r\nTransfer-Encoding: chunked\r\n") + "2\r\nab\r\n0\r\nX-Sum: 9\r\nX-Slipway-User: root\r\n\r\n")
	v.whole("POST")
	r := await(f, "the request", seen)
	equal(f, "body", r.body, "ab")
	equal(f, "trailer", r.Trailer.Get("X-Sum"), "9")
	equal(f, "identity", r.Trailer.Get("X-Slipway-User"), "")
}
