package upstream

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// end is one of the two ends of a tunnel.
type end interface {
	// fill waits for bytes and gives them to use. While it waits it holds no
	// buffer, or a small one.
	fill(use func([]byte) error) error
	// Write writes all of b. It fails when nothing of it was taken for
	// writePatience.
	Write(b []byte) (int, error)
	// until ends fill at t, with os.ErrDeadlineExceeded; zero: never.
	until(t time.Time)
	// closeWrite tells the other side that no more comes.
	closeWrite()
	Close() error
	// abort ends fill and Write whatever they wait for.
	abort()
}

// writePatience is how long a visitor or an app may take nothing of what it is
// sent (spec routing.md §7).
const writePatience = time.Minute

// smallBuffer is what an end holds that cannot wait without a buffer.
const smallBuffer = 512

// socket is an end that is a connection.
type socket struct {
	net.Conn
	pending []byte        // what was read before the tunnel began
	small   []byte        // what is held if there is no raw
	raw     *waitingReads // nil if it is no bare socket
}

// newSocket takes what was read ahead out of ahead, which may be nil.
func newSocket(nc net.Conn, ahead *bufio.Reader) *socket {
	s := &socket{Conn: nc}
	if ahead != nil && ahead.Buffered() > 0 {
		s.pending, _ = ahead.Peek(ahead.Buffered()) // it is there
		s.pending = append([]byte(nil), s.pending...)
	}
	if raw := rawOf(nc); raw != nil {
		s.raw = newWaitingReads(raw)
	} else {
		s.small = make([]byte, smallBuffer)
	}
	return s
}

// rawOf finds the socket under wrappers; nil if bytes are changed on the way.
func rawOf(nc net.Conn) syscall.RawConn {
	for {
		switch c := nc.(type) {
		case *tls.Conn:
			return nil
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil
		}
	}
}

func (s *socket) fill(use func([]byte) error) error {
	if b := s.pending; b != nil {
		s.pending = nil
		return use(b)
	}
	if s.raw != nil {
		return s.raw.fill(use)
	}
	return fillFrom(s.Conn, s.small, use)
}

// fillFrom reads into the small buffer, and goes on with a large one for as
// long as there is much to read.
func fillFrom(from io.Reader, small []byte, use func([]byte) error) error {
	n, err := from.Read(small)
	if n > 0 {
		if err := use(small[:n]); err != nil {
			return err
		}
	}
	if err != nil || n < len(small) {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	n, err = from.Read(*buffer)
	if n > 0 {
		if err := use((*buffer)[:n]); err != nil {
			return err
		}
	}
	return err
}

func (s *socket) Write(b []byte) (int, error) {
	for written := 0; ; {
		if err := s.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return written, err
		}
		n, err := s.Conn.Write(b[written:])
		written += n
		if err == nil || n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

func (s *socket) until(t time.Time) { _ = s.SetReadDeadline(t) } // a closed one is at its end anyway

func (s *socket) closeWrite() {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // a closed one is closed
	}
}

func (s *socket) abort() { s.Close() }

// waitingReads reads from a socket with a buffer only from when there is
// something to read.
type waitingReads struct {
	raw    syscall.RawConn
	read   func(fd uintptr) bool // made once: it would be a garbage for each read
	buffer *[]byte
	n      int
	err    error
}

func newWaitingReads(raw syscall.RawConn) *waitingReads {
	w := &waitingReads{raw: raw}
	w.read = func(fd uintptr) bool {
		w.buffer = buffers.Get().(*[]byte)
		for {
			if w.n, w.err = syscall.Read(int(fd), *w.buffer); !errors.Is(w.err, syscall.EINTR) {
				break
			}
		}
		if errors.Is(w.err, syscall.EAGAIN) {
			buffers.Put(w.buffer)
			w.buffer = nil
			return false
		}
		return true
	}
	return w
}

func (w *waitingReads) fill(use func([]byte) error) error {
	if err := w.raw.Read(w.read); err != nil {
		return err
	}
	defer func() { buffers.Put(w.buffer) }()
	switch {
	case w.err != nil:
		return os.NewSyscallError("read", w.err)
	case w.n == 0:
		return io.EOF
	}
	return use((*w.buffer)[:w.n])
}

// stream is an end that is a request over HTTP/2 or /3. What it was sent
// before a deadline may be lost.
type stream struct {
	body  io.ReadCloser
	w     http.ResponseWriter
	small []byte
}

func newStream(w http.ResponseWriter, r *Request) *stream {
	return &stream{body: r.Body, w: w, small: make([]byte, smallBuffer)}
}

func (s *stream) fill(use func([]byte) error) error { return fillFrom(s.body, s.small, use) }

func (s *stream) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	if err == nil {
		err = http.NewResponseController(s.w).Flush()
	}
	return n, err
}

func (s *stream) until(t time.Time) {
	if !t.IsZero() && time.Until(t) <= 0 {
		s.body.Close()
		return
	}
	_ = http.NewResponseController(s.w).SetReadDeadline(t) // without one it ends with the other side
}

func (s *stream) closeWrite()  {} // the handler's return does
func (s *stream) Close() error { return s.body.Close() }

func (s *stream) abort() {
	_ = http.NewResponseController(s.w).SetWriteDeadline(longAgo) // without one the visitor's patience counts
	s.body.Close()
}
