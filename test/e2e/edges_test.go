package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// known are the edges that the command line lists.
func (f *fleet) known() []string {
	f.t.Helper()
	return strings.Fields(f.control.must("admin", "edge", "list", "-o", "name"))
}

func (f *fleet) wantKnown(names ...string) {
	f.t.Helper()
	eventually(f.t, "known are "+strings.Join(names, ", "), func() bool { return slices.Equal(f.known(), names) })
}

func TestSeveralEdgesOnOneStore(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.wantKnown("edge/control", "edge/edge-1", "edge/edge-2")
	appID := f.control.importApp(app{Name: "app"})
	one, two := f.control.runApp(appID), f.control.runApp(appID)
	f.control.must("admin", "alias", "create", "move", one.ID, "True", "--wait")
	// on wants the alias to lead to the instance on every edge of these, now.
	on := func(instance *v1.Instance, edges ...*slipway) {
		t.Helper()
		for i, e := range edges {
			if a := e.get("move.localhost", "/"); a.status != 200 || a.echo(t).Instance != instance.ID {
				t.Fatalf("edge %d gives a stale answer: %d %.200s", i, a.status, a.body)
			}
		}
	}
	on(one, f.all()...)
	targets := []*v1.Instance{two, one}
	moves := 0
	move := func(args ...string) result {
		t.Helper()
		target := targets[moves%2]
		moves++
		return f.control.cli(append([]string{"admin", "alias", "assign", "move", target.ID, "True"}, args...)...)
	}
	last := func() *v1.Instance { return targets[(moves-1)%2] }

	for range 3 {
		r := move("--wait")
		r.wants(t, 0, "on all 3 live edges after ")
		on(last(), f.all()...)
	}
	api := f.control.api()
	var took []time.Duration
	for range 100 {
		begin := time.Now()
		f.control.assign(api, "move", targets[moves%2].ID, true)
		moves++
		list, err := api.AwaitEdges(t.Context(), api.Revision(), patience)
		if err != nil || !*list.All || len(list.Items) != 3 {
			t.Fatalf("%+v, %v", list, err)
		}
		took = append(took, time.Since(begin))
		on(last(), f.all()...)
	}
	report(t, "a move, until it is known to be on three edges,", took)

	// A change of nothing is no change that edges hear of by themselves.
	f.control.cli("admin", "alias", "promote", "move", "--wait").wants(t, 0, "on all 3 live edges after ")

	t.Run("an edge that stands still is named", func(t *testing.T) {
		f.edges[1].signal(syscall.SIGSTOP)
		r := move("--wait", "--wait-timeout", "500ms")
		f.edges[1].signal(syscall.SIGCONT)
		r.wants(t, 7, "edge-2", "hint")
		if strings.Contains(r.err, "edge-1") {
			t.Errorf("it names one that follows: %s", r.err)
		}
		move("--wait").wants(t, 0, "on all 3 live edges after ")
		on(last(), f.all()...)
	})
	t.Run("nobody waits for an edge that is dead", func(t *testing.T) {
		f.edges[1].kill()
		f.wantKnown("edge/control", "edge/edge-1")
		move("--wait").wants(t, 0, "on all 2 live edges after ")
		on(last(), f.control, f.edges[0])
	})
	t.Run("a pure edge wakes", func(t *testing.T) {
		asleep := targets[moves%2] // not the alias's: that is its own name then
		f.control.must("instance", "suspend", asleep.ID, "--wait")
		if a := f.edges[0].get(asleep.ID+".localhost", "/"); a.echo(t).Instance != asleep.ID {
			t.Errorf("it gives %d: %.200s", a.status, a.body)
		}
	})
	t.Run("the control plane answers by a pure edge", func(t *testing.T) {
		edge := f.edges[0]
		if got := edge.must("app", "list", "-o", "name"); got != "app/"+appID {
			t.Errorf("app list says %q", got)
		}
		edge.cli("admin", "alias", "create", "new", one.ID, "--wait").wants(t, 0, "on all 2 live edges after ")
		imported := edge.importApp(app{Name: "by-the-edge"})
		if edge.instance(edge.runApp(imported).ID).Status != "DEPLOYED" {
			t.Error("an app that was imported by the edge does not run")
		}
		if a := edge.get("console.localhost", "/"); a.status != 200 {
			t.Errorf("the console gives %d", a.status)
		}
	})
	t.Run("without a control plane instances are served", func(t *testing.T) {
		edge, served := f.edges[0], last()
		f.control.kill()
		for _, host := range []string{"localhost", "console.localhost"} {
			if a := edge.get(host, "/api/v1/apps"); a.status != 503 {
				t.Errorf("%s gives %d", host, a.status)
			}
		}
		edge.cli("app", "list").wants(t, 8, "No control plane answers here")
		on(served, edge)
	})
}

// A clean stop takes an edge from the list at once.
func TestAnEdgeThatIsStoppedIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.wantKnown("edge/control", "edge/edge-1", "edge/edge-2")
	f.edges[0].process.Stop(t)
	if got := f.known(); !slices.Equal(got, []string{"edge/control", "edge/edge-2"}) {
		t.Errorf("known are %v", got)
	}
}
