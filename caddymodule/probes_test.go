package caddymodule

import (
	"fmt"
	"net/http"
	"testing"
)

func TestProbesAreRemembered(t *testing.T) {
	p := newProbes([]string{"Our-Probe"})
	r := &http.Request{Header: http.Header{"User-Agent": {"x"}}}
	sent := func(agent string) bool {
		r.Header["User-Agent"][0] = agent
		return p.sent(r)
	}
	// More agents than are remembered, each of them twice.
	for round := range 2 {
		for n := range 3 * mostAgents {
			if sent(fmt.Sprint("Mozilla/5.0 ", n)) || !sent(fmt.Sprint("OUR-PROBE/", n)) {
				t.Fatalf("round %d, agent %d", round, n)
			}
		}
	}
	if n := len(*p.known.Load()); n > mostAgents {
		t.Errorf("%d agents are remembered", n)
	}
	sent("Mozilla/5.0")
	if n := testing.AllocsPerRun(100, func() { p.sent(r) }); n != 0 {
		t.Errorf("%v allocations for an agent that is known", n)
	}
}

func BenchmarkProbes(b *testing.B) {
	p := newProbes(nil)
	r := &http.Request{Header: http.Header{"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}}}
	for b.Loop() {
		p.sent(r)
	}
}
