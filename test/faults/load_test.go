package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// apps are n apps in this process: each says its number, echoes WebSockets at
// /ws, and ticks at /events.
func apps(t *testing.T, n int) (endpoints []string) {
	t.Helper()
	for i := range n {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/ws":
				echo(w, r)
			case "/events":
				tick(w, r)
			default:
				io.Copy(io.Discard, r.Body)
				fmt.Fprintf(w, "app %d", i)
			}
		}))
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		endpoints = append(endpoints, s.Listener.Addr().String())
	}
	return endpoints
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	for {
		kind, data, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

func tick(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		fmt.Fprint(w, "data: tick\n\n")
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// tally counts what visitors got.
type tally struct {
	total, failed, retried atomic.Int64

	mu     sync.Mutex
	faults []string    // the first ones
	lost   []time.Time // when an edge ended a visitor's connection
}

func (c *tally) fail(format string, args ...any) {
	c.failed.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.faults) < 5 {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}

// visitorConn is a visitor's connection. Its own end is none of the edge's:
// net/http gives one up whose request it could not finish in 50 ms.
type visitorConn struct {
	net.Conn
	tally *tally
}

func (c *visitorConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		c.tally.mu.Lock()
		defer c.tally.mu.Unlock()
		c.tally.lost = append(c.tally.lost, time.Now())
	}
	return n, err
}

// lostAfter is how long after a moment edges ended connections.
func (c *tally) lostAfter(began time.Time) (after []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.lost {
		if at.After(began) {
			after = append(after, at.Sub(began))
		}
	}
	return after
}

func (c *tally) String() string {
	return fmt.Sprintf("%d failed of %d", c.failed.Load(), c.total.Load())
}

// wantNone fails the test where a visitor failed.
func (c *tally) wantNone(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed.Load() > 0 || c.total.Load() == 0 {
		t.Errorf("%s: %s", c, strings.Join(c.faults, "; "))
	}
}

// crowd is visitors that come until they are told to go.
type crowd struct {
	tally
	cancel context.CancelFunc
	all    sync.WaitGroup
}

func newCrowd(t *testing.T) (*crowd, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &crowd{cancel: cancel}
	t.Cleanup(c.leave)
	return c, ctx
}

// leave sends everybody home.
func (c *crowd) leave() {
	c.cancel()
	c.all.Wait()
}

// pause is a visitor's between two requests: 32 of them make about 1,500
// requests a second.
const pause = 20 * time.Millisecond

// visit lets n visitors ask for the apps in turn, each on one connection that
// it keeps, every other by HTTP/2. One that finds an edge closed goes to the
// next, as a load balancer does; given one edge, there is no other.
func visit(t *testing.T, n int, targets []int, edges ...*edge) *crowd {
	c, ctx := newCrowd(t)
	for v := range n {
		clients := make([]*http.Client, len(edges))
		for i, e := range edges {
			transport := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := e.dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &visitorConn{conn, &c.tally}, nil
			}}
			if v%2 == 1 {
				transport.Protocols = new(http.Protocols)
				transport.Protocols.SetUnencryptedHTTP2(true)
			}
			clients[i] = &http.Client{Transport: transport, Timeout: patience}
		}
		c.all.Go(func() {
			for i := v; ctx.Err() == nil; i++ {
				c.ask(ctx, clients, i, targets[i%len(targets)])
				time.Sleep(pause)
			}
			for _, h := range clients {
				h.CloseIdleConnections()
			}
		})
	}
	return c
}

// ask sends a request to the first edge that answers, from the turn-th on.
func (c *crowd) ask(ctx context.Context, clients []*http.Client, turn, target int) {
	var err error
	for attempt := range clients {
		var r *http.Request
		if r, err = http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host(target)+"/", nil); err != nil {
			break
		}
		// One name for all apps: a connection is an edge's, not an app's.
		r.URL.Host, r.Host = "edge", host(target)
		var resp *http.Response
		if resp, err = clients[(turn+attempt)%len(clients)].Do(r); err != nil {
			if ctx.Err() != nil {
				return
			}
			if attempt > 0 || len(clients) > 1 {
				c.retried.Add(1)
			}
			continue
		}
		body, reading := io.ReadAll(resp.Body)
		resp.Body.Close()
		if ctx.Err() != nil {
			return
		}
		c.total.Add(1)
		if want := fmt.Sprintf("app %d", target); resp.StatusCode != http.StatusOK || reading != nil || string(body) != want {
			c.fail("%d %.80q (%v), want %q", resp.StatusCode, body, reading, want)
		}
		return
	}
	c.total.Add(1)
	c.fail("%v", err)
}

// streams are open WebSockets and event streams. One that ends before the test
// ends it is a failure.
type streams struct {
	*crowd
	ends sync.Map // WebSockets: how they ended, by number
}

// open opens WebSockets and event streams.
func open(t *testing.T, sockets, events int, targets []int, e *edge) *streams {
	t.Helper()
	c, ctx := newCrowd(t)
	s := &streams{crowd: c}
	for i := range sockets {
		s.webSocket(ctx, t, i, targets[i%len(targets)], e)
	}
	for i := range events {
		s.events(ctx, t, targets[i%len(targets)], e)
	}
	return s
}

func (s *streams) webSocket(ctx context.Context, t *testing.T, i, target int, e *edge) {
	t.Helper()
	transport := &http.Transport{DialContext: e.dial}
	ws, _, err := websocket.Dial(ctx, "ws://"+host(target)+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	s.total.Add(1)
	s.all.Go(func() {
		defer ws.CloseNow()
		for n := 0; ctx.Err() == nil; n++ {
			text := fmt.Sprint(n)
			call, cancel := context.WithTimeout(ctx, patience)
			err := ws.Write(call, websocket.MessageText, []byte(text))
			// A close frame is read, not written: a failed write says nothing.
			_, data, reading := ws.Read(call)
			cancel()
			if ctx.Err() != nil {
				return
			}
			if reading != nil || string(data) != text {
				s.ends.Store(i, reading)
				s.fail("WebSocket %d: %v, %v, %q", i, err, reading, data)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func (s *streams) events(ctx context.Context, t *testing.T, target int, e *edge) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host(target)+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DialContext: e.dial}).RoundTrip(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	s.total.Add(1)
	s.all.Go(func() {
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		for {
			line, err := lines.ReadString('\n')
			if ctx.Err() != nil {
				return
			}
			if err != nil || line != "data: tick\n" && line != "\n" {
				s.fail("events: %q, %v", line, err)
				return
			}
		}
	})
}

// closed counts the WebSockets that ended, by status; -1 without a close frame.
func (s *streams) closed() map[websocket.StatusCode]int {
	found := map[websocket.StatusCode]int{}
	s.ends.Range(func(_, end any) bool {
		var closing websocket.CloseError
		if err, _ := end.(error); errors.As(err, &closing) {
			found[closing.Code]++
		} else {
			found[-1]++
		}
		return true
	})
	return found
}
