package framing

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// mode is what the next bytes from the client are.
type mode uint8

const (
	inHead  mode = iota // a head, or nothing yet
	inBody              // of the request whose head was handed over
	pending             // nobody knows: the server may switch protocols
	raw                 // another protocol
	frames              // HTTP/2
	refused             // of no interest: the connection ends with an answer
)

// errHold makes a Read return nothing, for now.
var errHold = errors.New("held back")

// maxRead keeps what one Read brings smaller than a buffer.
const maxRead = maxHead

// conn is a client's connection as the server sees it. Read is called by one
// goroutine at a time; Write by one, too.
type conn struct {
	net.Conn
	headerTimeout time.Duration

	// Of the reader.
	begun, later, emptyLine bool // handshake done; not the first head; an empty line was skipped
	http2Only               bool // the handshake says so
	mode                    mode
	held                    buffer // read and not handed over
	judged                  int    // bytes of held that the head's scan has seen
	ready                   int    // bytes of held that may be handed over
	head                    headScan
	body                    bodyScan
	notice                  string // what is left of the request that stands for a refused one
	err                     error  // for ever

	// Of both sides.
	answer atomic.Uint32 // awaited, …
	linger atomic.Bool   // the client may be sending still when it is closed
	frames atomic.Pointer[frameGuard]

	// Of the writer, while an answer is awaited.
	status answerScan

	clock clock
}

// Read hands over bytes that have passed. With p of one byte it is the
// server's watch for a client that leaves while its request is being answered.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !c.begun {
		c.begun = true
		c.err = c.handshake()
	}
	p = p[:min(len(p), maxRead)]
	for c.err == nil {
		n, err := c.read(p)
		if err == errHold { //nolint:errorlint // never wrapped: it does not leave this file
			return 0, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, c.err
}

// read does one step. It may find that another is needed: 0, nil.
func (c *conn) read(p []byte) (int, error) {
	switch c.mode {
	case inBody:
		return c.readBody(p)
	case pending:
		return c.readPending(p)
	case raw:
		return c.readHeld(p)
	case frames:
		n, err := c.readFrames(p)
		if err != nil && c.frames.Load().spent.Load() {
			return 0, nil // its next step says why
		}
		return n, err
	case refused:
		return c.readRefused(p)
	}
	if len(p) == 1 && c.later && c.ready == 0 && c.holds() {
		return 0, c.hold(p)
	}
	return c.readHead(p)
}

// holds reports whether more may be held for later. To hand over what came
// behind a request would end the server's watch, and a client that sends it and
// leaves would not be missed for as long as the answer takes.
func (c *conn) holds() bool { return len(c.held.bytes()) < smallBuffer }

// hold waits for bytes and keeps them. To wait for the first costs no buffer.
func (c *conn) hold(p []byte) error {
	if len(c.held.bytes()) == 0 {
		n, err := c.Conn.Read(p)
		c.held.put(p[:n])
		return unless(n > 0, err)
	}
	n, err := c.Conn.Read(c.held.room(1))
	c.held.w += n
	return unless(n > 0, err)
}

// readHeld reads what is held, then the connection.
func (c *conn) readHeld(p []byte) (int, error) {
	held := c.held.bytes()
	if len(held) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, held)
	c.held.take(n)
	return n, nil
}

func (c *conn) readHead(p []byte) (int, error) {
	if c.ready > 0 {
		n := copy(p, c.held.bytes()[:c.ready])
		c.held.take(n)
		if c.ready -= n; c.ready == 0 {
			c.afterHead()
		}
		return n, nil
	}
	held := c.held.bytes()
	if len(held) == 0 {
		// Idle, most likely. Waiting in the server's own buffer costs no other,
		// and a head that comes in one piece is handed over where it is.
		n, err := c.Conn.Read(p)
		if n == 0 {
			return 0, err
		}
		whole := c.judge(p[:n])
		if whole == 0 || c.mode != inHead {
			c.held.put(p[:n])
			c.settle(len(p))
			return 0, nil
		}
		c.afterHead()
		used := whole
		if c.mode == inBody {
			more, err := c.scanBody(p[whole:n])
			used += more
			if err != nil {
				return used, nil
			}
		}
		c.held.put(p[used:n])
		return used, nil
	}
	if c.judged == len(held) {
		c.clock.start(c, len(p))
		n, err := c.Conn.Read(c.held.room(1))
		if n == 0 {
			return 0, err
		}
		c.held.w += n
		held = c.held.bytes()
	}
	c.ready = c.judge(held)
	c.settle(len(p))
	return 0, nil
}

