package framing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

// duplex is the server's end of a connection in memory, whose client can end
// its side alone. What the client writes at once is read at once.
type duplex struct {
	net.Conn // in
	out      net.Conn
}

func (d duplex) Write(p []byte) (int, error)        { return d.out.Write(p) }
func (d duplex) SetWriteDeadline(t time.Time) error { return d.out.SetWriteDeadline(t) }
func (d duplex) Close() error                       { d.out.Close(); return d.Conn.Close() }

// wire is a listener of connections in memory, and the server behind it.
type wire struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}
func (w *wire) Close() error   { return nil }
func (w *wire) Addr() net.Addr { return &net.TCPAddr{} }

type connKey struct{}

// seen is what the server was asked on one connection.
type seen struct {
	mu     sync.Mutex
	asked  []string
	closed chan struct{}
}

func (s *seen) add(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

// startWire starts a server that notes what it is asked: method, target and
// body, with ! behind a body that broke; or a refusal's status and code.
func startWire(t testing.TB) *wire {
	w := &wire{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{
		ReadHeaderTimeout: patience, MaxHeaderBytes: maxHead, DisableGeneralOptionsHandler: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := r.Context().Value(connKey{}).(*seen)
			if status, code, ok := Refusal(r); ok {
				s.add(fmt.Sprint(status, " ", code))
				w.Header().Set("Connection", "close")
				w.WriteHeader(status)
				return
			}
			body, err := io.ReadAll(r.Body)
			what := fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)
			if err != nil {
				what += "!"
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusBadRequest)
			}
			s.add(what)
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c.(*conn).Conn.(witnessed).seen)
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(c.(*conn).Conn.(witnessed).seen.closed)
			}
		},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(Listen(w, 0))
	}()
	t.Cleanup(func() {
		close(w.closed)
		server.Close()
		<-done
	})
	return w
}

type witnessed struct {
	net.Conn
	seen *seen
}

// send delivers the parts one after the other, ends its side, and returns what
// the server was asked and what it answered.
func (w *wire) send(t testing.TB, parts ...string) ([]string, string) {
	t.Helper()
	in, inClient := net.Pipe()
	out, outClient := net.Pipe()
	s := &seen{closed: make(chan struct{})}
	w.conns <- witnessed{duplex{in, out}, s}
	go func() {
		defer inClient.Close()
		for _, part := range parts {
			if _, err := io.WriteString(inClient, part); err != nil {
				return // refused: the server has closed
			}
		}
	}()
	outClient.SetReadDeadline(time.Now().Add(patience))
	var answers bytes.Buffer
	if _, err := io.Copy(&answers, outClient); err != nil {
		t.Fatalf("no end of the answers to %.200q: %v", strings.Join(parts, ""), err)
	}
	<-s.closed
	return s.asked, answers.String()
}
