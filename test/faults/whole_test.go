package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// What is to hold of a fleet after each fault.

// eventuallyNone waits until nothing is wrong, and tells what was in the end.
func eventuallyNone(t *testing.T, what string, wrong func() []string) time.Duration {
	t.Helper()
	var left []string
	defer func() {
		if t.Helper(); len(left) > 0 {
			t.Log(strings.Join(left, "\n"))
		}
	}()
	return eventually(t, what, func() bool { left = wrong(); return len(left) == 0 })
}

// values are what the store has below a key, by what follows in their keys.
func (f *fleet) values(t *testing.T, below string) map[string][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := f.store.client.Get(ctx, etcdstore.DefaultPrefix+below, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, kv := range resp.Kvs {
		found[strings.TrimPrefix(string(kv.Key), etcdstore.DefaultPrefix+below)] = kv.Value
	}
	return found
}

// records are the statuses of all instances.
func (f *fleet) records(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for id, raw := range f.values(t, "instances/") {
		var in struct{ Status string }
		if err := json.Unmarshal(raw, &in); err != nil {
			t.Fatal(err)
		}
		found[id] = in.Status
	}
	return found
}

// living are the processes of all instances.
func (f *fleet) living() map[string][]int {
	found := map[string][]int{}
	for _, p := range slipwaytest.AppProcesses(f.dir) {
		found[p.Instance] = append(found[p.Instance], p.PID)
	}
	return found
}

// settled waits until all operations have come to their ends.
func (s *steps) settled(t *testing.T, cases []*stepping) time.Duration {
	t.Helper()
	return eventuallyNone(t, "all operations have ended", func() (wrong []string) {
		records, living := s.records(t), s.living()
		for _, c := range cases {
			status, processes := c.ends()
			if records[c.id] != status || len(living[c.id]) != processes {
				wrong = append(wrong, fmt.Sprintf("%s: %s is %q with the processes %v", c.moment, c.id, records[c.id], living[c.id]))
			}
		}
		return wrong
	})
}

// watch looks at all processes until the function it returns is called. Two of
// an instance that are seen again and again are one too many; a single look takes
// its time, in which one may follow the other.
func (f *fleet) watch(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	var watching sync.WaitGroup
	watching.Go(func() {
		for seen := map[string]int{}; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			living := f.living()
			for id, pids := range living {
				if seen[id]++; len(pids) < 2 {
					seen[id] = 0
				}
				if seen[id] == 3 {
					t.Errorf("%s has the processes %v", id, pids)
				}
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// wantNothingLeft wants that there are no processes, folders and routes but those
// of what there is, no intents to wake these instances, and no key of one of them
// that was terminated. Each route leads to what runs or sleeps.
func (f *fleet) wantNothingLeft(t *testing.T, ids []string) {
	t.Helper()
	eventuallyNone(t, "nothing is left over", func() (wrong []string) {
		records := f.records(t)
		for id, pids := range f.living() {
			if records[id] != "DEPLOYED" || len(pids) != 1 {
				wrong = append(wrong, fmt.Sprintf("%s is %q and has the processes %v", id, records[id], pids))
			}
		}
		folders, err := os.ReadDir(filepath.Join(f.dir, "processes", "instances"))
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			if records[folder.Name()] == "" {
				wrong = append(wrong, "there is a folder of "+folder.Name())
			}
		}
		keys := f.values(t, "")
		for _, id := range ids {
			for key := range keys {
				if records[id] == "" && strings.Contains(key, id) || key == "wake/"+id {
					wrong = append(wrong, "there is a key "+key)
				}
			}
		}
		return append(wrong, f.lostRoutes(t, records)...)
	})
}

// lostRoutes are the routes that lead nowhere, and the instances without one.
func (f *fleet) lostRoutes(t *testing.T, records map[string]string) (wrong []string) {
	t.Helper()
	routes := f.values(t, "routes/instance/")
	for id, raw := range routes {
		var r struct{ Status, Endpoint string }
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		leads := r.Status == "SUSPENDED"
		if r.Status == "DEPLOYED" {
			conn, err := net.DialTimeout("tcp", r.Endpoint, time.Second)
			if leads = err == nil; leads {
				conn.Close()
			}
		}
		if !leads || records[id] != r.Status {
			wrong = append(wrong, fmt.Sprintf("the route of %s, %q, says %s", id, records[id], raw))
		}
	}
	for id := range records {
		if routes[id] == nil {
			wrong = append(wrong, id+" has no route")
		}
	}
	return wrong
}

// wantUsable wants that at every edge each instance answers, one that sleeps too,
// and that what was terminated is not there.
func (s *steps) wantUsable(t *testing.T, cases []*stepping) {
	t.Helper()
	for _, e := range s.all() {
		eventuallyNone(t, "all is well at "+e.name, func() (wrong []string) {
			for _, c := range cases {
				a := e.get(c.id+".localhost", "/")
				ok := a.status == http.StatusOK && strings.Contains(a.body, c.id)
				if c.operation == "terminate" {
					ok = a.status == http.StatusNotFound
				}
				if !ok {
					wrong = append(wrong, fmt.Sprintf("%s: a visit gives %d %v %.100q", c.moment, a.status, a.err, a.body))
				}
			}
			return wrong
		})
	}
}

// terminate ends the instances, by all control planes in turn.
func (s *steps) terminate(t *testing.T, cases []*stepping) {
	t.Helper()
	for i, c := range cases {
		if c.operation == "terminate" {
			continue
		}
		if _, err := s.api(s.controls[i%len(s.controls)]).Terminate(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
	}
	eventuallyNone(t, "nothing is left of them", func() (wrong []string) {
		records, living := s.records(t), s.living()
		for _, c := range cases {
			if records[c.id] != "" || len(living[c.id]) > 0 {
				wrong = append(wrong, fmt.Sprintf("%s is %q with %v", c.id, records[c.id], living[c.id]))
			}
		}
		return wrong
	})
}
