package upstream_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/routing"
)

const patience = 10 * time.Second

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

const webSocketRequest = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// webSocket opens one.
func (g *rig) webSocket() (net.Conn, *bufio.Reader) {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.front.Listener.Addr().String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, webSocketRequest)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		g.t.Fatalf("%v, %v", resp, err)
	}
	return conn, r
}

func switches(conn net.Conn, r *bufio.Reader) bool {
	_, err := http.ReadRequest(r)
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	return err == nil
}

// readFrame returns the next frame's first byte and its payload.
func readFrame(r *bufio.Reader) (first byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	n := int(head[1] & 0x7f)
	if n == 127 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, nil, err
		}
		n = 0
		for _, b := range long {
			n = n<<8 | int(b)
		}
	}
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0], payload, err
}

// closing reads frames until a Close frame, answers it, and reads to the end.
func closing(conn net.Conn, r *bufio.Reader) error {
	for {
		first, payload, err := readFrame(r)
		if err != nil {
			return err
		}
		if first&0xf != 8 {
			continue
		}
		if string(payload) != "\x03\xe9" {
			return fmt.Errorf("closed with %q", payload)
		}
		if _, err := conn.Write([]byte{0x88, 2, 3, 0xe9}); err != nil {
			return err
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			return fmt.Errorf("after the Close frame came %.20q, %w", rest, err)
		}
		return nil
	}
}

func TestDrainSaysGoodbyeToBothSides(t *testing.T) {
	const size = 4 << 20
	app := make(chan error, 8)
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		if !switches(conn, r) {
			return
		}
		sent := make(chan struct{})
		go func() { // ends with the message
			defer close(sent)
			conn.Write([]byte{0x82, 127, 0, 0, 0, 0, size >> 24, size >> 16 & 0xff, 0, 0})
			for range size >> 16 {
				conn.Write(make([]byte, 1<<16))
			}
		}()
		err := closing(conn, r)
		<-sent
		app <- err
	})
	visitors := make(chan error, 8)
	for range cap(visitors) {
		conn, r := g.webSocket()
		if _, err := r.Peek(100); err != nil { // the message has begun
			t.Fatal(err)
		}
		go func() { visitors <- closing(conn, r) }() // ends with the connection
	}
	g.client.Drain()
	for range cap(visitors) {
		if err := <-visitors; err != nil {
			t.Errorf("a visitor: %v", err)
		}
		if err := <-app; err != nil {
			t.Errorf("the app: %v", err)
		}
	}
	if n := streams(g.client); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// Neither side reads, and both have more to read than any buffer holds.
func TestDrainEndsWithDeadPeers(t *testing.T) {
	over := make(chan struct{})
	flood := func(conn net.Conn) {
		conn.Write([]byte{0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0})
		for piece := make([]byte, 1<<16); ; {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	}
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		if switches(conn, r) {
			flood(conn)
			<-over
		}
	})
	defer close(over)
	conn, _ := g.webSocket()
	conn.SetDeadline(time.Time{})
	go flood(conn) // ends with the connection
	done := make(chan struct{})
	go func() { // ends by itself: that is the test
		defer close(done)
		g.client.Drain()
	}()
	select {
	case <-done:
	case <-time.After(2 * patience):
		t.Fatal("the drain does not end")
	}
}

// quietWriter is a visitor who costs nothing.
type quietWriter struct{ header http.Header }

func (w *quietWriter) Header() http.Header         { return w.header }
func (w *quietWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *quietWriter) WriteHeader(int)             {}

// maxAllocs is the budget of a plain GET with five headers each way.
const maxAllocs = 13

func TestAPlainGETHasABudget(t *testing.T) {
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: x\r\nServer: y\r\nCache-Control: no-store\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024))
		for {
			for line := []byte("GET"); len(line) > 2; {
				var err error
				if line, err = r.ReadSlice('\n'); err != nil {
					return
				}
			}
			conn.Write(answer)
		}
	})
	r := httptest.NewRequest("GET", "/some/path?query", nil)
	r.Header = http.Header{"User-Agent": {"x"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Cookie": {"a=b"}, "Referer": {"y"}}
	out, w := request(r, ""), &quietWriter{http.Header{}}
	allocs := testing.AllocsPerRun(500, func() {
		clear(w.header)
		if err := g.client.Serve(w, out, g.in.Load()); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%.1f allocations", allocs)
	if allocs > maxAllocs {
		t.Errorf("a GET takes %.1f allocations, the budget is %d", allocs, maxAllocs)
	}
}

// maxIdle is what an idle WebSocket may cost, with the server's and the test's
// own connections (the visitor's and the app's, with their readers).
const maxIdle = 32 << 10

func TestAnIdleWebSocketCostsLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	const count = 1000
	switched := make(chan struct{}, count)
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		if !switches(conn, r) {
			return
		}
		switched <- struct{}{}
		conn.Read(make([]byte, 1))
	})
	measure := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC() // the second empties the pools
		runtime.ReadMemStats(&stats)
		return stats.HeapInuse + stats.StackInuse
	}
	before := measure()
	for range count {
		g.webSocket()
		<-switched
	}
	for end := time.Now().Add(10 * time.Second); streams(g.client) != count; time.Sleep(time.Millisecond) {
		if time.Now().After(end) { // the last ones have just been told that they are open
			t.Fatalf("%d are open", streams(g.client))
		}
	}
	each := (int64(measure()) - int64(before)) / count
	t.Logf("%d bytes of heap and stack each, both peers included", each)
	if each > maxIdle {
		t.Errorf("an idle WebSocket costs %d bytes, at most %d are due", each, maxIdle)
	}
}

func streams(c *upstream.Client) (n int) {
	for _, open := range c.Streams() {
		n += open
	}
	return n
}
