package upstream_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/routing"
)

const patience = 30 * time.Second

// rig is a client with a server in front and an app behind it.
type rig struct {
	t      testing.TB
	client *upstream.Client
	in     atomic.Pointer[routing.Instance]
	front  *httptest.Server
	conns  atomic.Int32 // that the app has accepted
	ended  atomic.Int32 // and that have ended
}

// newRig starts them; app serves one connection.
func newRig(t testing.TB, app func(net.Conn, *bufio.Reader)) *rig {
	t.Helper()
	g := &rig{t: t, client: upstream.New(upstream.Config{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var open sync.Map
	running.Go(func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			g.conns.Add(1)
			open.Store(conn, nil)
			running.Go(func() { // ends with the connection
				defer g.ended.Add(1)
				defer conn.Close()
				app(conn, bufio.NewReader(conn))
			})
		}
	})
	g.in.Store(instance(t, l.Addr().String(), 1))
	g.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(g.client, w, request(r, ""), g.in.Load())
	}))
	t.Cleanup(func() {
		g.client.Close()
		g.front.CloseClientConnections()
		g.front.Close()
		l.Close()
		open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		running.Wait()
	})
	return g
}

// answers is an app that answers every request with ok.
func answers(conn net.Conn, r *bufio.Reader) {
	for {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (g *rig) get() {
	g.t.Helper()
	resp, err := http.Get(g.front.URL)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
		g.t.Fatalf("%d %q %v", resp.StatusCode, body, err)
	}
}

func (g *rig) wantConns(all, ended int32) {
	g.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if g.conns.Load() == all && g.ended.Load() == ended {
			return
		}
		if time.Now().After(end) {
			g.t.Fatalf("the app has seen %d connections, %d of them ended; want %d and %d", g.conns.Load(), g.ended.Load(), all, ended)
		}
	}
}

func TestConnectionsBelongToAGeneration(t *testing.T) {
	g := newRig(t, answers)
	first := *g.in.Load()
	g.get()
	g.get()
	g.wantConns(1, 0)

	second := first
	second.Generation = 2
	g.in.Store(&second)
	g.get()
	g.wantConns(2, 1)

	// A request that an older table has decided disturbs nothing.
	g.in.Store(&first)
	g.get()
	g.in.Store(&second)
	g.get()
	g.wantConns(3, 2)

	// The same generation elsewhere.
	moved := second
	port := strings.Replace(second.Endpoint.Address(), "127.0.0.1", "[::ffff:127.0.0.1]", 1)
	endpoint, err := routing.ParseEndpoint(port)
	if err != nil {
		t.Fatal(err)
	}
	if moved.Endpoint = endpoint; moved.Endpoint != second.Endpoint {
		g.in.Store(&moved)
		g.get()
		g.wantConns(4, 3)
	}
}

func TestChangedClosesIdleConnections(t *testing.T) {
	g := newRig(t, answers)
	in := g.in.Load()
	g.get()
	ids := []routing.ID{in.ID, {9}}
	asleep, next := *in, *in
	asleep.Endpoint = routing.Endpoint{} // it stops, its connections end by themselves
	next.Generation = 2
	for _, tc := range []struct {
		now   *routing.Instance
		ended int32
	}{{in, 0}, {&asleep, 0}, {&next, 1}, {nil, 1}} {
		g.client.Changed(ids, func(id routing.ID) *routing.Instance {
			if id == in.ID {
				return tc.now
			}
			return nil
		})
		g.wantConns(1, tc.ended)
	}
}

func TestAConnectionInUseIsNotKeptWhenItsGenerationEnds(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			close(asked)
			<-answer
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	done := make(chan struct{})
	go func() { // ends with the answer
		defer close(done)
		g.get()
	}()
	<-asked
	g.client.Changed([]routing.ID{g.in.Load().ID}, func(routing.ID) *routing.Instance { return nil })
	close(answer)
	<-done
	g.wantConns(1, 1)
}

func TestWhoCannotBeReachedIsToldApart(t *testing.T) {
	client := upstream.New(upstream.Config{Check: func(net.Conn, time.Time, *routing.Instance) error { return errors.New("somebody else") }})
	defer client.Close()
	g := newRig(t, answers)
	r := request(httptest.NewRequest("GET", "/", nil), "")
	for name, in := range map[string]*routing.Instance{"nobody": instance(t, "/nowhere/sock", 1), "another": g.in.Load()} {
		if err := client.Serve(httptest.NewRecorder(), r, in); !errors.Is(err, upstream.ErrConnect) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mortal is a run of an app that a request ends, and with it its port.
func mortal(t *testing.T, received *atomic.Int32) *routing.Instance {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with the listener
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			received.Add(1)
		}
		l.Close()
		conn.Close()
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return instance(t, l.Addr().String(), 1)
}

// A request that ends each run of an app that it comes to is sent twice, if it
// may be repeated, and not held for one run after the other.
func TestWhatEndsAnAppIsSentTwiceAtMost(t *testing.T) {
	for method, want := range map[string][]error{
		"GET":    {upstream.ErrConnect, upstream.ErrNoAnswer}, // by run
		"DELETE": {upstream.ErrConnect, upstream.ErrNoAnswer},
		"POST":   {upstream.ErrNoAnswer},
	} {
		t.Run(method, func(t *testing.T) {
			client := upstream.New(upstream.Config{})
			defer client.Close()
			r := request(httptest.NewRequest(method, "/", nil), "")
			if r.MayHaveArrived() {
				t.Error("it has not been sent, and may have arrived")
			}
			var received atomic.Int32
			for run, want := range want {
				if err := client.Serve(httptest.NewRecorder(), r, mortal(t, &received)); !errors.Is(err, want) {
					t.Errorf("run %d: %v, want %v", run+1, err, want)
				}
				if !r.MayHaveArrived() {
					t.Error("it was received, and is told as if it could not have been")
				}
			}
			if n := received.Load(); n != int32(len(want)) {
				t.Errorf("it was received %d times", n)
			}
		})
	}
}