// judge looks at what has come of a head and returns its length if it is whole
// and good. If it is neither, c.judged says how much of it needs no second
// look; a change of mode says the rest.
func (c *conn) judge(b []byte) int {
	c.judged = len(b)
	if !c.later && (c.http2Only || b[0] == 'P') {
		n := min(len(b), len(http2.ClientPreface))
		if string(b[:n]) == http2.ClientPreface[:n] {
			if n == len(http2.ClientPreface) {
				c.mode = frames
				c.frames.Store(newFrameGuard())
			}
			return 0
		}
		if c.http2Only {
			c.fail(io.EOF) // the server would answer in HTTP/1.1
			return 0
		}
	}
	if !c.emptyLine && b[0] == '\r' && (len(b) == 1 || b[1] == '\n') {
		// One empty line before a request is nothing (RFC 9112 §2.2).
		if len(b) > 1 {
			c.emptyLine, c.later = true, true
			c.judged = -1
		}
		return 0
	}
	n, r := c.head.scan(b)
	if r != nil {
		c.mode, c.notice = refused, r.request
		c.linger.Store(true)
		return 0
	}
	return n
}

// settle does to held bytes what judge found.
func (c *conn) settle(room int) {
	switch {
	case c.mode == refused, c.err != nil:
		c.held.free()
	case c.judged < 0:
		c.judged = 0
		if c.held.take(len("\r\n")); len(c.held.bytes()) > 0 {
			return
		}
	case c.ready == 0 && c.mode == inHead:
		c.clock.start(c, room)
		return
	}
	c.clock.stop(c)
}

// afterHead is called when the last byte of a head is handed over.
func (c *conn) afterHead() {
	h := c.head
	c.head, c.judged, c.later, c.emptyLine = headScan{}, 0, true, false
	switch {
	case h.codings > 0:
		c.mode, c.body = inBody, chunkedBody()
	case h.length > 0:
		c.mode, c.body = inBody, plainBody(h.length)
	case h.upgrade:
		c.mode, c.status = pending, answerScan{}
		c.answer.Store(awaited)
	}
}

func (c *conn) readBody(p []byte) (int, error) {
	if held := c.held.bytes(); len(held) > 0 {
		n, _ := c.scanBody(p[:copy(p, held)])
		if c.err == nil {
			c.held.take(n)
		}
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return 0, err
	}
	used, err := c.scanBody(p[:n])
	if err == nil {
		c.held.put(p[used:n])
	}
	return used, nil
}

// scanBody returns how many bytes are the body's. An error is final, and
// returned once those bytes are.
func (c *conn) scanBody(b []byte) (int, error) {
	n, done, err := c.body.scan(b)
	if done {
		c.mode = inHead
	}
	if err != nil {
		c.fail(err)
		c.linger.Store(true)
	}
	return n, err
}

// readPending holds what comes until the answer is known.
func (c *conn) readPending(p []byte) (int, error) {
	switch c.answer.Load() {
	case switched:
		c.mode = raw
		return 0, nil
	case declined:
		c.mode = inHead
		c.answer.Store(notAsked)
		return 0, nil
	}
	if len(p) > 1 && len(c.held.bytes()) > 0 || !c.holds() {
		return 0, errHold
	}
	return 0, c.hold(p)
}

// readRefused hands over the notice, and nothing after it but the news that
// the client has left.
func (c *conn) readRefused(p []byte) (int, error) {
	if c.notice != "" {
		n := copy(p, c.notice)
		c.notice = c.notice[n:]
		return n, nil
	}
	return 0, c.discard()
}

// fail ends the connection for its reader.
func (c *conn) fail(err error) {
	c.err = err
	c.held.free()
}

// longAgo ends a Read at once.
var longAgo = time.Unix(1, 0)
