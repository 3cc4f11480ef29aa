package upstreamtest

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// repeatCases are about connections of the app that end, and about which
// requests are sent once more.
func repeatCases() []testCase {
	counts := func(method, header, body string, want int32, status int) func(*fixture) {
		return func(f *fixture) {
			var requests atomic.Int32
			f.start(func(c *appConn) {
				if _, err := c.request(); err == nil && requests.Add(1) > 1 {
					c.send(ok)
				}
			})
			v := f.visit()
			v.send(method + " / HTTP/1.1\r\nHost: " + Host + "\r\n" + header + "\r\n" + body)
			resp, _ := v.whole(method)
			equal(f, "status", resp.StatusCode, status)
			equal(f, "requests at the app", requests.Load(), want)
		}
	}
	after := func(first string, status int) func(*fixture) {
		return func(f *fixture) {
			var requests atomic.Int32
			f.start(func(c *appConn) {
				if _, err := c.request(); err == nil && requests.Add(1) == 1 {
					c.send(first)
				}
			})
			v := f.visit()
			v.get("/")
			resp, _ := v.whole("GET")
			for resp.StatusCode < 200 {
				resp, _ = v.whole("GET")
			}
			equal(f, "status", resp.StatusCode, status)
			equal(f, "requests at the app", requests.Load(), 1)
		}
	}
	return []testCase{
		{name: "GET is repeated once", run: counts("GET", "", "", 2, 200)},
		{name: "POST is not repeated", run: counts("POST", "Content-Length: 2\r\n", "ab", 1, 502)},
		{name: "POST without a body is not repeated", run: counts("POST", "Content-Length: 0\r\n", "", 1, 502)},
		{name: "PUT with a body is not repeated", run: counts("PUT", "Content-Length: 2\r\n", "ab", 1, 502)},
		{name: "nothing is repeated after half a head", run: after("HTTP/1.1 200 OK\r\nContent-Le", 502)},
		{name: "nothing is repeated after a hint", run: after("HTTP/1.1 103 Early Hints\r\n\r\n", 502)},
		{name: "sequential requests use one connection", run: func(f *fixture) {
			f.start(answering(ok))
			v := f.visit()
			for range 50 {
				v.get("/")
				v.whole("GET")
			}
			equal(f, "connections of the app", f.app.conns.Load(), 1)
		}},
		{name: "POST after the app closed an idle connection", run: func(f *fixture) {
			closed := make(chan struct{}, 2)
			f.start(func(c *appConn) {
				if _, err := c.request(); err == nil {
					c.send(ok)
				}
				c.Close()
				closed <- struct{}{}
			})
			v := f.visit()
			for _, method := range []string{"GET", "POST"} {
				v.send(method + " / HTTP/1.1\r\nHost: " + Host + "\r\nContent-Length: 0\r\n\r\n")
				resp, _ := v.whole(method)
				equal(f, "status of "+method, resp.StatusCode, 200)
				await(f, "the app's close", closed)
			}
		}},
		{name: "unsolicited bytes are no answer", run: func(f *fixture) {
			asked, sent := make(chan struct{}), make(chan struct{})
			f.start(func(c *appConn) {
				if _, err := c.request(); err != nil {
					return
				}
				c.send(ok)
				if c.n > 1 {
					return
				}
				f.hold(asked)
				c.send(evil)
				close(sent)
				c.gone()
			})
			v := f.visit()
			v.get("/")
			v.whole("GET")
			close(asked)
			await(f, "the unsolicited bytes", sent)
			time.Sleep(20 * time.Millisecond) // a loopback's way
			v.get("/")
			_, body := v.whole("GET")
			equal(f, "body", body, "ok")
		}},
		{name: "no answer in time", run: timeout("")},
		{name: "no answer in time after a hint", run: timeout("HTTP/1.1 103 Early Hints\r\n\r\n")},
		{name: "half a head in time", run: timeout("HTTP/1.1 200 OK\r\nX-")},
	}
}

// timeout is an app that says no more than that.
func timeout(said string) func(*fixture) {
	return func(f *fixture) {
		gone := make(chan bool, 1)
		f.start(func(c *appConn) {
			if _, err := c.request(); err == nil {
				c.send(said)
				gone <- c.gone()
			}
		})
		v := f.visit()
		v.get("/")
		resp, _ := v.whole("GET")
		if resp.StatusCode < 200 {
			resp, _ = v.whole("GET")
		}
		equal(f, "status", resp.StatusCode, http.StatusGatewayTimeout)
		equal(f, "the app's connection is closed", await(f, "the app", gone), true)
	}
}

// leaveCases are visitors who go away: the app learns of it at once.
func leaveCases() (cases []testCase) {
	for _, c := range []struct{ name, request, answer string }{
		{"visitor leaves while he waits", "GET / HTTP/1.1\r\nHost: " + Host + "\r\n\r\n", ""},
		{"visitor leaves in a small upload", post("Content-Length: 100\r\n") + "half", ""},
		{"visitor leaves in an upload", post("Content-Length: 100000\r\n") + strings.Repeat("x", 50000), ""},
		{"visitor leaves in a chunked upload", post("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n", ""},
		{"visitor leaves in an answer", "GET / HTTP/1.1\r\nHost: " + Host + "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"},
		{"visitor leaves in an event stream", "GET / HTTP/1.1\r\nHost: " + Host + "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"},
	} {
		for how, leave := range map[string]func(*visitor){"by close": func(v *visitor) { v.Close() }, "by reset": func(v *visitor) { reset(v.Conn) }} {
			cases = append(cases, testCase{name: c.name + " " + how, run: func(f *fixture) {
				arrived, gone := make(chan struct{}, 9), make(chan bool, 9)
				f.start(func(conn *appConn) {
					head, err := conn.head()
					switch {
					case err != nil:
						gone <- true
						return
					case strings.HasPrefix(head, "GET /next"):
						conn.send(next)
						return
					}
					conn.send(c.answer)
					arrived <- struct{}{}
					gone <- conn.gone()
				})
				v := f.visit()
				v.send(c.request)
				if c.answer != "" {
					resp := v.begin("GET")
					_, err := io.ReadFull(resp.Body, make([]byte, 5))
					f.must(err)
				}
				if !strings.Contains(c.request, "half") { // that may not have been sent yet
					await(f, "the request", arrived)
				}
				leave(v)
				if strings.Contains(c.request, "half") {
					f.next()
					return
				}
				equal(f, "the app's connection is closed", await(f, "the app", gone), true)
				f.next()
			}})
		}
	}
	cases = append(cases, testCase{name: "visitor leaves at once", run: func(f *fixture) {
		var heads atomic.Int32
		gone := make(chan bool, 99)
		f.start(func(c *appConn) {
			head, err := c.head()
			switch {
			case err != nil:
			case strings.HasPrefix(head, "GET /next"):
				c.send(next)
			default:
				heads.Add(1)
				gone <- c.gone()
			}
		})
		for range 30 {
			v := f.visit()
			v.get("/")
			v.Close()
		}
		f.next()
		for range heads.Load() {
			if !await(f, "the app", gone) {
				f.fatalf("a connection of the app stays open")
			}
		}
	}})
	return cases
}
