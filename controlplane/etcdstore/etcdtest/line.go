package etcdtest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Line is a socket between one client and a server: what separates the two and
// nobody else.
type Line struct {
	path, to string

	mu      sync.Mutex
	changed *sync.Cond
	state   lineState
	conns   map[net.Conn]bool
}

type lineState uint8

const (
	whole lineState = iota
	held
	cut
)

// NewLine opens a line to an endpoint, unix://PATH, and ends it with the test.
func NewLine(t testing.TB, endpoint string) *Line {
	t.Helper()
	dir, err := os.MkdirTemp("", "line") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{path: filepath.Join(dir, "line.sock"), to: strings.TrimPrefix(endpoint, "unix://"), conns: map[net.Conn]bool{}}
	l.changed = sync.NewCond(&l.mu)
	listener, err := net.Listen("unix", l.path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.pass(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		l.Cut()
		all.Wait()
		os.RemoveAll(dir)
	})
	return l
}

// Endpoint is where the client reaches the server.
func (l *Line) Endpoint() string { return "unix://" + l.path }

// Cut ends the connections, and new ones as they come.
func (l *Line) Cut() { l.set(cut) }

// Hold keeps what comes from either side until the line is mended: nobody is told
// of anything, and what was sent arrives late.
func (l *Line) Hold() { l.set(held) }

// Mend ends a Cut or a Hold.
func (l *Line) Mend() { l.set(whole) }

func (l *Line) set(state lineState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	if state == cut {
		for conn := range l.conns {
			conn.Close()
		}
	}
	l.changed.Broadcast()
}

// keep holds a connection for a cut to end; false: it is cut already.
func (l *Line) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == cut {
		return false
	}
	l.conns[conn] = true
	return true
}

func (l *Line) pass(from net.Conn) {
	defer from.Close()
	to, err := net.DialTimeout("unix", l.to, time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	if l.keep(from) && l.keep(to) {
		var both sync.WaitGroup
		both.Go(func() { l.carry(from, to) })
		both.Go(func() { l.carry(to, from) })
		both.Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, from)
	delete(l.conns, to)
}

// carry copies one direction, and ends both with it.
func (l *Line) carry(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		for l.state == held { // the end of a connection is kept, too
			l.changed.Wait()
		}
		l.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}
