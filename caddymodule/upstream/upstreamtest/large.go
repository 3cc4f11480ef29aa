package upstreamtest

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"
)

// maxGrowth is how much the heap may grow while a body of any size passes: that
// of suite, server and way together.
const maxGrowth = 48 << 20

// heap watches how large the heap gets.
type heap struct {
	before, peak uint64
	stop, done   chan struct{}
}

func watchHeap() *heap {
	runtime.GC()
	h := &heap{before: heapNow(), stop: make(chan struct{}), done: make(chan struct{})}
	go func() { // ends with grown
		defer close(h.done)
		for {
			select {
			case <-h.stop:
				return
			case <-time.After(20 * time.Millisecond):
				h.peak = max(h.peak, heapNow())
			}
		}
	}()
	return h
}

func heapNow() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapInuse
}

func (h *heap) grown(f *fixture) {
	close(h.stop)
	<-h.done
	if h.peak > h.before+maxGrowth {
		f.errorf("the heap grows by %d MiB", (h.peak-h.before)>>20)
	}
}

// zeros is a reader of n zero bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func largeCases() []testCase {
	const gib = 1 << 30
	return []testCase{
		{name: "upload of 1 GiB", long: true, run: func(f *fixture) {
			var got atomic.Int64
			f.start(func(c *appConn) {
				if _, err := c.head(); err == nil {
					n, _ := io.CopyN(io.Discard, c.r, gib)
					got.Store(n)
					c.send(ok)
				}
			})
			h := watchHeap()
			v := f.visit()
			_ = v.SetDeadline(time.Now().Add(10 * patience))
			v.send(post(fmt.Sprintf("Content-Length: %d\r\n", gib)))
			_, err := io.Copy(v, zeros(gib))
			f.must(err)
			v.whole("POST")
			equal(f, "bytes", got.Load(), gib)
			h.grown(f)
		}},
		{name: "download of 1 GiB", long: true, run: func(f *fixture) { download(f, gib, 0) }},
		{name: "slow reader of 64 MiB", run: func(f *fixture) { download(f, 64<<20, 200*time.Millisecond) }},
		{name: "slow reader of 64 MiB over HTTP/2", run: func(f *fixture) {
			const size = 64 << 20
			f.start(sending(size))
			h := watchHeap()
			resp, err := f.h2().Get("http://" + Host + "/")
			f.must(err)
			defer resp.Body.Close()
			time.Sleep(200 * time.Millisecond)
			n, err := io.Copy(io.Discard, resp.Body)
			f.must(err)
			equal(f, "bytes", n, size)
			h.grown(f)
		}},
	}
}

func sending(size int64) func(*appConn) {
	return func(c *appConn) {
		if _, err := c.request(); err == nil {
			_ = c.SetDeadline(time.Now().Add(10 * patience))
			c.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			_, _ = io.Copy(c, zeros(size)) // the visitor counts
		}
	}
}

// download reads an answer, and nothing of it for a while.
func download(f *fixture, size int64, pause time.Duration) {
	f.start(sending(size))
	h := watchHeap()
	v := f.visit()
	_ = v.SetDeadline(time.Now().Add(10 * patience))
	v.get("/")
	resp := v.begin(http.MethodGet)
	defer resp.Body.Close()
	time.Sleep(pause)
	n, err := io.Copy(io.Discard, resp.Body)
	f.must(err)
	equal(f, "bytes", n, size)
	h.grown(f)
}
