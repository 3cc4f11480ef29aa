package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"time"
)

// copyBuffer is how much of a body is read at once.
const copyBuffer = 32 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

// body passes the answer on.
func (x *exchange) body() error {
	if !x.r.cutting.answer(x.w) {
		return ErrEnded
	}
	a := &x.answer
	h := x.w.Header()
	x.passHeaders(h)
	if x.upload != nil && !x.upload.answered() && x.r.ProtoMajor == 1 {
		// Nobody may read the rest of the body once this is over: the server
		// would take what is left of it for the next request.
		h.Set("Connection", "close")
	}
	bodyless := a.bodyless(x.r.Method)
	if !bodyless && (a.chunked || a.length != 0) && !x.whole() {
		// What comes may come as slowly as the app likes.
		if err := x.readBy(time.Time{}); err != nil {
			return err
		}
	}
	x.writeHead(a.status)
	if bodyless {
		return nil
	}
	if a.isEventStream() {
		defer x.r.Use.Open(x.finish)()
	}
	if err := x.copyBody(); err != nil {
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	return nil
}

// writeHead sends the final head on.
func (x *exchange) writeHead(status int) {
	if x.r.Answering != nil {
		x.r.Answering(x.w.Header())
	}
	x.r.Status = status
	x.w.WriteHeader(status)
	x.r.Answered = time.Now()
	x.r.Use.Answered(status, x.r.Answered)
}

// whole reports whether all of a body of known length is there already.
func (x *exchange) whole() bool {
	return x.answer.length >= 0 && int64(x.conn.read.Buffered()) >= x.answer.length
}

func (x *exchange) copyBody() error {
	var (
		a     = &x.answer
		in    = x.conn.read
		from  io.Reader
		known = &io.LimitedReader{R: in, N: a.length}
	)
	switch {
	case a.chunked:
		from = httputil.NewChunkedReader(in)
	case a.length >= 0:
		from = known
	default:
		from, a.close = in, true
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	b := *buffer
	// What is there already is the answer, not a stream of it.
	streams := !x.whole()
	x.conn.unflushed, x.conn.full = x, true // the head goes out as well before a read waits
	defer func() { x.conn.unflushed = nil }()
	for a.length < 0 || known.N > 0 {
		n, err := from.Read(b)
		if n > 0 {
			if _, err := x.w.Write(b[:n]); err != nil {
				return err
			}
			x.conn.unflushed = x
			if streams {
				x.r.Use.Received(a.status, x.r.Answered)
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && x.finished.Load():
			a.close = true
			return nil
		case errors.Is(err, io.EOF) && a.length >= 0:
			return io.ErrUnexpectedEOF
		case errors.Is(err, io.EOF) && a.chunked:
			return x.trailers()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// isEventStream reports whether the answer is server-sent events, whose end is
// the app's to choose.
func (a *answer) isEventStream() bool {
	if a.status != http.StatusOK || !a.chunked && a.length >= 0 {
		return false
	}
	kind, _, _ := strings.Cut(a.lookUp("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
}

// finish ends an event stream as if the app had: the visitor asks again, and is
// a visitor of a sleeping instance then.
func (x *exchange) finish() {
	x.finished.Store(true)
	_ = x.conn.SetReadDeadline(longAgo) // a closed one is at its end
}

func (x *exchange) flush() {
	// A writer that cannot flush holds nothing back, and a visitor who has left
	// is noticed by the next write.
	_ = http.NewResponseController(x.w).Flush()
}
