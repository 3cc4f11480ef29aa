package upstream

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// continueWait is how long an app may take to say whether it wants a body that
// the visitor holds back until asked. Then it is sent, as any client does.
const continueWait = time.Second

// upload sends a request's body while the answer is read.
type upload struct {
	x *exchange

	ready     chan struct{} // closed: send the body
	readyOnce sync.Once
	stopped   chan struct{} // closed: it is wanted no more
	done      chan struct{} // closed when it has ended

	mu       sync.Mutex
	visitor  error // why the visitor's body could not be read
	read     bool  // the visitor has sent all of it
	sent     bool  // the app has got all of it
	over     bool  // nothing more is sent
	hasReply bool  // the answer has begun: no deadline for its first byte
}

// startUpload begins. It ends at the latest with stop.
func startUpload(x *exchange) *upload {
	u := &upload{x: x, ready: make(chan struct{}), stopped: make(chan struct{}), done: make(chan struct{})}
	if x.r.ProtoMajor == 1 {
		// An app may answer while it still reads. Without this the server
		// throws away what it has not read by then. A writer that cannot is no
		// connection of the server.
		_ = http.NewResponseController(x.w).EnableFullDuplex()
	}
	if !x.expects() {
		u.proceed()
	}
	go func() {
		defer close(u.done)
		if u.wanted() {
			u.ended(u.run())
		}
	}()
	return u
}

func (u *upload) ended(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if errors.Is(err, ErrRequestBody) {
		u.visitor = err
		_ = u.x.conn.SetDeadline(longAgo) // nobody waits for an answer to half a request
		return
	}
	// An app that stopped reading may have answered.
	u.sent = err == nil
	if !u.hasReply {
		_ = u.x.awaitFirstByte() // the reader finds out what is wrong
	}
}

// wanted waits until the app wants the body.
func (u *upload) wanted() bool {
	timer := time.NewTimer(continueWait)
	defer timer.Stop()
	select {
	case <-u.stopped:
		return false
	case <-u.ready:
	case <-timer.C:
	}
	return true
}

func (u *upload) proceed() { u.readyOnce.Do(func() { close(u.ready) }) }

// run sends the body. What came together with an error is not sent: nobody waits
// for an answer to half a request.
func (u *upload) run() error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	r := u.x.r
	if r.ContentLength < 0 {
		return u.chunked(*buffer)
	}
	for left := r.ContentLength; ; {
		n, err := r.Body.Read(*buffer)
		u.wasRead(err)
		if err != nil && !errors.Is(err, io.EOF) {
			return requestBody(err)
		}
		if int64(n) > left {
			return requestBody(errors.New("the body is longer than its length"))
		}
		if left -= int64(n); n > 0 {
			if err := u.write((*buffer)[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF) && left == 0:
			return nil
		case errors.Is(err, io.EOF):
			return requestBody(io.ErrUnexpectedEOF)
		}
	}
}

// chunked sends each piece as it comes as a chunk, and then the trailers.
func (u *upload) chunked(b []byte) error {
	const before, after = 8, 2 // room for the size in hexadecimal, and for line ends
	for {
		n, err := u.x.r.Body.Read(b[before : len(b)-after])
		u.wasRead(err)
		if err != nil && !errors.Is(err, io.EOF) {
			return requestBody(err)
		}
		if n > 0 {
			head := append(strconv.AppendInt(make([]byte, 0, before), int64(n), 16), '\r', '\n')
			start := before - len(head)
			copy(b[start:], head)
			end := copy(b[before+n:], "\r\n") + before + n
			if err := u.write(b[start:end]); err != nil {
				return err
			}
		}
		if err != nil {
			return u.write(u.lastChunk())
		}
	}
}

func (u *upload) lastChunk() []byte {
	b := []byte("0\r\n")
	forEachTrailer(u.x.r, func(name, value string) { b = appendField(b, name, value) })
	return append(b, '\r', '\n')
}

// write sends to the app, which may take as long as for an answer.
func (u *upload) write(b []byte) error {
	if err := u.x.conn.SetWriteDeadline(time.Now().Add(u.x.r.FirstByte)); err != nil {
		return err
	}
	// The deadline must not undo what has ended the exchange meanwhile.
	u.mu.Lock()
	over := u.over
	u.mu.Unlock()
	if over {
		return os.ErrDeadlineExceeded
	}
	if u.x.r.Context().Err() != nil {
		return ErrLeft
	}
	_, err := u.x.conn.Write(b)
	if err == nil {
		u.x.r.Use.Sent(u.x.sent)
	}
	return err
}

// failed is the visitor's error, if that is why there is no answer.
func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.visitor
}

// wasRead is told the outcome of each read of the body, before what was read is
// sent: no app can have the end of a body that is not known here to have ended.
func (u *upload) wasRead(err error) {
	if errors.Is(err, io.EOF) {
		u.mu.Lock()
		u.read = true
		u.mu.Unlock()
	}
}

// answered tells that the head of the answer has come, and returns whether the
// visitor has sent the whole body by then.
func (u *upload) answered() (read bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hasReply = true
	return u.read
}

// stop ends the upload, waits for that, and returns whether all was sent. The
// server must not find anybody reading the body when the handler returns.
func (u *upload) stop() (sent bool) {
	close(u.stopped)
	select {
	case <-u.done:
	default:
		if !u.interrupt() {
			return false
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.sent:
		_ = u.x.conn.SetWriteDeadline(time.Time{}) // of the next request
	case !u.read && u.x.r.ProtoMajor == 1:
		u.linger()
	}
	return u.sent
}

// linger lets the server read some of what is left, so that the answer is not
// lost in a reset, before it closes.
func (u *upload) linger() {
	_ = http.NewResponseController(u.x.w).SetReadDeadline(time.Now().Add(lingering))
}

// lastWrite is how long the end of a body may still take to the app once the
// answer is complete.
const lastWrite = 50 * time.Millisecond

// forbid ends a write to the app.
func (u *upload) forbid() {
	u.mu.Lock()
	u.over = true
	u.mu.Unlock()
	_ = u.x.conn.SetWriteDeadline(longAgo)
}

// interrupt ends a read of the visitor's body and a write to the app, and waits
// until it has. It reports whether it had no need to.
func (u *upload) interrupt() bool {
	u.mu.Lock()
	read := u.read
	u.mu.Unlock()
	if read {
		// The server watches the visitor's connection again: nothing may be
		// done to that. The app has probably just got the rest.
		timer := time.AfterFunc(lastWrite, u.forbid)
		<-u.done
		return timer.Stop()
	}
	u.forbid()
	if u.x.r.ProtoMajor > 1 {
		u.x.r.Body.Close()
		<-u.done
		return false
	}
	if http.NewResponseController(u.x.w).SetReadDeadline(longAgo) == nil {
		<-u.done
		u.linger()
	}
	return false
}

// lingering is how long a visitor may still send a body that nobody reads, once
// he has his answer.
const lingering = time.Second
