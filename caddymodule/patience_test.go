package caddymodule_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// counted counts what is read.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// The server does not read while a request is held, and so does not notice who
// leaves; the edge does, long before the wait is over.
func TestAVisitorWhoLeavesWithABodyIsNoticed(t *testing.T) {
	e := startTLSEdge(t, "h1", "h2")
	in := instance(1, "")
	in.Status = controlplane.Suspended
	e.put(in)
	for name, client := range map[string]*http.Client{
		"HTTP/1.1": e.overTLS(t, "http/1.1"), "HTTP/2": e.overTLS(t, "h2"),
	} {
		for kind, size := range map[string]int{"no body": 0, "a small body": 10, "a body that does not end": 1000} {
			t.Run(name+" with "+kind, func(t *testing.T) {
				ctx, leave := context.WithCancel(t.Context())
				var body io.Reader
				if size > 0 {
					body = strings.NewReader(strings.Repeat("x", size))
				}
				read, write := io.Pipe()
				if size == 1000 {
					go write.Write([]byte("some of it"))
					body = read
				}
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+in.ID+"."+base+"/", body)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					if resp, err := client.Do(r); err == nil {
						t.Errorf("answered %s", resp.Status)
						resp.Body.Close()
					}
				}()
				eventually(t, "it waits", func() bool { return e.table().Waiters() == 1 })
				time.Sleep(50 * time.Millisecond) // it goes on waiting
				if e.table().Waiters() != 1 {
					t.Error("it does not wait any more")
				}
				began := time.Now()
				leave()
				eventually(t, "nobody waits", func() bool { return e.table().Waiters() == 0 })
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("noticed after %s, when the wait was over", took)
				}
				write.Close() // the client waits for who gives it its body
				<-done
			})
		}
	}
}

// Of many visitors those who leave are missed, and no others.
func TestWhoLeavesIsToldFromWhoStays(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, "")
	in.Status = controlplane.Suspended
	e.put(in)
	const n = 50
	var conns []net.Conn
	for range n {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: "+in.ID+"."+base+"\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhe")
		conns = append(conns, conn)
	}
	eventually(t, "all wait", func() bool { return e.table().Waiters() == n })
	for i, conn := range conns {
		if i%2 == 0 {
			conn.Close()
		}
	}
	eventually(t, "half of them wait", func() bool { return e.table().Waiters() == n/2 })
	in.Status, in.Endpoint = controlplane.Deployed, serve(t, hello)
	e.put(in)
	for i, conn := range conns {
		if i%2 == 0 {
			continue
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, "llo")
		if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), "hello hello") {
			t.Fatalf("%q, %v", answer, err)
		}
	}
}

// The server's limits of time are shorter than the wait.
func TestTheServersLimitsDoNotCutAHeldRequest(t *testing.T) {
	const limit = 150 * time.Millisecond
	e := newEdge(t, nil)
	e.change(func(_, server map[string]any) {
		for _, name := range []string{"read_timeout", "write_timeout", "read_idle_timeout", "write_idle_timeout"} {
			server[name] = limit
		}
	})
	e.load()
	t.Cleanup(stopCaddy(t))
	app := serve(t, hello)
	for name, transport := range map[string]http.RoundTripper{"HTTP/1.1": e.http.Transport, "HTTP/2": e.overHTTP2()} {
		for _, body := range []string{"", "some body"} {
			t.Run(name+" "+body, func(t *testing.T) {
				e := *e
				e.t = t
				in := instance(1, "")
				in.Status = controlplane.Suspended
				eventually(t, "a table", func() bool { return e.table().Table() != nil })
				e.update(func(tx controlplane.Tx) error { return tx.Put(in) })
				answer := make(chan string, 1)
				go func() {
					var from io.Reader
					if body != "" {
						from = strings.NewReader(body)
					}
					resp, err := e.ask(transport, "POST", urlOf(in)+"/", "", from)
					if err != nil {
						answer <- err.Error()
						return
					}
					defer resp.Body.Close()
					answer <- text(resp)
				}()
				eventually(t, "it waits", func() bool { return e.table().Waiters() == 1 })
				time.Sleep(4 * limit) // what is tested
				in.Status, in.Endpoint = controlplane.Deployed, app
				e.put(in)
				if got := <-answer; got != "hello "+body {
					t.Errorf("%q", got)
				}
				e.update(func(tx controlplane.Tx) error { return tx.Delete(in) })
			})
		}
	}
}
