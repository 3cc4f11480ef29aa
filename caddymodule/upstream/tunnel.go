package upstream

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants it; nothing secret is in it
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/activity"
)

// errTunnelled says that a connection has become a tunnel's.
var errTunnelled = errors.New("the connection carries a WebSocket now")

// How long a tunnel's end may take: lastWords for the other side's rest after
// one side has closed, and for the visitor's answer to a Close frame.
const lastWords = 2 * time.Second

// frameRest is how long the rest of a frame may take when a WebSocket is to end
// (spec instances.md §4): a Close frame can only come behind it.
const frameRest = time.Second

// drainPatience is how long a drain may take: the rest of a frame, the Close
// frame's answer and the rest of the other direction.
const drainPatience = 3 * lastWords

// tunnels is the WebSockets that are open.
type tunnels struct {
	mu      sync.Mutex
	open    map[*tunnel]struct{}
	drained bool // no more may open
	ended   sync.WaitGroup
}

// tunnel is one WebSocket.
type tunnel struct {
	all     *tunnels
	visitor end
	app     end
	proto   int           // the major version of HTTP that the visitor speaks
	ending  atomic.Uint32 // the status of the Close frames that end it; 0: nothing ends it
	pumps   atomic.Int32  // that still run
	ended   func()        // told of its end; may be nil
	use     activity.Use
	closed  func()         // tells use of the end
	said    [2]atomic.Bool // the visitor and the app have their Close frame, or will get none
}

// Streams returns how many WebSockets are open, by the major version of HTTP
// that carries them.
func (c *Client) Streams() (open [4]int) {
	c.tunnels.mu.Lock()
	defer c.tunnels.mu.Unlock()
	for t := range c.tunnels.open {
		open[t.proto&3]++
	}
	return open
}

// Drain ends every WebSocket with status 1001 (going away) to both sides, and
// returns when they have ended, after a few seconds at most. No more may open.
func (c *Client) Drain() {
	ts := &c.tunnels
	ts.mu.Lock()
	ts.drained = true
	for t := range ts.open {
		t.end(goingAway)
	}
	ts.mu.Unlock()
	timer := time.AfterFunc(drainPatience, ts.cut)
	defer timer.Stop()
	ts.ended.Wait()
}

// cut ends those whose peers take nothing of what they are sent.
func (ts *tunnels) cut() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.open {
		t.visitor.abort()
		t.app.abort()
	}
}

func (ts *tunnels) add(t *tunnel) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.drained {
		return false
	}
	ts.open[t] = struct{}{}
	ts.ended.Add(1)
	return true
}

func (ts *tunnels) remove(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.open, t)
	ts.ended.Done()
}

