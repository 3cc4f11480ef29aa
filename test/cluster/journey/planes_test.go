package journey

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// harbour is an etcd, and control planes that start pods in a space.
type harbour struct {
	*space

	store  *etcdtest.Server
	token  string
	origin string // the base URL: on the first control plane's port
	dir    string // what the control planes share
	planes []*plane
}

// plane is one control plane, which is an edge too.
type plane struct {
	*slipwaytest.Process

	t        *testing.T
	name     string
	dir      string
	port     string
	bind     string // a further address that it answers at
	config   string // its block slipway, without the launcher's
	launcher string // the launcher's block
	network  string // a setting of the launcher's
	visitor  *http.Client
}

// newHarbour starts so many control planes, each changed by these, and waits
// until one leads.
func newHarbour(t *testing.T, planes int, change ...func(*harbour, *plane)) *harbour {
	t.Helper()
	h := &harbour{space: newSpace(t), store: etcdtest.New(t)}
	if err := h.store.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{h.store.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	h.token = etcdtest.Admin(t, db)
	if h.dir, err = os.MkdirTemp(slipwaytest.RuntimeDir, "shared"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(h.dir) })
	h.origin = "http://localhost:" + slipwaytest.FreePort(t)
	for i := range planes {
		p := h.newPlane(fmt.Sprintf("control-%d", i+1))
		for _, c := range change {
			c(h, p)
		}
		h.planes = append(h.planes, p)
	}
	for _, p := range h.planes {
		p.start()
	}
	h.leader()
	return h
}

// in is the same for a part of the test.
func (h *harbour) in(t *testing.T) *harbour {
	part, space := *h, *h.space
	space.t, part.space = t, &space
	return &part
}

func (h *harbour) newPlane(name string) *plane {
	t := h.t
	t.Helper()
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "plane")
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{t: t, name: name, dir: dir, port: slipwaytest.FreePort(t)}
	if len(h.planes) == 0 {
		p.port = h.origin[strings.LastIndex(h.origin, ":")+1:]
	}
	p.visitor = &http.Client{Timeout: 3 * patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+p.port)
		},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		if p.Kill(); t.Failed() {
			t.Log(p.name, p.Tail())
		}
		os.RemoveAll(dir)
	})
	p.config = fmt.Sprintf(`
		base_url %s
		edge_name %s
		etcd %s
		control_plane 127.0.0.1:%s
		blobs %s/bundles
		base_url_sharing
		allowed_images slipway\.test/.*`, h.origin, name, h.store.Endpoint(), slipwaytest.FreePort(t), h.dir)
	p.launcher = fmt.Sprintf(`
			namespace %s
			kubeconfig %s
			data %s/kubernetes`, h.name, h.file, h.dir)
	return p
}

// start starts it, and waits until it is ready.
func (p *plane) start() {
	p.t.Helper()
	slipwaytest.WriteCaddyfile(p.t, p.dir, fmt.Sprintf(`
	admin unix/%s/admin.sock
	servers {
		protocols h1
		listener_wrappers {
			slipway
		}
	}
	slipway {%s
		launcher kubernetes {%s
			%s
		}
	}`, p.dir, p.config, p.launcher, p.network), "http://:"+p.port+" {\n\tbind 127.0.0.1 "+p.bind+"\n\tslipway\n}")
	p.Process = slipwaytest.RunCaddyfile(p.t, p.dir, append(os.Environ(), "XDG_RUNTIME_DIR="+p.dir))
	eventually(p.t, p.name+" is ready", func() bool { return p.visit("http://localhost:"+p.port+"/readyz").status == http.StatusOK })
}

// leader waits until one leads.
func (h *harbour) leader() (leader *plane) {
	h.t.Helper()
	store := h.store.Client(h.t)
	eventually(h.t, "one leads", func() bool {
		resp, err := store.Get(h.t.Context(), etcdstore.DefaultPrefix+"leader/current")
		if err != nil || len(resp.Kvs) == 0 {
			return false
		}
		var value struct{ Name string }
		if err := json.Unmarshal(resp.Kvs[0].Value, &value); err != nil {
			h.t.Fatal(err)
		}
		for _, p := range h.planes {
			if p.name == value.Name && !p.Ended() {
				leader = p
			}
		}
		return leader != nil
	})
	return leader
}

