package framing

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// SetReadDeadline is the server's. A head that is coming in has its own, too.
func (c *conn) SetReadDeadline(t time.Time) error { return c.clock.set(c.Conn, t) }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.clock.set(c.Conn, t), c.SetWriteDeadline(t))
}

// clock holds the time-out of heads. The server counts it from the first bytes
// of a head that it sees; it sees none before the head is whole.
type clock struct {
	mu     sync.Mutex
	server time.Time // what the server asked for
	head   time.Time // zero: no head is coming in
}

func (k *clock) set(conn net.Conn, t time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.server = t
	return conn.SetReadDeadline(k.earliest())
}

func (k *clock) earliest() time.Time {
	if k.server.IsZero() || !k.head.IsZero() && k.head.Before(k.server) {
		return k.head
	}
	return k.server
}

// start begins to count, once. A server that reads into a single byte is
// answering another request, which a slow head after it must not end.
func (k *clock) start(c *conn, room int) {
	if c.headerTimeout <= 0 || room == 1 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.head.IsZero() {
		k.head = time.Now().Add(c.headerTimeout)
		_ = c.Conn.SetReadDeadline(k.earliest()) // a closed connection: Read says so
	}
}

// stop is called with every head that did not come in one piece.
func (k *clock) stop(c *conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.head.IsZero() {
		k.head = time.Time{}
		_ = c.Conn.SetReadDeadline(k.server)
	}
}

// handshake completes TLS within the time-out for heads; the server's deadline
// is for reading alone.
func (c *conn) handshake() error {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if c.headerTimeout > 0 {
		if err := secure.SetWriteDeadline(time.Now().Add(c.headerTimeout)); err != nil {
			return err
		}
	}
	err := secure.Handshake()
	if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
		_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		_ = plain.Conn.Close() // nothing more comes of it
	}
	if err != nil {
		return io.EOF // the server need not answer: nobody could read it
	}
	c.http2Only = secure.ConnectionState().NegotiatedProtocol == http2.NextProtoTLS
	return secure.SetWriteDeadline(time.Time{})
}

// looksLikeHTTP knows the beginnings that net/http knows.
func looksLikeHTTP(b [5]byte) bool {
	for _, start := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"} {
		if bytes.Equal(b[:], []byte(start)) {
			return true
		}
	}
	return false
}
