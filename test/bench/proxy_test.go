package bench

import (
	"slices"
	"testing"
	"time"
)

// The comparison of design: 1 KiB answers, 32 keep-alive connections, of N
// routes 64 in use.
const (
	rounds    = 5
	roundTime = 3 * time.Second
	conns     = 32
	active    = 64
	manyRoute = 1_000_000
)

// BenchmarkProxiedRequest compares the CPU that a proxied request costs: Caddy's
// reverse_proxy with one route, an edge with one, an edge with a million. They
// take turns; the figures are medians of the rounds.
func BenchmarkProxiedRequest(b *testing.B) {
	a := newApp(b, 'a')
	few, many := newStore(b, 1, a.endpoint()), newStore(b, manyRoute, a.endpoint())
	proxies := []struct {
		*proxy
		metric string
		routes int
	}{
		{newReverseProxy(b, a.endpoint()), "caddy-µs", 1},
		{newEdge(b, "few", few.endpoint), "edge-1-µs", 1},
		{newEdge(b, "many", many.endpoint), "edge-1000000-µs", manyRoute},
	}
	requests := make([][][]byte, len(proxies))
	for i, p := range proxies {
		p.start(b, hostOf(0))
		for n := 0; n < p.routes; n += max(1, p.routes/active) {
			requests[i] = append(requests[i], requestFor(hostOf(n)))
		}
		load(b, p.proxy, requests[i], conns, time.Second) // warms it up
	}
	costs := make([][]float64, len(proxies))
	for range rounds {
		for i, p := range proxies {
			before := cpu(b, p.PID)
			n := load(b, p.proxy, requests[i], conns, roundTime)
			costs[i] = append(costs[i], float64((cpu(b, p.PID)-before).Nanoseconds())/1000/float64(n))
		}
	}
	figures := make([]float64, len(proxies))
	for i := range costs {
		figures[i] = median(costs[i])
	}
	for i, p := range proxies {
		b.ReportMetric(figures[i], p.metric)
	}
	b.ReportMetric(figures[1]/figures[0], "edge/caddy")
	b.ReportMetric(figures[2]/figures[1], "million/one")
	b.ReportMetric(0, "ns/op") // rounds, no operation
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
