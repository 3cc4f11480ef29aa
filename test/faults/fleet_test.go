package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// fleet is a store, edges, and control planes that share one folder of bundles
// and one of processes, as on one machine.
type fleet struct {
	t        *testing.T
	store    *store
	edges    []*edge
	controls []*edge
	dir      string // what the control planes share
	token    string
}

// newFleet starts n of each; hold is how long visitors wait.
func newFleet(t *testing.T, n int, hold string, settings ...string) *fleet {
	t.Helper()
	f := buildFleet(t, n, hold, settings...)
	for i := range n {
		f.controls[i].start()
		f.edges[i].start()
	}
	return f
}

// buildFleet is newFleet without the starts.
func buildFleet(t *testing.T, n int, hold string, settings ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, store: newStore(t)}
	var err error
	if f.dir, err = os.MkdirTemp(slipwaytest.RuntimeDir, "fleet"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(f.dir) })
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{"unix://" + f.store.socket()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f.token = etcdtest.Admin(t, db)
	for i := range n {
		f.edges = append(f.edges, newEdge(t, fmt.Sprintf("edge-%d", i+1), f.store.socket(), settings...))
		control := newEdge(t, fmt.Sprintf("control-%d", i+1), f.store.socket(), settings...)
		control.more += fmt.Sprintf("\ncontrol_plane 127.0.0.1:%s\nblobs %[2]s/bundles\nlauncher process {\n\tdata %[2]s/processes\n}", freePort(t), f.dir)
		f.edges[i].hold, control.hold = hold, hold
		f.controls = append(f.controls, control)
	}
	t.Cleanup(func() { // before they remove their folders
		for _, c := range f.controls {
			c.Kill()
		}
		slipwaytest.KillApps(f.dir)
	})
	return f
}

func (f *fleet) api(by *edge) *client.Client {
	f.t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://localhost:" + by.port, Token: f.token, HTTP: by.visitor})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// run imports an app, starts a PUBLIC instance of it, and waits until it runs.
func (f *fleet) run(app slipwaytest.App) (id string) {
	f.t.Helper()
	id = f.start(app)
	f.await(id, "DEPLOYED")
	return id
}

// start is run without the wait.
func (f *fleet) start(app slipwaytest.App) (id string) {
	f.t.Helper()
	api := f.api(f.controls[0])
	imported, err := api.ImportBundle(f.t.Context(), client.Import{Archive: bytes.NewReader(app.Bundle(f.t)), Visibility: "PUBLIC"})
	if err != nil {
		f.t.Fatal(err)
	}
	public := "PUBLIC"
	in, err := api.Run(f.t.Context(), v1.RunRequest{AppID: imported.ID, Visibility: &public})
	if err != nil {
		f.t.Fatal(err)
	}
	return in.ID
}

// status is an instance's, as the first control plane says that answers: who
// leads is asked first, since another one may be stopped.
func (f *fleet) status(id string) string {
	f.t.Helper()
	asked := f.controls
	if leader := f.leader(); leader != nil {
		asked = append([]*edge{leader}, asked...)
	}
	for _, c := range asked {
		in, err := f.api(c).Instance(f.t.Context(), id)
		if err == nil {
			return in.Status
		}
		if client.CodeOf(err) == "not_found" {
			break
		}
	}
	return ""
}

func (f *fleet) await(id, status string) {
	f.t.Helper()
	eventually(f.t, id+" is "+status, func() bool { return f.status(id) == status })
}

// sleep puts an instance to sleep.
func (f *fleet) sleep(id string) {
	f.t.Helper()
	eventually(f.t, "the suspend is taken", func() bool {
		for _, c := range f.controls {
			if _, err := f.api(c).Suspend(f.t.Context(), id); err == nil {
				return true
			}
		}
		return false
	})
	f.await(id, "SUSPENDED")
}

// startsOf counts what the app itself wrote down in its START_LOG.
func startsOf(t *testing.T, log, id string) (n int) {
	t.Helper()
	raw, err := os.ReadFile(log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, id+" ") {
			n++
		}
	}
	return n
}

// leader is the control plane that leads; nil if there is none.
func (f *fleet) leader() *edge {
	f.t.Helper()
	resp, err := f.store.client.Get(f.t.Context(), "/slipway/v1/leader/current")
	if err != nil || len(resp.Kvs) == 0 {
		return nil
	}
	var value struct{ Name string }
	if err := json.Unmarshal(resp.Kvs[0].Value, &value); err != nil {
		f.t.Fatal(err)
	}
	for _, c := range f.controls {
		if c.name == value.Name {
			return c
		}
	}
	return nil
}

// memory is what a process has resident, in bytes.
func memory(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("process %d tells no memory", pid)
	return 0
}
