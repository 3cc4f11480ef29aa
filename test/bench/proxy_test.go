package bench

import (
	"slices"
	"testing"
	"time"
)

// The comparison of design: 1 KiB answers, 32 keep-alive connections, of N
// routes 64 in use.
const (
	rounds    = 9
	roundTime = 2 * time.Second
	conns     = 32
	active    = 64
	manyRoute = 1_000_000
)

// BenchmarkProxiedRequest compares the CPU that a proxied request costs: Caddy's
// reverse_proxy with one route; an edge with one, with the 64 that are in use,
// and with a million of which as many are. They take turns; figures and ratios
// are medians of the rounds.
func BenchmarkProxiedRequest(b *testing.B) {
	a := newApp(b, 'a')
	one, some, many := newStore(b, 1, a.endpoint()), newStore(b, active, a.endpoint()), newStore(b, manyRoute, a.endpoint())
	proxies := []struct {
		*proxy
		metric string
		routes int
	}{
		{newReverseProxy(b, a.endpoint()), "caddy-µs", 1},
		{newEdge(b, "one", one.endpoint), "edge-1-µs", 1},
		{newEdge(b, "some", some.endpoint), "edge-64-µs", active},
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
	// Ratios are of neighbours in time: who else uses the machine changes.
	b.ReportMetric(median(ratios(costs[1], costs[0])), "edge/caddy")
	b.ReportMetric(median(ratios(costs[3], costs[1])), "million/one")
	b.ReportMetric(median(ratios(costs[3], costs[2])), "million/64")
	for i, p := range proxies {
		b.ReportMetric(median(costs[i]), p.metric)
	}
	b.ReportMetric(0, "ns/op") // rounds, no operation
}

func ratios(a, b []float64) (of []float64) {
	for i := range a {
		of = append(of, a[i]/b[i])
	}
	return of
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
