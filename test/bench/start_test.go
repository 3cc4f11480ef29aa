package bench

import (
	"fmt"
	"testing"
)

// BenchmarkEdgeStart starts an edge with an empty disk, and again without its
// store, from the snapshot: the time from its start to the first right answer,
// and the most memory that it had until then.
func BenchmarkEdgeStart(b *testing.B) {
	for _, n := range []int{tableSize, manyRoute} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			a := newApp(b, 'a')
			s := newStore(b, n, a.endpoint())
			edge := newEdge(b, "edge", s.endpoint)
			last := hostOf(n - 1)

			b.ReportMetric(edge.start(b, last).Seconds(), "from-etcd-s")
			b.ReportMetric(float64(memory(b, edge.pid(), "VmHWM"))/1e6, "from-etcd-peak-MB")
			edge.stop()
			s.stop()
			b.ReportMetric(edge.start(b, last).Seconds(), "from-snapshot-s")
			b.ReportMetric(float64(memory(b, edge.pid(), "VmHWM"))/1e6, "from-snapshot-peak-MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
