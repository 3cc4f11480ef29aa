package bench

import (
	"fmt"
	"testing"
)

// BenchmarkEdgeStart starts an edge with an empty disk, and again without its
// store, from the snapshot: the time from its start to the first right answer,
// the CPU that it took until then, and the most memory.
func BenchmarkEdgeStart(b *testing.B) {
	for _, n := range []int{tableSize, manyRoute} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			a := newApp(b, 'a')
			s := newStore(b, n, a.endpoint())
			edge := newEdge(b, "edge", s.endpoint)
			last := hostOf(n - 1)

			measure := func(from string) {
				took := edge.start(b, last)
				b.ReportMetric(took.Seconds(), from+"-s")
				b.ReportMetric(cpu(b, edge.PID).Seconds(), from+"-cpu-s")
				b.ReportMetric(float64(memory(b, edge.PID, "VmHWM"))/1e6, from+"-peak-MB")
				edge.Stop(b)
			}
			measure("etcd")
			s.stop()
			measure("snapshot")
			b.ReportMetric(0, "ns/op")
		})
	}
}
