package caddymodule_test

import (
	"context"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// known are the edges that the store knows.
func (e *edge) known() []controlplane.Edge {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	var all []controlplane.Edge
	e.store.WatchEdges(ctx, func(b controlplane.EdgeBatch) { all = b.Put; cancel() })
	return all
}

func TestAnEdgeIsKnownWhileItRuns(t *testing.T) {
	e := newEdge(t, settings{"edge_name": "edge-1"})
	e.load()
	t.Cleanup(stopCaddy(t))
	eventually(t, "the edge in the store", func() bool { return len(e.known()) == 1 })
	first := e.known()[0]
	if first.Name != "edge-1" || first.Version == "" || time.Since(first.Since) > time.Minute {
		t.Errorf("it says %+v", first)
	}
	for i := range 5 {
		revision, err := e.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(alias(i, "name", "")) })
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "its revision", func() bool { return e.known()[0].Revision == revision })
		if have := e.table().Table().Revision(); have < revision {
			t.Errorf("it told of revision %d with a table of %d", revision, have)
		}
	}
	e.load()
	if again := e.known(); len(again) != 1 || !again[0].Since.Equal(first.Since) {
		t.Errorf("after a reload the store knows %+v", again)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if left := e.known(); len(left) != 0 {
		t.Errorf("after its end the store knows %+v", left)
	}
	e.wantNoErrors()
}

func TestAnEdgeWithoutANameHasItsHosts(t *testing.T) {
	e := startEdge(t, nil)
	eventually(t, "the edge in the store", func() bool { return len(e.known()) == 1 })
	if name := e.known()[0].Name; !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*-[a-z2-7]{8}$`).MatchString(name) {
		t.Errorf("its name is %q", name)
	}
}

func TestOpenConnectionsAreCounted(t *testing.T) {
	e := startEdge(t, nil)
	e.do("GET", "http://"+base+"/livez")
	e.http.CloseIdleConnections()
	wants := func(n int64) {
		t.Helper()
		eventually(t, "the count", func() bool { return e.table().Connections() == n })
	}
	wants(0)
	conns := make([]net.Conn, 3)
	for i := range conns {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	wants(3)
	conns[0].Close()
	wants(2)
}
