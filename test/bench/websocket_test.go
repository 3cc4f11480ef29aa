package bench

import "testing"

// BenchmarkIdleWebSocket measures the resident memory of a proxy for each of
// its idle WebSockets, both of its connections and the kernel's part left out.
func BenchmarkIdleWebSocket(b *testing.B) {
	const warm, sockets = 200, 4000
	a := newApp(b, 'a')
	s := newStore(b, active, a.endpoint())
	for _, p := range []*proxy{newReverseProxy(b, a.endpoint()), newEdge(b, "edge", s.endpoint)} {
		p.start(b, hostOf(0))
		open := func(n int) {
			for i := range n {
				conn := webSocket(b, p, hostOf(i%active))
				b.Cleanup(func() { conn.Close() })
			}
		}
		open(warm)
		before := memory(b, p.PID, "VmRSS")
		open(sockets)
		b.ReportMetric(float64(memory(b, p.PID, "VmRSS")-before)/sockets/1024, p.name+"-KiB/socket")
	}
	b.ReportMetric(0, "ns/op")
}
