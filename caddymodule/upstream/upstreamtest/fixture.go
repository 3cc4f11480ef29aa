package upstreamtest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// app is a scripted app on raw sockets.
type app struct {
	listener net.Listener
	conns    atomic.Int32 // accepted so far
	running  sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
}

// appConn is a connection that the app has accepted.
type appConn struct {
	net.Conn
	r *bufio.Reader
	n int // the how manyeth, from 1

	continues bool // it says 100 to a visitor who expects that
}

// received is a request as the app got it.
type received struct {
	*http.Request
	head string // raw, with the empty line
	body string
}

// start starts the app, the way to it and a server in front. script serves one
// connection, which is closed after it.
func (f *fixture) start(script func(*appConn)) { f.startAt("", script) }

func (f *fixture) startAt(prefix string, script func(*appConn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	f.app = &app{listener: l}
	f.app.running.Go(func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(3 * patience))
			f.app.mu.Lock()
			f.app.open = append(f.app.open, conn)
			f.app.mu.Unlock()
			c := &appConn{Conn: conn, r: bufio.NewReader(conn), n: int(f.app.conns.Add(1))}
			f.app.running.Go(func() { // ends with the connection
				defer conn.Close()
				script(c)
			})
		}
	})
	f.cleanup(func() {
		l.Close()
		f.app.mu.Lock()
		for _, conn := range f.app.open {
			conn.Close()
		}
		f.app.mu.Unlock()
		f.app.running.Wait()
	})
	f.front(App{Endpoint: l.Addr().String(), Prefix: prefix})
}

// front starts a server with the way to the app.
func (f *fixture) front(to App) {
	handler, done, err := f.way(to)
	f.must(err)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: protocols, MaxHeaderBytes: 64 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	f.addr = l.Addr().String()
	ended := make(chan struct{})
	go func() { // ends with the server
		defer close(ended)
		_ = server.Serve(l)
	}()
	f.cleanup(func() {
		server.Close()
		<-ended
		done()
	})
}

// head reads the next request's head.
func (c *appConn) head() (string, error) {
	var head strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		head.WriteString(line)
		if line == "\r\n" {
			return head.String(), nil
		}
	}
}

// request reads the next request with its body.
func (c *appConn) request() (*received, error) {
	head, err := c.head()
	if err != nil {
		return nil, err
	}
	if c.continues && strings.Contains(head, "100-continue") {
		c.send("HTTP/1.1 100 Continue\r\n\r\n")
	}
	r, err := http.ReadRequest(bufio.NewReaderSize(io.MultiReader(strings.NewReader(head), c.r), 16))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return &received{Request: r, head: head, body: string(body)}, err
}

func (c *appConn) send(text string) { _, _ = io.WriteString(c, text) } // a peer that has gone is noticed where it matters

// reset closes the connection so that the peer's next read fails.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// answering is a script: each request is read whole and gets this answer; the
// path /next gets the word next.
func answering(answer string) func(*appConn) {
	return func(c *appConn) {
		for {
			r, err := c.request()
			if err != nil {
				return
			}
			if r.RequestURI == "/next" {
				c.send(next)
			} else {
				c.send(answer)
			}
		}
	}
}

const (
	next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
	ok   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
)

// visitor is a connection to the server in front.
type visitor struct {
	net.Conn
	f *fixture
	r *bufio.Reader
}

func (f *fixture) visit() *visitor {
	conn, err := net.Dial("tcp", f.addr)
	f.must(err)
	f.cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &visitor{Conn: conn, f: f, r: bufio.NewReader(conn)}
}

func (v *visitor) send(text string) {
	_, err := io.WriteString(v, text)
	v.f.must(err)
}

// get sends a request without a body.
func (v *visitor) get(path string, header ...string) {
	v.send("GET " + path + " HTTP/1.1\r\nHost: " + Host + "\r\n" + strings.Join(append(header, ""), "\r\n") + "\r\n")
}

// begin reads the next answer's head; the body is not read.
func (v *visitor) begin(method string) *http.Response {
	resp, err := http.ReadResponse(v.r, &http.Request{Method: method})
	if err != nil {
		v.f.fatalf("read an answer: %v", err)
	}
	return resp
}

// whole reads the next answer with its body.
func (v *visitor) whole(method string) (*http.Response, string) {
	resp := v.begin(method)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.f.fatalf("read the answer's body: %v after %.80q", err, body)
	}
	return resp, string(body)
}

// ended waits until the connection is closed.
func (v *visitor) ended() {
	if rest, err := io.ReadAll(v.r); err != nil || len(rest) > 0 {
		v.f.errorf("the visitor's connection is not closed but brings %.80q (%v)", rest, err)
	}
}

// next is a request that must work whatever was before.
func (f *fixture) next() {
	v := f.visit()
	v.get("/next")
	resp, body := v.whole("GET")
	if resp.StatusCode != http.StatusOK || body != "next" {
		f.errorf("the next request gets %d %.80q", resp.StatusCode, body)
	}
	v.Close()
}

// gone waits until the app's connection is closed by the other side.
func (c *appConn) gone() bool {
	_ = c.SetReadDeadline(time.Now().Add(patience / 2))
	_, err := io.Copy(io.Discard, c.r)
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// h2 is a client that speaks HTTP/2.
func (f *fixture) h2() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", f.addr)
		}}
	f.cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 2 * patience}
}
