package faults

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// waiter is one visitor on a connection of its own. Every fourth brings a body
// of a mebibyte, of which it sends what the kernel takes before it is answered.
type waiter struct {
	conn   net.Conn
	status int // 0: none came
	err    error
}

const bodySize = 1 << 20

// send makes the request, and does not wait for the answer.
func (w *waiter) send(e *edge, id string, n int) {
	if w.conn, w.err = net.Dial("tcp", e.address()); w.err != nil {
		return
	}
	head := "GET /visit/%d HTTP/1.1\r\nHost: %s.localhost\r\n\r\n"
	if n%4 == 3 {
		head = fmt.Sprintf("POST /visit/%%d HTTP/1.1\r\nHost: %%s.localhost\r\nContent-Length: %d\r\n\r\n", bodySize)
	}
	_, w.err = fmt.Fprintf(w.conn, head, n, id)
}

// receive sends what is left, and takes the answer.
func (w *waiter) receive(n int, within time.Duration) {
	if w.err != nil {
		return
	}
	defer w.conn.Close()
	w.err = w.conn.SetDeadline(time.Now().Add(within))
	if w.err != nil {
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if n%4 == 3 {
			_, _ = io.CopyN(w.conn, zeros{}, bodySize) // an answer before its end is an answer
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReaderSize(w.conn, 1<<10), nil)
	if w.err = err; err != nil {
		return
	}
	w.status = resp.StatusCode
	_, w.err = io.Copy(io.Discard, resp.Body)
	w.conn.Close() // ends the sender, too
	<-sent
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestTenThousandWaiters: 10,000 visitors of one sleeping instance at three
// edges, with three control planes, are one start, and all are served; a waiter
// costs at most 64 KiB, and nothing once it is over.
func TestTenThousandWaiters(t *testing.T) {
	slow(t)
	const count = 10_000
	f := newFleet(t, 3, 3, "60s")
	log := filepath.Join(f.dir, "starts")
	id := f.deploy(slipwaytest.App{Name: "sleeper", Env: map[string]string{"START_LOG": log, "START_DELAY": "12s"}})
	f.sleep(id)
	before := make([]int64, len(f.edges))
	for i, e := range f.edges {
		before[i] = memory(t, e.PID)
	}
	began := time.Now()
	waiters := make([]waiter, count)
	var senders sync.WaitGroup
	for first := range 50 {
		senders.Go(func() {
			for n := first; n < count; n += 50 {
				waiters[n].send(f.edges[n%len(f.edges)], id, n)
			}
		})
	}
	senders.Wait()
	arrived := time.Since(began)
	eventually(t, "all wait", func() bool {
		held := 0.0
		for _, e := range f.edges {
			held += e.metric("slipway_edge_held_requests")
		}
		return held >= count
	})
	var most int64
	for i, e := range f.edges {
		each := (memory(t, e.PID) - before[i]) * int64(len(f.edges)) / count
		most = max(most, each)
	}
	if most > 64<<10 {
		t.Errorf("a waiter costs %d bytes", most)
	}
	var receivers sync.WaitGroup
	var served atomic.Int64
	for n := range waiters {
		receivers.Go(func() {
			w := &waiters[n]
			if w.receive(n, 2*time.Minute); w.status == http.StatusOK && w.err == nil {
				served.Add(1)
			}
		})
	}
	receivers.Wait()
	if served.Load() != count {
		t.Errorf("%d of %d were served; %s", served.Load(), count, faultsOf(waiters))
	}
	if n := startsOf(t, log, id); n != 2 {
		t.Errorf("the app was started %d times, want once to run it and once for all", n)
	}
	over := time.Since(began)
	settled := make([]int64, len(f.edges))
	eventually(t, "nobody waits", func() bool {
		for _, e := range f.edges {
			if e.metric("slipway_edge_held_requests") > 0 {
				return false
			}
		}
		return true
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		left := int64(0)
		for i, e := range f.edges {
			settled[i] = int64(e.metric("go_memstats_heap_inuse_bytes") + e.metric("go_memstats_stack_inuse_bytes"))
			left = max(left, settled[i]-before[i])
		}
		if left <= 16<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("a minute later an edge has %d MiB in use beyond what it had resident before", left>>20)
			break
		}
	}
	figure(t, "%d waiters at %d edges: arrived within %s, %d KiB each at the edge, served %s after the first came; the app takes 12s to start",
		count, len(f.edges), arrived.Round(time.Millisecond), most>>10, over.Round(time.Millisecond))
}

func faultsOf(waiters []waiter) string {
	counts := map[string]int{}
	for _, w := range waiters {
		if w.status != http.StatusOK || w.err != nil {
			counts[fmt.Sprintf("%d %v", w.status, short(w.err))]++
		}
	}
	return fmt.Sprint(counts)
}

// short is an error without the addresses of its connection.
func short(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1:]
}

// TestTheLeaderIsKilledWhileVisitorsWait: one live process, and every visitor is
// served or told 503 within hold.
func TestTheLeaderIsKilledWhileVisitorsWait(t *testing.T) {
	slow(t)
	const count = 900
	f := newFleet(t, 3, 3, "45s")
	log := filepath.Join(f.dir, "starts")
	id := f.deploy(slipwaytest.App{Name: "sleeper", Env: map[string]string{"START_LOG": log, "START_DELAY": "3s"}})
	f.sleep(id)
	waiters := make([]waiter, count)
	began := time.Now()
	for n := range waiters {
		waiters[n].send(f.edges[n%len(f.edges)], id, n)
	}
	eventually(t, "the start begins", func() bool { return startsOf(t, log, id) == 2 })
	leader := f.leader()
	if leader == nil {
		t.Fatal("nobody leads")
	}
	leader.Kill()
	var receivers sync.WaitGroup
	for n := range waiters {
		receivers.Go(func() { waiters[n].receive(n, time.Minute) })
	}
	receivers.Wait()
	took := time.Since(began)
	counts := map[int]int{}
	for _, w := range waiters {
		counts[w.status]++
		if w.err != nil || w.status != http.StatusOK && w.status != http.StatusServiceUnavailable {
			t.Errorf("a visitor got %d, %v", w.status, w.err)
		}
	}
	if pids := f.processes(id); len(pids) != 1 {
		t.Errorf("the processes are %v", pids)
	}
	if took > 50*time.Second {
		t.Errorf("it took %s", took)
	}
	figure(t, "the leader killed while the app starts: answers by status %v within %s, %d starts", counts, took.Round(time.Millisecond), startsOf(t, log, id)-1)
}
