package upstream

import (
	"bufio"
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
	reused    bool
	idleSince time.Time
	raw       syscall.RawConn // nil if the connection is no socket
}

func newConn(nc net.Conn, p *pool) *conn {
	c := &conn{Conn: nc, pool: p}
	if s, ok := nc.(syscall.Conn); ok {
		c.raw, _ = s.SyscallConn() // without it the connection is taken for closed when that matters
	}
	c.open()
	return c
}

func (c *conn) open() {
	c.read = readers.Get().(*bufio.Reader)
	c.read.Reset(c.Conn)
}

// wake makes an idle connection usable again, and rest the reverse: an idle
// one costs no buffer.
func (c *conn) wake() {
	c.reused = true
	c.open()
}

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
	quiet := false
	err := c.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
		return true
	})
	return err == nil && quiet
}
