package caddymodule_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// most is what one waiter may cost (spec ../design.md §4).
const most = 64 << 10

// TestWhatAWaiterCosts measures memory of this process, clients included but
// for HTTP/2's: those of HTTP/1.1 are bare sockets. SLIPWAY_WAITERS is how many.
func TestWhatAWaiterCosts(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("SLIPWAY_WAITERS"))
	if err != nil {
		n = 500
	}
	e := startEdge(t, settings{"hold": time.Minute})
	in := instance(1, "")
	in.Status = controlplane.Suspended
	e.put(in)
	host := in.ID + "." + base
	head := "Host: " + host + "\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: a=b; c=d\r\n"
	for name, request := range map[string]string{
		"GET over HTTP/1.1":  "GET / HTTP/1.1\r\n" + head + "\r\n",
		"POST over HTTP/1.1": "POST / HTTP/1.1\r\n" + head + "Content-Length: 100000\r\n\r\n" + "some of it",
	} {
		t.Run(name, func(t *testing.T) {
			before := memory()
			conns := make([]net.Conn, 0, n)
			for range n {
				conn, err := net.Dial("tcp", e.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, request); err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
			}
			eventually(t, "all wait", func() bool { return e.table().Waiters() == int64(n) })
			told(t, n, before)
			for _, conn := range conns {
				conn.Close()
			}
			eventually(t, "nobody waits", func() bool { return e.table().Waiters() == 0 })
		})
	}
	t.Run("GET over HTTP/2", func(t *testing.T) {
		transport := e.overHTTP2()
		before := memory()
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urlOf(in)+"/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if resp, err := transport.RoundTrip(r); err == nil {
					_, _ = bufio.NewReader(resp.Body).WriteTo(io.Discard)
					resp.Body.Close()
				}
			})
		}
		eventually(t, "all wait", func() bool { return e.table().Waiters() == int64(n) })
		told(t, n, before)
		released := *in
		released.Status, released.Endpoint = controlplane.Deployed, serve(t, hello)
		e.put(&released)
		all.Wait()
	})
}

func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func told(t *testing.T, n int, before uint64) {
	t.Helper()
	each := (memory() - before) / uint64(n)
	t.Logf("figure: %s a waiter, of %d", fmt.Sprintf("%.1f KiB", float64(each)/1024), n)
	if each > most {
		t.Errorf("%d bytes a waiter", each)
	}
}
