//go:build linux

package caddymodule_test

import (
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// identityOf is what a launcher says of an instance whose leader this is.
func identityOf(t *testing.T, pid int) string {
	t.Helper()
	p, err := procgroup.ReadProc(pid)
	if err != nil {
		t.Fatal(err)
	}
	return procgroup.Identity{
		Boot: procgroup.Digest(procgroup.BootID()), PID: p.PID, Start: p.Start, Mark: procgroup.Digest("none"),
	}.String()
}

func TestAnEndpointThatIsAnothersGetsNoRequest(t *testing.T) {
	e := startEdge(t, nil)
	var hits atomic.Int64
	endpoint := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		w.WriteHeader(http.StatusTeapot)
	})
	away := exec.Command("sleep", "600")
	if err := away.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { away.Process.Kill(); away.Wait() })

	own, other := instance(1, endpoint), instance(2, endpoint)
	own.Identity = identityOf(t, os.Getpid())
	other.Identity = identityOf(t, away.Process.Pid)
	e.put(own, other)
	if got := e.do("GET", urlOf(own)+"/"); got.StatusCode != http.StatusTeapot {
		t.Fatalf("the instance's own: %s", got.Status)
	}
	served := hits.Load()
	var visitors sync.WaitGroup
	for range 20 {
		visitors.Go(func() {
			if got := e.do("POST", urlOf(other)+"/"); got.StatusCode != http.StatusBadGateway {
				t.Errorf("the stranger's: %s", got.Status)
			}
		})
	}
	visitors.Wait()
	if now := hits.Load(); now != served {
		t.Errorf("the stranger got %d requests", now-served)
	}
	if e.table().Refused() < 20 {
		t.Errorf("%d connections were refused", e.table().Refused())
	}
	// The instance comes back there: the next visitor finds it.
	other.Generation, other.Identity = 2, own.Identity
	e.put(other)
	if got := e.do("GET", urlOf(other)+"/"); got.StatusCode != http.StatusTeapot {
		t.Errorf("after its return: %s", got.Status)
	}
}
