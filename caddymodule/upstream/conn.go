package upstream

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// readBuffer holds the whole of most answers' heads, and of small answers.
const readBuffer = 4 << 10

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBuffer) }}

// conn is a connection to an app. One goroutine reads it at a time, and one
// writes it.
type conn struct {
	net.Conn
	pool      *pool
	read      *bufio.Reader // nil while it is idle
	idleSince time.Time
	raw       syscall.RawConn // nil if the connection is no socket
	peek      func(fd uintptr) bool
	isQuiet   bool // what peek has found

	unflushed *exchange // has passed on what was read; it goes out before a read waits
	full      bool      // the last read filled its buffer: there probably is more
}

func newConn(nc net.Conn, p *pool) *conn {
	c := &conn{Conn: nc, pool: p}
	if s, ok := nc.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // without it the connection is taken for closed when that matters
	}
	c.peek = c.peekAt // made once: it would be garbage for each call
	c.open()
	return c
}

func (c *conn) open() {
	c.read = readers.Get().(*bufio.Reader)
	c.read.Reset(c)
}

// Read reads from the app.
func (c *conn) Read(p []byte) (int, error) {
	if c.unflushed != nil && (!c.full || c.raw == nil || c.quiet()) {
		c.unflushed.flush()
		c.unflushed = nil
	}
	n, err := c.Conn.Read(p)
	c.full = n == len(p)
	return n, err
}

// wake makes an idle connection usable again, and rest the reverse: an idle
// one costs no buffer.
func (c *conn) wake() { c.open() }

func (c *conn) rest() {
	if c.read != nil {
		c.read.Reset(nil)
		readers.Put(c.read)
		c.read = nil
	}
}

// discard closes the connection for good.
func (c *conn) discard() {
	c.Close()
	c.rest()
}

// quiet reports whether the app has neither closed the connection nor sent
// something unasked. It does not wait.
func (c *conn) quiet() bool {
	if c.raw == nil {
		return false
	}
	return c.raw.Read(c.peek) == nil && c.isQuiet
}

func (c *conn) peekAt(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	c.isQuiet = errors.Is(err, syscall.EAGAIN)
	return true
}
