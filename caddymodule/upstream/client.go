package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/seed-dbc68772/slipway/caddymodule/activity"
	"github.com/seed-dbc68772/slipway/routing"
)

// The ways in which a request fails. Unless it is ErrCutOff, nothing of an
// answer was sent to the visitor yet.
var (
	// ErrConnect: the app could not be reached, nothing was sent this time. See
	// Request.MayHaveArrived.
	ErrConnect = errors.New("connect to the app")
	// ErrNoAnswer: the connection ended before an answer came.
	ErrNoAnswer = errors.New("the app closed the connection without an answer")
	// ErrBadAnswer: what came is no answer, or one beyond the limits of spec
	// routing.md §6.
	ErrBadAnswer = errors.New("the app's answer is malformed")
	// ErrTimeout: no first byte came in time.
	ErrTimeout = errors.New("the app did not answer in time")
	// ErrRequest: it cannot be said in HTTP/1.1, nothing was sent.
	ErrRequest = errors.New("the method is no token")
	// ErrRequestBody: the visitor's body broke off or is malformed.
	ErrRequestBody = errors.New("read the body of the request")
	// ErrLeft: the visitor went away.
	ErrLeft = errors.New("the visitor left")
	// ErrCutOff: the answer broke off after its head was sent. The visitor's
	// connection must be cut, so that the answer does not pass for whole.
	ErrCutOff = errors.New("the answer broke off")
)

// Config is what a Client needs to know. The zero value is usable.
type Config struct {
	// How long a connect may take. Default: 3 s.
	ConnectTimeout time.Duration
	// Check is asked once for each new connection whether it leads to the
	// instance; the connect began at that time. Default: it does.
	Check func(c net.Conn, began time.Time, in *routing.Instance) error
}

// Client sends requests to instances. Any number of goroutines may use it.
type Client struct {
	config Config
	dialer net.Dialer
	pools  pools
	grpc   *http.Transport

	tunnels tunnels
	janitor sync.WaitGroup
	stop    context.CancelFunc
}

// New makes a client. Close it.
func New(config Config) *Client {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 3 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		config: config, stop: cancel,
		dialer: net.Dialer{Timeout: config.ConnectTimeout, KeepAlive: 15 * time.Second},
	}
	c.pools.byID = map[routing.ID]*pool{}
	c.tunnels.open = map[*tunnel]struct{}{}
	c.grpc = c.newGRPC()
	c.janitor.Go(func() { c.pools.keepHouse(ctx) })
	return c
}

// Request is one request on its way to an app.
type Request struct {
	*http.Request
	// Target is the request target in origin form, as it was received.
	Target string
	// WebSocket: it asks for one, over HTTP/1.1 or by extended CONNECT.
	WebSocket bool
	// Prefix is /instance/<ID>/ at an instance in BASE_URL mode, else "".
	Prefix string
	// Forwarded is what the app is told about the visitor.
	Forwarded Forwarded
	// FirstByte is how long the app may take to the first byte of its answer,
	// from when it has the whole request.
	FirstByte time.Duration
	// Identity is what the app is told of who the visitor is; nil: nothing (spec
	// routing.md §5).
	Identity *Identity
	// Opened, if not nil, is told of a WebSocket: end ends it with a Close frame
	// of that status to both sides, and within seconds. What Opened returns is
	// called when it has ended.
	Opened func(end func(status uint16)) (ended func())
	// Use is told how the instance is used, and what is open to it.
	Use activity.Use

	// Answering, if not nil, is called with the header of the app's final answer
	// when that is there, before it is sent on. It may add to it.
	Answering func(http.Header)

	// Status is the final one of the app's answer, once its head was sent on:
	// at Answered.
	Status   int
	Answered time.Time
	// Waited is how long the request has waited for the app so far. Each call of
	// Serve adds its own: for a connection, and from the request's head to the
	// answer's first byte.
	Waited time.Duration

	unanswered int // how often it was sent and nothing came back
	cutting    cutting
}

// MayHaveArrived reports whether the app may have received the request, though nothing
// came back.
func (r *Request) MayHaveArrived() bool { return r.unanswered > 0 }

// Identity is the values of the X-Slipway headers. Empty ones are not sent.
type Identity struct {
	User, Email, Roles, Instance string
}

// Forwarded is the values of the X-Forwarded headers.
type Forwarded struct {
	For, Host, Proto string
}

// mostSent is how often a request is sent of which nothing comes back, whichever
// run of the app gets it: what ends an app is not to end each next one.
const mostSent = 2

// Serve sends the request to the instance, and its answer to w. It returns
// when the answer is complete; a WebSocket over HTTP/1.1 goes on without it.
// It may be called again after ErrConnect.
func (c *Client) Serve(w http.ResponseWriter, r *Request, in *routing.Instance) error {
	if !token(r.Method) {
		return ErrRequest
	}
	if r.IsGRPC() {
		return c.serveGRPC(w, r, in)
	}
	repeatable := idempotent(r.Method) && !hasBody(r)
	for {
		conn, err := c.connection(r, in, repeatable)
		if err != nil {
			return err
		}
		err = c.exchange(w, r, conn)
		if !errors.Is(err, ErrNoAnswer) {
			return err
		}
		if r.unanswered++; r.unanswered == mostSent || !repeatable {
			return err
		}
	}
}

// connection takes one from the pool or opens one. An app may close an idle
// connection in the same moment as a request goes out on it; a request that
// cannot be repeated gets one that was idle for a moment only.
func (c *Client) connection(r *Request, in *routing.Instance, repeatable bool) (*conn, error) {
	p := c.pools.of(in)
	if r.unanswered == 0 && !r.WebSocket {
		if conn := p.take(!repeatable); conn != nil {
			return conn, nil
		}
	}
	ctx, began := r.Context(), time.Now()
	nc, err := c.dial(ctx, in)
	r.Waited += time.Since(began)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ErrLeft
		}
		return nil, fmt.Errorf("%w: %w", ErrConnect, err)
	}
	return newConn(nc, p), nil
}

func (c *Client) dial(ctx context.Context, in *routing.Instance) (net.Conn, error) {
	began := time.Now()
	nc, err := c.dialer.DialContext(ctx, in.Endpoint.Network(), in.Endpoint.Address())
	if err == nil && c.config.Check != nil {
		if err = c.config.Check(nc, began, in); err != nil {
			nc.Close()
			return nil, err
		}
	}
	return nc, err
}

// Changed tells that the routes of these instances have changed: idle
// connections to an endpoint that is not theirs any more are closed.
func (c *Client) Changed(ids []routing.ID, now func(routing.ID) *routing.Instance) {
	c.pools.changed(ids, now)
}

// Close ends the WebSockets as [Client.Drain] does and closes every idle
// connection. Requests that are under way go on.
func (c *Client) Close() {
	c.Drain()
	c.stop()
	c.janitor.Wait()
	c.pools.close()
	c.grpc.CloseIdleConnections()
}

func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// token reports whether a method is one word. Over HTTP/2 it may hold spaces,
// and would be a request line by itself.
func token(method string) bool {
	return idempotent(method) || method == http.MethodPost || httpguts.ValidHeaderFieldName(method)
}

func hasBody(r *Request) bool { return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 }
