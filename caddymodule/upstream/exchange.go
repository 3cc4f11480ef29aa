package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// longAgo as a deadline ends every read and write.
var longAgo = time.Unix(1, 0)

// exchange is one request on one connection.
type exchange struct {
	client *Client
	w      http.ResponseWriter
	r      *Request
	conn   *conn
	answer answer
	upload *upload // of a body that is sent beside; nil if there is none
	cut    bool    // the app did not get the whole request
	// finished: the event stream that is the answer ends here.
	finished atomic.Bool
	sent     time.Time // when the app had the head of the request
	heard    time.Time // when the answer that was read last began
	accept   string    // what the app must answer to a WebSocket's key of ours; "": the visitor checks
}

// exchange sends the request on the connection and its answer to w. It owns
// the connection.
func (c *Client) exchange(w http.ResponseWriter, r *Request, conn *conn) error {
	x := &exchange{client: c, w: w, r: r, conn: conn}
	if r.WebSocket && r.Method == http.MethodConnect {
		x.accept = addHandshake(r.Header)
	}
	if !r.cutting.begin(conn) {
		conn.discard()
		return ErrEnded
	}
	ctx := r.Context()
	unwatch := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
	err := x.run()
	x.waited()
	left := ctx.Err() != nil // ending an upload looks like it to the server
	if x.upload != nil && !x.upload.stop() {
		x.cut = true
		if r.ProtoMajor == 1 {
			// What is left of the body would pass for the next request. It says
			// so already where an answer has begun.
			w.Header().Set("Connection", "close")
		}
	}
	// Once the visitor's end has begun to cut the connection, it is of no use.
	mine := unwatch()
	ended := !r.cutting.end()
	mine = mine && !ended
	switch {
	case errors.Is(err, errTunnelled):
		return nil
	case err == nil && mine && !x.cut && !x.answer.close && conn.read.Buffered() == 0:
		conn.pool.put(conn)
		return nil
	}
	conn.discard()
	if ended && err != nil && !errors.Is(err, ErrCutOff) {
		return ErrEnded
	}
	if err == nil || !left || errors.Is(err, ErrCutOff) || malformed(err) {
		return err
	}
	if x.upload != nil {
		// The end of the connection may be known here before its reason is.
		if visitor := x.upload.failed(); malformed(visitor) && !errors.Is(visitor, os.ErrDeadlineExceeded) {
			return visitor
		}
	}
	return ErrLeft
}

// malformed reports whether the visitor sent a body that is none. What guards
// his connection then ends it, which looks as if he had left.
func malformed(err error) bool {
	return errors.Is(err, ErrRequestBody) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) &&
		!errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, context.Canceled)
}

// waited notes how long the app took.
func (x *exchange) waited() {
	if x.heard.IsZero() {
		x.heard = time.Now()
	}
	if !x.sent.IsZero() {
		x.r.Waited += x.heard.Sub(x.sent)
	}
}

func (x *exchange) run() error {
	if err := x.send(); err != nil {
		return err
	}
	if err := x.head(); err != nil {
		return err
	}
	if x.answer.status == http.StatusSwitchingProtocols {
		return x.tunnel()
	}
	return x.body()
}

// inlineBody is the longest body that is sent before the answer is read. It
// fits into the buffers of a socket, so that an app that answers without
// reading cannot block it.
const inlineBody = 16 << 10

// send writes the request: all of it, or what does not have to wait for the
// visitor.
func (x *exchange) send() error {
	buffer := heads.Get().(*[]byte)
	defer heads.Put(buffer)
	b := appendRequest((*buffer)[:0], x.r)
	defer func() { *buffer = b[:0] }()
	switch body := hasBody(x.r) && !x.r.WebSocket; {
	case !body:
		if err := x.write(b); err != nil {
			return err
		}
	case x.r.ContentLength > 0 && x.r.ContentLength <= inlineBody && !x.expects():
		var err error
		x.sent = time.Now()
		if b, err = x.inline(b); err != nil {
			return err
		}
	default:
		// The answer's time begins with the end of the body.
		if err := x.readBy(time.Time{}); err != nil {
			return err
		}
		if err := x.write(b); err != nil {
			return err
		}
		x.sent = time.Now()
		x.upload = startUpload(x)
		return nil // it sets the deadline
	}
	return x.awaitFirstByte()
}