// tunnel turns the exchange into a WebSocket. Over HTTP/1.1 it goes on by
// itself when this returns: the server's memory for the request is free.
func (x *exchange) tunnel() error {
	if err := x.readBy(time.Time{}); err != nil {
		return err
	}
	if !x.r.cutting.open() {
		return ErrEnded
	}
	if x.r.Method == http.MethodConnect {
		return x.tunnelStream()
	}
	h := x.w.Header()
	x.passHeaders(h)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	x.writeHead(http.StatusSwitchingProtocols)
	nc, ahead, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	if err := ahead.Flush(); err != nil {
		nc.Close()
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	if guard, ok := nc.(interface{ PassThrough() }); ok {
		guard.PassThrough() // what comes now is no HTTP
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		nc.Close()
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	t := &tunnel{all: &x.client.tunnels, proto: x.r.ProtoMajor, visitor: newSocket(nc, ahead.Reader), app: newSocket(x.conn.Conn, x.conn.read)}
	x.conn.rest()
	t.begin(x.r, false)
	return errTunnelled
}

// tunnelStream is a WebSocket over HTTP/2 or /3 (RFC 8441, RFC 9220).
func (x *exchange) tunnelStream() error {
	h := x.w.Header()
	x.passHeaders(h)
	delete(h, "Sec-Websocket-Accept")
	x.writeHead(http.StatusOK)
	x.flush()
	t := &tunnel{all: &x.client.tunnels, proto: x.r.ProtoMajor, visitor: newStream(x.w, x.r), app: newSocket(x.conn.Conn, x.conn.read)}
	x.conn.rest()
	t.begin(x.r, true)
	return errTunnelled
}

// begin pumps both ways. It waits for the end if the visitor's side is the
// handler's.
func (t *tunnel) begin(r *Request, wait bool) {
	if !t.all.add(t) {
		t.close()
		return
	}
	t.pumps.Store(2)
	t.use = r.Use
	if !wait {
		t.use = r.Use.Again() // it outlives the request
	}
	t.closed = t.use.Open(func() { t.cutWith(goingAway) })
	if r.Opened != nil {
		t.ended = r.Opened(t.cutWith)
	}
	if r.IsCut() {
		t.cutWith(PolicyViolation) // while it opened, so that nobody else does it
	}
	up := func() { t.run(t.visitor, t.app, true) }
	down := func() { t.run(t.app, t.visitor, false) }
	if !wait {
		ended, use := t.ended, t.use
		t.ended = func() {
			if ended != nil {
				ended()
			}
			use.End()
		}
		go up() // both end with either connection
		go down()
		return
	}
	finished := make(chan struct{})
	go func() { // ends with either side
		defer close(finished)
		up()
	}()
	down()
	// The visitor learns of the end by the handler's return, so nobody waits
	// here for his.
	t.visitor.until(longAgo)
	<-finished
}

// run is one direction, until its end. The last of the two cleans up.
func (t *tunnel) run(from, to end, toApp bool) {
	err := t.pump(from, to, toApp)
	t.side(toApp).Store(true)
	if errors.Is(err, io.EOF) || t.ending.Load() != 0 {
		to.closeWrite()
		// What the other side still has to say ends with it, or soon.
		to.until(time.Now().Add(lastWords))
	} else {
		to.until(longAgo)
		from.until(longAgo)
	}
	if t.pumps.Add(-1) == 0 {
		t.close()
		t.all.remove(t)
		t.closed()
		if t.ended != nil {
			t.ended()
		}
	}
}

// pump copies until from ends, or to fails, or the tunnel is ended.
func (t *tunnel) pump(from, to end, toApp bool) error {
	var at cursor
	forward := func(b []byte) error {
		at.advance(b)
		_, err := to.Write(b)
		if at.data {
			at.data = false
			t.use.Data()
		}
		return err
	}
	for patient := true; ; {
		if t.ending.Load() != 0 && at.between() {
			return t.sayGoodbye(from, to, &at, toApp)
		}
		err := from.fill(forward)
		switch {
		case err == nil:
		case t.ending.Load() != 0 && at.between():
		case t.ending.Load() != 0 && patient && errors.Is(err, os.ErrDeadlineExceeded):
			patient = false
			from.until(time.Now().Add(frameRest))
		default:
			if !toApp && closedBy(err) && at.between() && !at.closed && t.use.Leaving() {
				// It was faster than the news that it stops.
				_, _ = to.Write(closeFrame(goingAway, false)) // the end comes anyway
			}
			return err
		}
	}
}

// closedBy reports whether an end was closed by its peer.
func closedBy(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// sayGoodbye sends a Close frame where a frame may be, and reads up to the
// answer to the one in the other direction: a socket that is closed with
// something unread is reset, and the Close frame lost.
func (t *tunnel) sayGoodbye(from, to end, at *cursor, toApp bool) error {
	if !at.closed {
		if _, err := to.Write(closeFrame(uint16(t.ending.Load()), toApp)); err != nil {
			return err
		}
	}
	t.side(toApp).Store(true)
	from.until(time.Now().Add(lastWords))
	for !at.closed || !at.between() {
		err := from.fill(func(b []byte) error {
			at.advance(b)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// end makes both pumps end with a Close frame of that status.
func (t *tunnel) end(status uint16) {
	if t.ending.CompareAndSwap(0, uint32(status)) {
		t.visitor.until(longAgo)
		t.app.until(longAgo)
	}
}

// side is whether that side has been told of the end.
func (t *tunnel) side(toApp bool) *atomic.Bool {
	if toApp {
		return &t.said[1]
	}
	return &t.said[0]
}

// cutWith ends the tunnel, whatever its peers take of what they are sent.
func (t *tunnel) cutWith(status uint16) {
	t.end(status)
	time.AfterFunc(frameRest, func() {
		if t.said[0].Load() && t.said[1].Load() {
			time.AfterFunc(lastWords, t.abort) // for the answers to the Close frames
		} else {
			t.abort()
		}
	})
}

// abort ends the tunnel, if it is still open.
func (t *tunnel) abort() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	if _, open := t.all.open[t]; open {
		t.visitor.abort()
		t.app.abort()
	}
}

func (t *tunnel) close() {
	t.visitor.Close()
	t.app.Close()
}

// addHandshake completes a request for a WebSocket over HTTP/2, which has no
// key, and returns what the app must answer.
func addHandshake(h http.Header) (accept string) {
	key := make([]byte, 16)
	rand.Read(key) // it does not fail
	text := base64.StdEncoding.EncodeToString(key)
	h.Set("Sec-Websocket-Key", text)
	if h.Get("Sec-Websocket-Version") == "" {
		h.Set("Sec-Websocket-Version", "13")
	}
	sum := sha1.Sum([]byte(text + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}
