package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// house is a store, a control plane that runs apps as processes, and a pure
// edge.
type house struct {
	t             *testing.T
	store         *store
	control, edge *edge
	token         string
	app           string // the ID of the app for tests
}

func newHouse(t *testing.T, more ...string) *house {
	t.Helper()
	h := &house{t: t, store: newStore(t)}
	h.edge = newEdge(t, "edge-1", h.store.socket(), more...)
	h.control = newEdge(t, "control", h.store.socket(), append(more, "control_plane 127.0.0.1:"+freePort(t))...)
	h.control.more += fmt.Sprintf("\nblobs %[1]s/bundles\nlauncher process {\n\tdata %[1]s/processes\n}", h.control.dir)
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{"unix://" + h.store.socket()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h.token = etcdtest.Admin(t, db)
	t.Cleanup(func() { // before the control plane's own end
		h.control.Kill()
		slipwaytest.KillApps(h.control.dir)
	})
	h.control.start()
	h.edge.start()
	bundle := bytes.NewReader(slipwaytest.App{Name: "app"}.Bundle(t))
	app, err := h.api(h.control).ImportBundle(t.Context(), client.Import{Archive: bundle, Visibility: "PUBLIC"})
	if err != nil {
		t.Fatal(err)
	}
	h.app = app.ID
	return h
}

// api is a client by way of an edge.
func (h *house) api(by *edge) *client.Client {
	h.t.Helper()
	c, err := client.New(client.Config{Endpoint: "http://localhost:" + by.port, Token: h.token, HTTP: by.visitor})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// run runs an instance to the end of its start, on the edge too.
func (h *house) run() (id string) {
	h.t.Helper()
	public := "PUBLIC"
	in, err := h.api(h.control).Run(h.t.Context(), v1.RunRequest{AppID: h.app, Visibility: &public})
	if err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, "the instance runs", func() bool { return h.who(in.ID).Instance == in.ID })
	return in.ID
}

// who is what the app says about itself; nothing where it does not answer 200.
func (h *house) who(id string) (said struct {
	Instance string
	Pid      int
}) {
	h.t.Helper()
	if a := h.edge.get(id+".localhost", "/"); a.status == http.StatusOK {
		if err := json.Unmarshal([]byte(a.body), &said); err != nil {
			h.t.Fatal(err)
		}
	}
	return said
}

func (h *house) processes(id string) []int { return slipwaytest.AppPIDs(h.control.dir, id) }

func (h *house) signal(id string, sig syscall.Signal) {
	h.t.Helper()
	pids := h.processes(id)
	if len(pids) != 1 {
		h.t.Fatalf("%s has the processes %v", id, pids)
	}
	if err := syscall.Kill(pids[0], sig); err != nil {
		h.t.Fatal(err)
	}
}

// load is visitors of one instance. Each answer is the instance's own, or of a
// status that is allowed.
type load struct {
	*crowd
	byStatus [600]int // under crowd's mu
}

func (h *house) load(n int, id string, allowed ...int) *load {
	c, ctx := newCrowd(h.t)
	l := &load{crowd: c}
	for range n {
		transport := &http.Transport{MaxConnsPerHost: 1, DialContext: h.edge.dial}
		visitor := &http.Client{Transport: transport, Timeout: patience}
		c.all.Go(func() {
			defer transport.CloseIdleConnections()
			for ; ctx.Err() == nil; time.Sleep(pause) {
				l.ask(ctx, visitor, id, allowed)
			}
		})
	}
	return l
}

func (l *load) ask(ctx context.Context, visitor *http.Client, id string, allowed []int) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+id+".localhost/", nil)
	if err != nil {
		panic(err)
	}
	resp, err := visitor.Do(r)
	if ctx.Err() != nil {
		return
	}
	l.total.Add(1)
	if err != nil {
		l.fail("%v", err)
		return
	}
	defer resp.Body.Close()
	var said struct{ Instance string }
	err = json.NewDecoder(resp.Body).Decode(&said)
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	l.byStatus[resp.StatusCode]++
	l.mu.Unlock()
	for _, status := range allowed {
		if resp.StatusCode == status {
			return
		}
	}
	if resp.StatusCode != http.StatusOK || err != nil || said.Instance != id {
		l.fail("%d of %q (%v), want %s", resp.StatusCode, said.Instance, err, id)
	}
}

// statuses are how many answers had which status.
func (l *load) statuses() map[int]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[int]int{}
	for status, n := range l.byStatus {
		if n > 0 {
			found[status] = n
		}
	}
	return found
}