// api is a client of the API, by the first control plane that runs.
func (h *harbour) api() *client.Client {
	h.t.Helper()
	for _, p := range h.planes {
		if p.Ended() {
			continue
		}
		c, err := client.New(client.Config{Endpoint: h.origin, Token: h.token, HTTP: p.visitor})
		if err != nil {
			h.t.Fatal(err)
		}
		return c
	}
	h.t.Fatal("no control plane runs")
	return nil
}

// imports imports the app for tests as a container app.
func (h *harbour) imports(name, mode, more string, env map[string]string) (appID string) {
	h.t.Helper()
	reference, err := clustertest.Testapp()
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]string{"LISTEN_ON": "0.0.0.0"}
	for k, v := range env {
		all[k] = v
	}
	app := slipwaytest.App{
		Name: name, Mode: mode, Env: all,
		Runtime: fmt.Sprintf("AppMode = \"container\"\nCustomImage = %q\nPort = 8080\nMemoryLimit = \"64Mi\"\nMemoryReservation = \"16Mi\"\n%s", reference, more),
	}
	imported, err := h.api().ImportBundle(h.t.Context(), client.Import{Archive: bytes.NewReader(app.Bundle(h.t)), Visibility: "PUBLIC"})
	if err != nil {
		h.t.Fatal(err)
	}
	return imported.ID
}

// create begins the start of a PUBLIC instance.
func (h *harbour) create(appID string) *v1.Instance {
	h.t.Helper()
	public := "PUBLIC"
	in, err := h.api().Run(h.t.Context(), v1.RunRequest{AppID: appID, Visibility: &public})
	if err != nil {
		h.t.Fatal(err)
	}
	return in
}

// run starts an instance and waits until it is there.
func (h *harbour) run(appID string) *v1.Instance {
	h.t.Helper()
	in := h.create(appID)
	h.await(in.ID, "DEPLOYED")
	return in
}

// await waits for a status; "" is that of an instance that is no more.
func (h *harbour) await(id, status string) {
	h.t.Helper()
	var last *v1.Instance
	defer func() {
		if h.t.Helper(); h.t.Failed() && last != nil && last.Reason != nil {
			h.t.Logf("%s is %s: %+v", id, last.Status, *last.Reason)
		}
	}()
	eventually(h.t, id+" is "+status, func() bool {
		in, err := h.api().Instance(h.t.Context(), id)
		if err != nil {
			return status == "" && client.CodeOf(err) == "not_found"
		}
		last = in
		return in.Status == status
	})
}

// suspend puts an instance to sleep, and waits until it sleeps.
func (h *harbour) suspend(id string) {
	h.t.Helper()
	if _, err := h.api().Suspend(h.t.Context(), id); err != nil {
		h.t.Fatal(err)
	}
	h.await(id, "SUSPENDED")
}

// terminate ends an instance, and waits until it is no more.
func (h *harbour) terminate(id string) {
	h.t.Helper()
	if _, err := h.api().Terminate(h.t.Context(), id); err != nil {
		h.t.Fatal(err)
	}
	h.await(id, "")
}

// answer is what a visitor got; err where nothing came.
type answer struct {
	status int
	body   []byte
	header http.Header
	err    error
}

// said is what the app says of itself. Pods differ in when they opened their port.
type said struct {
	Instance  string
	URI       string
	Listening int64 `json:"listening_ns"`
}

func (a answer) said(t *testing.T) (s said) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("got %d (%v), want 200: %.300s", a.status, a.err, a.body)
	}
	if err := json.Unmarshal(a.body, &s); err != nil {
		t.Fatalf("%v in %.300s", err, a.body)
	}
	return s
}

// visit is a request of something that is no browser.
func (p *plane) visit(url string) answer { return p.ask(url, nil) }

// follow is a visit that goes where it is sent.
func (p *plane) follow(url string) answer {
	a := p.visit(url)
	if to := a.header.Get("Location"); a.status == http.StatusTemporaryRedirect && to != "" {
		return p.visit(to)
	}
	return a
}

// browse is a request for a page.
func (p *plane) browse(url string) answer {
	return p.ask(url, http.Header{"Sec-Fetch-Mode": {"navigate"}, "Accept": {"text/html"}})
}

func (p *plane) ask(url string, header http.Header) (a answer) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return answer{err: err}
	}
	r.Header = header
	if header == nil {
		r.Header = http.Header{}
	}
	resp, err := p.visitor.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a = answer{status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}
