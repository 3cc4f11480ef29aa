package framing

import (
	"errors"
	"io"
	"time"
)

// Write passes on what the server answers, and learns from it.
func (c *conn) Write(p []byte) (int, error) {
	if guard := c.frames.Load(); guard != nil {
		guard.fromServer(p)
		if guard.spent.Load() {
			_ = c.Conn.SetReadDeadline(longAgo) // the reader may be waiting; a closed connection needs none
		}
	} else if c.answer.Load() == awaited {
		// Before it is sent: the client may reply at once.
		if known := c.status.scan(p); known != awaited {
			c.answer.Store(known)
		}
	}
	return c.Conn.Write(p)
}

// Bounds of the end of a connection whose client may still be sending. To
// close it at once would take the answer from the client: its system throws
// away what it has not read when it learns that nobody listens any more.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

// Close ends the connection, after a refusal once the client has stopped
// sending.
func (c *conn) Close() error {
	if c.linger.CompareAndSwap(true, false) {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
				_ = c.discard() // its error is its end
			}
		}
	}
	return c.Conn.Close()
}

// discard reads until the client ends, or has sent more than it is worth.
func (c *conn) discard() error {
	mem := small.Get().(*[]byte)
	defer small.Put(mem)
	for total := 0; total < lingerBytes; {
		n, err := c.Conn.Read(*mem)
		if err != nil {
			return err
		}
		total += n
	}
	return io.EOF
}

// CloseWrite ends the answer's side, where the connection can.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
