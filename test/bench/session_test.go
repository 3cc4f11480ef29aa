package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/test/bench/fill"
)

// BenchmarkSession compares what a proxied request costs at one edge: to an
// instance that everybody opens, where the session's cookie comes along and is
// looked at by nobody but who keeps it from the app; to one that its owner alone
// opens, where it is checked; and to the first without a cookie. 64 instances
// each, in turns; ratios are medians of the rounds.
func BenchmarkSession(b *testing.B) {
	a := newApp(b, 'a')
	s := newStore(b, active, a.endpoint())
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{s.endpoint}})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	keys, err := identity.NewKeyring(b.Context(), db, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	requests := make([][][]byte, 3)
	for i := range 2 * active {
		owner := fmt.Sprintf("user-%d", i)
		if i >= active {
			s.do(b, fill.Private(fill.ID(i), a.endpoint(), owner))
		}
		actor := controlplane.Actor{User: owner, Full: true, Credential: "c-" + owner, Until: time.Now().Add(time.Hour), Roles: []string{"offline_access", "uma_authorization"}}
		pass, err := keys.Sign(identity.NewPass(&actor, identity.PassCookie, fill.ID(i).String(), time.Now()))
		if err != nil {
			b.Fatal(err)
		}
		with := fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nCookie: theme=dark; slipway-i-%s=%s\r\n\r\n", hostOf(i), fill.ID(i), pass)
		requests[i/active] = append(requests[i/active], with)
		if i < active {
			requests[2] = append(requests[2], requestFor(hostOf(i)))
		}
	}
	edge := newEdge(b, "edge", s.endpoint)
	edge.start(b, hostOf(0))
	for _, each := range requests {
		load(b, edge, each, conns, time.Second) // warms it up, and fails unless all are answered
	}
	costs := make([][]float64, len(requests))
	for range rounds {
		for i, each := range requests {
			before := cpu(b, edge.PID)
			n := load(b, edge, each, conns, roundTime)
			costs[i] = append(costs[i], float64((cpu(b, edge.PID)-before).Nanoseconds())/1000/float64(n))
		}
	}
	b.ReportMetric(median(ratios(costs[1], costs[0])), "checked/unchecked")
	b.ReportMetric(median(ratios(costs[1], costs[2])), "checked/no-cookie")
	for i, name := range []string{"public-µs", "private-µs", "no-cookie-µs"} {
		b.ReportMetric(median(costs[i]), name)
	}
	b.ReportMetric(0, "ns/op")
}
