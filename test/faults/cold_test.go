package faults

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// manyRoutes is the size of the table of an edge that starts alone.
const manyRoutes = 100_000

// firstAnswer is how soon after its start such an edge is to answer.
const firstAnswer = 2 * time.Second

// TestAnEdgeStartsWithoutTheStore: from its newest snapshot, from the one
// before where that is broken, and from none it says so until the store is
// back.
func TestAnEdgeStartsWithoutTheStore(t *testing.T) {
	slow(t)
	s, endpoints := newStore(t), apps(t, 2)
	all := make([][2]string, manyRoutes)
	for i := range all {
		all[i] = running(i, endpoints[0])
	}
	s.write(all...)
	e := newEdge(t, "edge-1", s.endpoint())
	const last, moved = manyRoutes - 1, 7
	// Two generations: the first list, and what is saved at the end.
	e.start()
	newest, before := filepath.Join(e.snapshots(), "routes.snap"), filepath.Join(e.snapshots(), "routes.snap.1")
	eventually(t, "the first snapshot is there", func() bool { return exists(newest) })
	s.write(running(moved, endpoints[1]))
	eventually(t, "the change is there", func() bool { return e.get(host(moved), "/").body == "app 1" })
	e.Stop(t)
	if !exists(newest) || !exists(before) {
		t.Fatal("there are not two generations")
	}
	s.Kill()

	// alone starts it and measures its first right answer.
	alone := func(want string) time.Duration {
		t.Helper()
		began := time.Now()
		e.launch()
		eventually(t, "it answers", func() bool { return e.get(host(last), "/").body == "app 0" })
		took := time.Since(began)
		if got := e.get(host(moved), "/"); got.body != want {
			t.Errorf("the route that was changed last leads to %d %q, want %s", got.status, got.body, want)
		}
		if got := e.status("localhost", "/readyz"); got != http.StatusOK {
			t.Errorf("it serves, and /readyz says %d", got)
		}
		if got := e.status(host(manyRoutes), "/"); got != http.StatusNotFound {
			t.Errorf("an unknown name: %d", got)
		}
		return took
	}
	var took []time.Duration
	for range 3 {
		took = append(took, alone("app 1"))
		e.Kill()
	}
	figure(t, "an edge with %d routes, killed and started without etcd, answers after %v", manyRoutes, took)
	// Of three, since the machine may be busy with something else.
	if fastest := slices.Min(took); fastest > firstAnswer {
		t.Errorf("the first answer comes after %s, and %s are allowed", fastest, firstAnswer)
	}

	corrupt(t, newest)
	alone("app 0")
	if !strings.Contains(e.Stderr.String(), "a snapshot of the routes cannot be used, the one before it is") {
		t.Error("the log does not say that it serves from the older one")
	}
	e.Kill()

	corrupt(t, before)
	e.launch()
	eventually(t, "it listens", func() bool { return e.status("localhost", "/livez") == http.StatusOK })
	if got := e.status("localhost", "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("it knows nothing, and /readyz says %d", got)
	}
	e.wants503(host(last), 10*time.Second)
	if !strings.Contains(e.Stderr.String(), "no snapshot of the routes can be used") {
		t.Error("the log does not say that no snapshot can be used")
	}
	s.start()
	healed := eventually(t, "it heals", func() bool { return e.get(host(moved), "/").body == "app 1" })
	figure(t, "with both snapshots corrupt, it serves %s after etcd is back", healed.Round(time.Millisecond))
	if got := e.status("localhost", "/readyz"); got != http.StatusOK {
		t.Errorf("it has healed, and /readyz says %d", got)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// corrupt flips one bit in the middle of a file.
func corrupt(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestADiskThatTakesNoSnapshotStopsNobody: full or not to be written, the edge
// says so and goes on.
func TestADiskThatTakesNoSnapshotStopsNobody(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, e *edge){
		"full": func(t *testing.T, e *edge) {
			// What is written there meets the end of the disk at the first byte.
			if err := os.MkdirAll(e.snapshots(), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/dev/full", filepath.Join(e.snapshots(), "routes.snap.part")); err != nil {
				t.Fatal(err)
			}
		},
		// Nobody makes a folder there, root neither.
		"read-only": func(_ *testing.T, e *edge) { e.more = "snapshot /proc/slipway" },
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			s, endpoints := newStore(t), apps(t, 1)
			s.write(running(0, endpoints[0]))
			e := newEdge(t, "edge-1", s.endpoint())
			prepare(t, e)
			e.start()
			c := visit(t, 8, []int{0}, e)
			eventually(t, "the log says so", func() bool {
				return strings.Contains(e.Stderr.String(), "the routes cannot be saved; they are served all the same")
			})
			s.write(running(1, endpoints[0]))
			eventually(t, "changes arrive all the same", func() bool { return e.status(host(1), "/") == http.StatusOK })
			if name == "full" { // the failed save gives its room back, and the next one finds some
				eventually(t, "it is saved when there is room", func() bool { return exists(filepath.Join(e.snapshots(), "routes.snap")) })
			}
			eventually(t, "there was some load", func() bool { return c.total.Load() > 500 })
			c.leave()
			c.wantNone(t)
			e.Stop(t)
			figure(t, "a disk that is %s: %s requests", name, fmt.Sprint(&c.tally))
		})
	}
}
