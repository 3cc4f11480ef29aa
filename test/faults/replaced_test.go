package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheStoreIsSetBackOrReplaced: an older backup is restored, or an empty
// etcd with other routes answers in its place. The edge has what is there now,
// within seconds, and closes nothing of what did not change.
func TestTheStoreIsSetBackOrReplaced(t *testing.T) {
	const early, late = 50, 51
	for name, swap := range map[string]func(t *testing.T, s *store, endpoints []string, restore func()){
		"an older backup": func(_ *testing.T, s *store, _ []string, restore func()) {
			s.Stop(s.t)
			restore()
			s.start()
		},
		"another cluster": func(t *testing.T, s *store, endpoints []string, _ func()) {
			s.Stop(s.t)
			if err := os.Rename(filepath.Join(s.dir, "data"), filepath.Join(s.dir, "old")); err != nil {
				t.Fatal(err)
			}
			s.start()
			s.write(running(0, endpoints[0]), running(1, endpoints[1]), running(early, endpoints[0]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			s, endpoints := newStore(t), apps(t, 2)
			s.write(running(0, endpoints[0]), running(1, endpoints[1]), running(early, endpoints[0]))
			s.Stop(s.t)
			restore := s.backup()
			s.start()
			e := newEdge(t, "edge-1", s.endpoint())
			e.start()
			s.write(running(early, endpoints[1]), running(late, endpoints[0]))
			eventually(t, "the changes arrive", func() bool {
				return e.get(host(early), "/").body == "app 1" && e.status(host(late), "/") == http.StatusOK
			})
			c, held := visit(t, 8, []int{0, 1}, e), open(t, 5, 5, []int{0, 1}, e)
			swap(t, s, endpoints, restore)
			healed := eventually(t, "it has what is there now", func() bool {
				return e.get(host(early), "/").body == "app 0" && e.status(host(late), "/") == http.StatusNotFound
			})
			if healed > 15*time.Second {
				t.Errorf("it took %s", healed)
			}
			c.leave()
			c.wantNone(t)
			held.leave()
			held.wantNone(t)
			if !strings.Contains(e.Stderr.String(), "routes are listed anew") {
				t.Error("the log does not say why")
			}
			if lost := c.lostAfter(time.Time{}); len(lost) > 0 {
				t.Errorf("the edge ended %d connections of 8 visitors", len(lost))
			}
			figure(t, "%s: the edge has it after %s; %s requests", name, healed.Round(time.Millisecond), &c.tally)
		})
	}
}
