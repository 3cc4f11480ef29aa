package routing

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// hotRequests are decided without a Location: the path of every request that
// is served or refused.
func hotRequests() map[string]Request {
	const host = ".apps.example.com"
	return map[string]Request{
		"ID":               {Method: "GET", Host: dom + host, Target: "/a/b?c=d"},
		"ID with port":     {Method: "GET", Host: dom + host + ":8443", Target: "/a/b"},
		"ID, upper case":   {Method: "GET", Host: strings.ToUpper(dom + host), Target: "/"},
		"alias":            {Method: "POST", Host: "dp" + host, Target: "/a/b"},
		"alias, upper":     {Method: "GET", Host: "DP" + strings.ToUpper(host) + ":443", Target: "/"},
		"custom domain":    {Method: "GET", Host: "Shop.example.org", Target: "/"},
		"path":             {Method: "GET", Host: "apps.example.com", Target: "/instance/" + base + "/a"},
		"path below alias": {Method: "GET", Host: "bp" + host, Target: "/instance/" + baseP + "/%2e/a"},
		"absolute form":    {Method: "GET", Target: "http://" + dom + host + "/a"},
		"upgrade":          {Method: "GET", Host: "dother" + host, Target: "/a", Upgrade: true, Bearer: true},
		"own path":         {Method: "GET", Host: "dp" + host, Target: "/.slipway/wait"},
		"inactive alias":   {Method: "GET", Host: "orphan" + host, Target: "/"},
		"unknown label":    {Method: "GET", Host: "nobody" + host + ":80", Target: "/"},
		"unknown host":     {Method: "GET", Host: "example.net", Target: "/"},
		"unknown ID":       {Method: "GET", Host: gone + host, Target: "/"},
		"bad host":         {Method: "GET", Host: "[::1]", Target: "/"},
		"climb":            {Method: "GET", Host: "bp" + host, Target: "/a/%2e%2e"},
		"control":          {Method: "GET", Host: "apps.example.com", Target: "/api/v1/apps"},
		"console":          {Method: "GET", Host: "console.apps.example.com", Target: "/"},
		"console redirect": {Method: "GET", Host: "apps.example.com", Target: "/"},
		"TRACE":            {Method: "TRACE"},
	}
}

var sink Decision

func TestAllocations(t *testing.T) {
	table, site := testTable(t), testSite(t, false)
	check := func(name string, r Request, budget float64) {
		t.Run(name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, func() { sink = table.Decide(site, r) }); got != budget {
				t.Errorf("%v allocations for %q, want %v", got, short(sink), budget)
			}
		})
	}
	for name, r := range hotRequests() {
		check(name, r, 0)
	}
	for name, host := range map[string]string{
		"redirect to an ID": "dalias", "to an alias": "dother", "to a custom domain": "dcother",
		"to a path": "balias", "to a path below an alias": "bother",
	} {
		check(name, Request{Method: "GET", Host: host + ".apps.example.com:1", Target: "/a/b?c"}, 1)
	}
	t.Run("ParseID", func(t *testing.T) {
		if got := testing.AllocsPerRun(100, func() { _, _ = ParseID(dom) }); got != 0 {
			t.Errorf("%v allocations", got)
		}
	})
}

var sizes = []int{1, 1_000, 100_000, 1_000_000}

// BenchmarkDecide asks for records all over the table (cold: mostly cache
// misses) and for 64 of them (hot).
func BenchmarkDecide(b *testing.B) {
	site := testSite(b, false)
	for _, size := range sizes {
		table := numberedTable(size)
		for _, spread := range []struct {
			name string
			of   int
		}{{"hot", 64}, {"cold", size}} {
			for name, request := range map[string]func(i int) Request{
				"id": func(i int) Request {
					return Request{Method: "GET", Host: numberedID(i&^3).String() + ".apps.example.com:8443", Target: "/a/b/c?d=e"}
				},
				"alias": func(i int) Request {
					return Request{Method: "GET", Host: fmt.Sprintf("alias-%d.apps.example.com", i&^3|1), Target: "/a/b/c?d=e"}
				},
				"path": func(i int) Request {
					return Request{Method: "GET", Host: "apps.example.com", Target: "/instance/" + numberedID(i&^3|2).String() + "/a/b/c?d=e"}
				},
				"unknown": func(i int) Request {
					return Request{Method: "GET", Host: fmt.Sprintf("nobody-%d.apps.example.com", i), Target: "/a/b/c?d=e"}
				},
			} {
				requests := make([]Request, map[string]int{"hot": 64, "cold": 1 << 16}[spread.name])
				r := rand.New(rand.NewPCG(1, 2))
				for i := range requests {
					requests[i] = request(r.IntN(max(1, min(spread.of, size)/2)))
				}
				if d := table.Decide(site, requests[0]); d.Kind != Serve && name != "unknown" {
					continue // a table of one route has an instance by its ID only
				}
				b.Run(fmt.Sprintf("routes=%d/%s/%s", size, spread.name, name), func(b *testing.B) {
					runtime.GC() // or the table's building is still being swept
					b.ReportAllocs()
					i := 0
					for b.Loop() {
						sink = table.Decide(site, requests[i&(len(requests)-1)])
						i++
					}
				})
			}
		}
	}
}

func BenchmarkParseID(b *testing.B) {
	for b.Loop() {
		if _, ok := ParseID(dom); !ok {
			b.Fatal("not parsed")
		}
	}
}

func BenchmarkRedirect(b *testing.B) {
	table, site := testTable(b), testSite(b, false)
	r := Request{Method: "GET", Host: "bother.apps.example.com", Target: "/a/b/c?d=e"}
	b.ReportAllocs()
	for b.Loop() {
		sink = table.Decide(site, r)
	}
}

// BenchmarkApply moves one alias, and the primary with it, in a table of a
// million routes.
func BenchmarkApply(b *testing.B) {
	for _, size := range sizes {
		table := numberedTable(size)
		b.Run(fmt.Sprintf("routes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				at := i % max(1, size/2)
				table = table.Apply(int64(i), []Change{
					PutAlias(Alias{Name: fmt.Sprintf("alias-%d", at), Instance: numberedID(at), Assigned: true}),
				})
			}
		})
	}
}

// BenchmarkMemory builds a table of a million routes and reports what it holds
// of the heap.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		table := numberedTable(1_000_000)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1_000_000, "B/route")
		runtime.KeepAlive(table)
	}
}
