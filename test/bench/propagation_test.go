package bench

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"github.com/seed-dbc68772/slipway/routing"
	"github.com/seed-dbc68772/slipway/test/bench/fill"
)

// tableSize is how many routes a table has where the number is not the point.
const tableSize = 100_000

// BenchmarkPropagation moves an alias between two instances, as one transaction
// of the control plane does, and measures from its commit to the first answer
// by the new one at the last of three edges of 100,000 routes. The edges share
// the CPUs with all else here.
func BenchmarkPropagation(b *testing.B) {
	const moves = 1000
	apps := []*app{newApp(b, 'a'), newApp(b, 'b')}
	s := newStore(b, tableSize, apps[0].endpoint())
	var edges []*proxy
	for i := range 3 {
		e := newEdge(b, fmt.Sprintf("edge-%d", i+1), s.endpoint)
		e.start(b, hostOf(0))
		if err := pin(e.PID, append(measured(), others()...)); err != nil {
			b.Fatal(err)
		}
		edges = append(edges, e)
	}
	m := newMover(b, s, apps, edges)
	took := make([]time.Duration, moves)
	for i := range took {
		took[i] = m.move(b)
	}
	reportTimes(b, took)
	b.ReportMetric(0, "ns/op")
}

// mover moves one alias to and fro between two instances.
type mover struct {
	store    *store
	apps     []*app
	visitors []*visitor // one at each edge
	request  []byte
	moves    int
}

const movedAlias = "moved"

func newMover(b *testing.B, s *store, apps []*app, edges []*proxy) *mover {
	b.Helper()
	m := &mover{store: s, apps: apps, request: requestFor(movedAlias + "." + base)}
	for _, e := range edges {
		v := visit(b, e)
		b.Cleanup(func() { v.Close() })
		m.visitors = append(m.visitors, v)
	}
	s.do(b, m.ops(0)...)
	for _, e := range edges {
		e.await(b, movedAlias+"."+base)
	}
	return m
}

// ops are what the control plane writes when the alias, a primary one, moves to
// one of the two.
func (m *mover) ops(to int) []clientv3.Op {
	ids := [2]routing.ID{fill.ID(0x10000000), fill.ID(0x10000001)}
	return []clientv3.Op{
		fill.Alias(movedAlias, ids[to]),
		fill.Instance(ids[to], m.apps[to].endpoint(), movedAlias),
		fill.Instance(ids[1-to], m.apps[1-to].endpoint(), ""),
	}
}

// move returns the time from the commit to the first answer of the new instance
// at the last edge.
func (m *mover) move(b *testing.B) time.Duration {
	b.Helper()
	m.moves++
	to := m.moves % 2
	want := m.apps[to].answer[len(m.apps[to].answer)-1]
	m.store.do(b, m.ops(to)...)
	committed := time.Now()
	var edges errgroup.Group
	for _, v := range m.visitors {
		edges.Go(func() error {
			for {
				name, err := v.get(m.request)
				if errors.Is(err, io.EOF) {
					err = v.again() // a reload closes idle connections
				}
				if err != nil || name == want {
					return err
				}
				time.Sleep(pollEvery)
			}
		})
	}
	if err := edges.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(committed)
}

// pollEvery is what the time of a move is too long by, at most.
const pollEvery = 200 * time.Microsecond

func reportTimes(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
}
