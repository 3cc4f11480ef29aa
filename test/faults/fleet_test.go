package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
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
	t               *testing.T
	store           *store
	controls, edges []*edge
	dir             string // what the control planes share
	token           string
	app             string // the ID of the app for tests, see withApp
	runs            int
}

// newFleet starts so many control planes and pure edges; hold is how long
// visitors wait.
func newFleet(t *testing.T, controls, edges int, hold string, settings ...string) *fleet {
	t.Helper()
	f := buildFleet(t, controls, edges, hold, settings...)
	for _, e := range f.all() {
		e.start()
	}
	return f
}

// buildFleet is newFleet without the starts.
func buildFleet(t *testing.T, controls, edges int, hold string, settings ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, store: newStore(t)}
	var err error
	if f.dir, err = os.MkdirTemp(slipwaytest.RuntimeDir, "fleet"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(f.dir) })
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{f.store.endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f.token = etcdtest.Admin(t, db)
	for i := range controls {
		c := newEdge(t, fmt.Sprintf("control-%d", i+1), f.store.endpoint(), append(settings, controlPlane(t, f.dir, f.dir))...)
		f.controls = append(f.controls, c)
	}
	for i := range edges {
		f.edges = append(f.edges, newEdge(t, fmt.Sprintf("edge-%d", i+1), f.store.endpoint(), settings...))
	}
	for _, e := range f.all() {
		e.hold = hold
	}
	t.Cleanup(func() { // before they remove their folders
		for _, c := range f.controls {
			c.Kill()
		}
		slipwaytest.KillApps(f.dir)
	})
	return f
}

// controlPlane is the settings that make one of an edge.
func controlPlane(t *testing.T, bundles, processes string) string {
	t.Helper()
	return fmt.Sprintf("control_plane 127.0.0.1:%s\nblobs %s/bundles\nlauncher process {\n\tdata %s/processes\n}", freePort(t), bundles, processes)
}

// withApp imports the app for tests, for run.
func (f *fleet) withApp() *fleet {
	f.t.Helper()
	f.app = f.imports(slipwaytest.App{Name: "app"})
	return f
}

// all are all edges, those of the control planes too and first.
func (f *fleet) all() []*edge { return slices.Concat(f.controls, f.edges) }

// others are all but these.
func (f *fleet) others(but ...*edge) []*edge {
	return slices.DeleteFunc(f.all(), func(e *edge) bool { return slices.Contains(but, e) })
}

func (f *fleet) api(by *edge) *client.Client {
	f.t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://localhost:" + by.port, Token: f.token, HTTP: by.visitor})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (f *fleet) imports(app slipwaytest.App) (id string) {
	f.t.Helper()
	imported, err := f.api(f.controls[0]).ImportBundle(f.t.Context(), client.Import{Archive: bytes.NewReader(app.Bundle(f.t)), Visibility: "PUBLIC"})
	if err != nil {
		f.t.Fatal(err)
	}
	return imported.ID
}

// create begins the start of a PUBLIC instance by a control plane.
func (f *fleet) create(by *edge, app string) (id string) {
	f.t.Helper()
	public := "PUBLIC"
	in, err := f.api(by).Run(f.t.Context(), v1.RunRequest{AppID: app, Visibility: &public})
	if err != nil {
		f.t.Fatal(err)
	}
	return in.ID
}

// deploy imports an app, starts an instance of it, and waits until it runs.
func (f *fleet) deploy(app slipwaytest.App) (id string) {
	f.t.Helper()
	id = f.create(f.controls[0], f.imports(app))
	f.await(id, "DEPLOYED")
	return id
}

// run starts an instance of the app for tests, by any control plane, and waits
// until it answers at the first edge.
func (f *fleet) run() (id string) {
	f.t.Helper()
	id = f.create(f.controls[f.runs%len(f.controls)], f.app)
	f.runs++
	eventually(f.t, "the instance runs", func() bool { return f.answers(f.edges[0], id) > 0 })
	return id
}

// said is what the app says about itself.
type said struct {
	Instance string
	Pid      int
}

// who answers a visit at an edge; nothing where it does not answer 200.
func (f *fleet) who(by *edge, id string) (who said) {
	f.t.Helper()
	if a := by.get(id+".localhost", "/"); a.status == http.StatusOK {
		if err := json.Unmarshal([]byte(a.body), &who); err != nil {
			f.t.Fatal(err)
		}
	}
	return who
}

// answers is the process that answers a visit at an edge; 0 where none does.
func (f *fleet) answers(by *edge, id string) (pid int) {
	f.t.Helper()
	who := f.who(by, id)
	if who.Pid != 0 && who.Instance != id {
		f.t.Errorf("%s answers for %s", who.Instance, id)
	}
	return who.Pid
}

func (f *fleet) processes(id string) []int { return slipwaytest.AppPIDs(f.dir, id) }

// suspend puts an instance to sleep by this control plane, and waits until its
// process has ended.
func (f *fleet) suspend(by *edge, id string) {
	f.t.Helper()
	if _, err := f.api(by).Suspend(f.t.Context(), id); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, "it sleeps", func() bool { return len(f.processes(id)) == 0 })
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
	leader, _ := f.leads()
	return leader
}

// leads is who leads, and the epoch of that; nil if nobody does.
func (f *fleet) leads() (leader *edge, epoch int64) {
	f.t.Helper()
	resp, err := f.store.client.Get(f.t.Context(), etcdstore.DefaultPrefix+"leader/current")
	if err != nil || len(resp.Kvs) == 0 {
		return nil, 0
	}
	var value struct {
		Name  string
		Epoch int64
	}
	if err := json.Unmarshal(resp.Kvs[0].Value, &value); err != nil {
		f.t.Fatal(err)
	}
	for _, c := range f.controls {
		if c.name == value.Name {
			return c, value.Epoch
		}
	}
	f.t.Fatalf("a stranger leads: %q", value.Name)
	return nil, 0
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