func (x *exchange) expects() bool { return listed(x.r.Header.Get("Expect"), "100-continue") }

func (x *exchange) write(b []byte) error {
	if _, err := x.conn.Write(b); err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return nil
}

func (x *exchange) awaitFirstByte() error {
	now := time.Now()
	if x.sent.IsZero() {
		x.sent = now
	}
	return x.readBy(now.Add(x.r.FirstByte))
}

// readBy sets the time until which the app may be read from; zero is no limit.
// It must not undo the end of an exchange that has come meanwhile.
func (x *exchange) readBy(t time.Time) error {
	err := x.conn.SetReadDeadline(t)
	if err == nil && (x.r.Context().Err() != nil || x.r.IsCut()) {
		err = x.conn.SetReadDeadline(longAgo)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return nil
}

// inline sends a small body behind the head that b holds, and returns b.
func (x *exchange) inline(b []byte) ([]byte, error) {
	for left := x.r.ContentLength; left > 0; {
		start, room := len(b), int(min(left, 4<<10))
		b = append(b, make([]byte, room)...)
		n, err := x.r.Body.Read(b[start:])
		if left -= int64(n); err != nil && left > 0 {
			return b, requestBody(err)
		}
		if _, err := x.conn.Write(b[:start+n]); err != nil {
			// An app may answer and close before it has read all.
			x.cut = true
			return b, nil
		}
		b = b[:0]
	}
	// At the end of the body the server begins to watch for a visitor who leaves.
	_, _ = x.r.Body.Read(b[:cap(b)])
	return b, nil
}

func requestBody(err error) error { return fmt.Errorf("%w: %w", ErrRequestBody, err) }

// head reads the head of the final answer and passes on those before it.
func (x *exchange) head() error {
	for informational := 0; ; informational++ {
		_, err := x.conn.read.Peek(1)
		if err == nil {
			x.heard = time.Now()
			err = readAnswer(x.conn.read, &x.answer)
		}
		if err != nil {
			if err = x.readError(err); informational > 0 && errors.Is(err, ErrNoAnswer) {
				return badAnswer("it ends with an informational one")
			}
			return err
		}
		status := x.answer.status
		switch {
		case status >= 300, status >= 200 && x.accept == "":
			return nil
		case status >= 200:
			return badAnswer("it does not open the WebSocket") // over HTTP/2 a 200 would say that it did
		case status == http.StatusSwitchingProtocols && x.r.WebSocket:
			if x.accept != "" && x.answer.lookUp("Sec-Websocket-Accept") != x.accept {
				return badAnswer("it does not accept the WebSocket's key")
			}
			return nil
		case status == http.StatusSwitchingProtocols:
			return badAnswer("it switches protocols unasked")
		case informational >= maxInformational:
			return badAnswer("more than %d informational answers", maxInformational)
		case status == http.StatusContinue:
			// The server says it to the visitor when the body is first read.
			if x.upload != nil {
				x.upload.proceed()
			}
		default:
			x.inform()
		}
		if x.upload == nil {
			if err := x.awaitFirstByte(); err != nil {
				return err
			}
		}
	}
}

// inform passes an informational answer on.
func (x *exchange) inform() {
	h := x.w.Header()
	before := h.Clone()
	x.passHeaders(h)
	x.w.WriteHeader(x.answer.status)
	clear(h)
	for name, values := range before {
		h[name] = values
	}
}

// readError says why no head came.
func (x *exchange) readError(err error) error {
	if x.upload != nil {
		if visitor := x.upload.failed(); visitor != nil {
			return visitor
		}
	}
	switch {
	case errors.Is(err, ErrBadAnswer), errors.Is(err, ErrNoAnswer):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}
