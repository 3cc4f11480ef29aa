package upstream_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
)

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
