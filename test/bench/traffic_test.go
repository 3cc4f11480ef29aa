package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// app is what instances are here: 1 KiB for every request, and WebSockets that
// stay silent. Its name is the first byte of its answers.
type app struct {
	net.Listener
	answer []byte
}

const bodySize = 1 << 10

func newApp(b *testing.B, name byte) *app {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	a := &app{Listener: l, answer: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s",
		bodySize, bytes.Repeat([]byte{name}, bodySize))}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go a.serve(conn)
		}
	}()
	return a
}

func (a *app) endpoint() string { return a.Addr().String() }

func (a *app) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 2<<10)
	for {
		upgrade := false
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			upgrade = upgrade || bytes.HasPrefix(line, []byte("Upgrade:"))
		}
		if upgrade {
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
			in = nil
			io.ReadAll(conn)
			return
		}
		if _, err := conn.Write(a.answer); err != nil {
			return
		}
	}
}

// visitor is one keep-alive connection to a proxy.
type visitor struct {
	net.Conn
	proxy string
	in    *bufio.Reader
}

func visit(b *testing.B, p *proxy) *visitor {
	b.Helper()
	v := &visitor{proxy: p.address, in: bufio.NewReaderSize(nil, 4<<10)}
	if err := v.again(); err != nil {
		b.Fatal(err)
	}
	return v
}

// again takes a new connection.
func (v *visitor) again() (err error) {
	if v.Conn != nil {
		v.Close()
	}
	if v.Conn, err = net.Dial("tcp", v.proxy); err == nil {
		v.in.Reset(v.Conn)
	}
	return err
}

// get sends a request that was written before, and returns the app's name.
func (v *visitor) get(request []byte) (name byte, err error) {
	if _, err := v.Write(request); err != nil {
		return 0, err
	}
	length := -1
	for first := true; ; first = false {
		line, err := v.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return 0, fmt.Errorf("answer %q", line)
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	if length < 1 {
		return 0, fmt.Errorf("body of %d bytes", length)
	}
	body, err := v.in.Peek(1)
	if err != nil {
		return 0, err
	}
	name = body[0]
	_, err = v.in.Discard(length)
	return name, err
}

func requestFor(host string) []byte {
	return fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
}

// webSocket opens one and leaves it open. It is the caller's to close.
func webSocket(b *testing.B, p *proxy, host string) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host)
	var head strings.Builder
	for one := make([]byte, 1); !strings.HasSuffix(head.String(), "\r\n\r\n"); head.Write(one) {
		if _, err := io.ReadFull(conn, one); err != nil {
			b.Fatal(err)
		}
	}
	if !strings.HasPrefix(head.String(), "HTTP/1.1 101") {
		b.Fatalf("no WebSocket: %s", head.String())
	}
	return conn
}

// load sends requests over some connections for a time, and returns how many.
func load(b *testing.B, p *proxy, requests [][]byte, conns int, d time.Duration) int {
	b.Helper()
	var (
		done   atomic.Int64
		failed atomic.Pointer[error]
		all    sync.WaitGroup
		end    = time.Now().Add(d)
	)
	for c := range conns {
		v := visit(b, p)
		all.Go(func() {
			defer v.Close()
			for i := c; time.Now().Before(end); i++ {
				if _, err := v.get(requests[i%len(requests)]); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		b.Fatalf("%s: %v", p.name, *err)
	}
	return int(done.Load())
}
