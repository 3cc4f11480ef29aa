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
	"time"
)

// errTunnelled says that a connection has become a tunnel's.
var errTunnelled = errors.New("the connection carries a WebSocket now")

// How long a tunnel's end may take: lastWords for the other side's rest after
// one side has closed, and for the visitor's answer to a Close frame.
const lastWords = 2 * time.Second

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
	all      *tunnels
	visitor  end
	app      end
	proto    int // the major version of HTTP that the visitor speaks
	draining atomic.Bool
	pumps    atomic.Int32 // that still run
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
		t.drain()
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
	if err := x.conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
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
	t.begin(false)
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
	t.begin(true)
	return errTunnelled
}

// begin pumps both ways. It waits for the end if the visitor's side is the
// handler's.
func (t *tunnel) begin(wait bool) {
	if !t.all.add(t) {
		t.close()
		return
	}
	t.pumps.Store(2)
	up := func() { t.run(t.visitor, t.app, goingAwayToApp) }
	down := func() { t.run(t.app, t.visitor, goingAwayToVisitor) }
	if !wait {
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
func (t *tunnel) run(from, to end, goingAway []byte) {
	err := t.pump(from, to, goingAway)
	if errors.Is(err, io.EOF) || t.draining.Load() {
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
	}
}

// pump copies until from ends, or to fails, or the tunnel is drained.
func (t *tunnel) pump(from, to end, goingAway []byte) error {
	var at cursor
	forward := func(b []byte) error {
		at.advance(b)
		_, err := to.Write(b)
		return err
	}
	for patient := true; ; {
		if t.draining.Load() && at.between() {
			return t.sayGoodbye(from, to, &at, goingAway)
		}
		err := from.fill(forward)
		switch {
		case err == nil:
		case t.draining.Load() && at.between():
		case t.draining.Load() && patient && errors.Is(err, os.ErrDeadlineExceeded):
			patient = false
			from.until(time.Now().Add(lastWords)) // for the rest of a frame
		default:
			return err
		}
	}
}

// sayGoodbye sends a Close frame where a frame may be, and reads up to the
// answer to the one in the other direction: a socket that is closed with
// something unread is reset, and the Close frame lost.
func (t *tunnel) sayGoodbye(from, to end, at *cursor, goingAway []byte) error {
	if !at.closed {
		if _, err := to.Write(goingAway); err != nil {
			return err
		}
	}
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

// drain makes both pumps end with a Close frame.
func (t *tunnel) drain() {
	if !t.draining.Swap(true) {
		t.visitor.until(longAgo)
		t.app.until(longAgo)
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
