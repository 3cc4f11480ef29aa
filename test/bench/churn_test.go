package bench

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/bench/fill"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// BenchmarkChurn changes 1,000 routes a second, one by one, under an edge with
// 100,000 routes and 1,000 open WebSockets, reloads its configuration in the
// middle, and counts the WebSockets that end. Meanwhile an alias is moved again
// and again, to see how long that takes.
func BenchmarkChurn(b *testing.B) {
	const (
		sockets   = 1000
		perSecond = 1000
		seconds   = 20
		writers   = 16
	)
	apps := []*app{newApp(b, 'a'), newApp(b, 'b')}
	s := newStore(b, tableSize, apps[0].endpoint())
	edge := newEdge(b, "edge", s.endpoint)
	edge.start(b, hostOf(0))
	var dropped atomic.Int64
	for i := range sockets {
		conn := webSocket(b, edge, hostOf(i%active))
		b.Cleanup(func() { conn.Close() })
		go func() {
			// It ends by itself only if the edge drops it.
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				dropped.Add(1)
			}
		}()
	}
	m := newMover(b, s, apps, []*proxy{edge})
	cpuBefore, begin := cpu(b, edge.PID), time.Now()
	tokens := make(chan int)
	var (
		work   sync.WaitGroup
		failed atomic.Pointer[error]
	)
	for range writers {
		work.Go(func() {
			for i := range tokens {
				// Aliases of instances that have WebSockets open, too.
				op := fill.Alias(fmt.Sprintf("churn-%d", i%5000), fill.ID(i%tableSize))
				if _, err := s.Do(b.Context(), op); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	work.Go(func() {
		defer close(tokens)
		for i := range perSecond * seconds {
			time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / perSecond)))
			tokens <- i
		}
	})
	var took []time.Duration
	reloaded := false
	for time.Since(begin) < seconds*time.Second {
		took = append(took, m.move(b))
		if !reloaded && time.Since(begin) > seconds*time.Second/2 {
			reloaded = true
			slipwaytest.Reload(b, edge.dir)
		}
		time.Sleep(50 * time.Millisecond)
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	spent := time.Since(begin)
	b.ReportMetric(perSecond*seconds/spent.Seconds(), "changes/s")
	b.ReportMetric(100*(cpu(b, edge.PID)-cpuBefore).Seconds()/spent.Seconds(), "edge-cpu-%")
	b.ReportMetric(float64(dropped.Load()), "dropped-sockets")
	reportTimes(b, took)
	b.ReportMetric(0, "ns/op")
}
