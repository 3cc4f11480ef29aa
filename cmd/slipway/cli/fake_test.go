package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// fakeAPI is the HTTP API with its state in memory: IDs and times are fixed,
// and an instance that starts comes one step further each time it is read.
type fakeAPI struct {
	mu        sync.Mutex
	apps      []*v1.App
	instances []*v1.Instance
	aliases   []*v1.Alias
	mux       *http.ServeMux
	ended     map[string]int // looks at a TERMINATING instance
	down      int            // answers to give 503 to
	revision  int            // of the last change
	lags      bool           // one of the two edges does not follow
	imported  string         // the query of the last import
	lastLines string         // what the reason of a failed start ends with
	access    fakeAccess
	secrets   []*v1.RevealedSecret
	bundles   map[string][]byte // of imported apps
	guide     *guideData        // nil: none
}

var fakeTime = time.Date(2026, time.January, 2, 3, 4, 5, 678900000, time.UTC)

func newFakeAPI() *fakeAPI {
	f := &fakeAPI{mux: http.NewServeMux(), ended: map[string]int{}, revision: 900, access: newFakeAccess(), bundles: map[string][]byte{}}
	f.addApp("ai.h2o.demo", "0.1.0", "Demo", "ON_DEMAND")
	f.addApp("ai.h2o.crash", "1.0.0", "Crash", "ON_DEMAND")
	f.addApp("ai.h2o.link", "1.0.0", "Link", "LINK")
	f.addApp("ai.h2o.slow", "1.0.0", "Slow", "ON_DEMAND")
	link := f.apps[2]
	link.Link, link.Runnable = new("https://h2o.ai"), false
	link.Reasons = []v1.Reason{{Code: "bad_bundle", Text: "a link app has no instances"}}
	handle := func(pattern string, status int, h func(r *http.Request) (any, error)) {
		f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, status, h) })
	}
	handle("POST /api/v1/bundles", 201, f.importBundle)
	handle("GET /api/v1/apps", 200, f.listApps)
	handle("GET /api/v1/apps/{id}", 200, func(r *http.Request) (any, error) { return f.app(r.PathValue("id")) })
	handle("DELETE /api/v1/apps/{id}", 204, f.deleteApp)
	handle("POST /api/v1/instances", 202, f.run)
	handle("GET /api/v1/instances", 200, f.listInstances)
	handle("GET /api/v1/instances/{id}", 200, f.getInstance)
	handle("POST /api/v1/instances/{id}/suspend", 200, f.set("SUSPENDING", "SUSPENDED"))
	handle("POST /api/v1/instances/{id}/resume", 200, f.set("RESUMING", "DEPLOYED"))
	handle("DELETE /api/v1/instances/{id}", 202, f.terminate)
	handle("POST /api/v1/aliases", 201, f.createAlias)
	handle("GET /api/v1/aliases", 200, func(r *http.Request) (any, error) { return page(r, f.aliases) })
	handle("GET /api/v1/aliases/{x}", 200, func(r *http.Request) (any, error) { return f.alias(r) })
	handle("PUT /api/v1/aliases/{x}/assignment", 200, f.assign)
	handle("POST /api/v1/aliases/{x}/promote", 200, f.promote)
	handle("DELETE /api/v1/aliases/{x}", 204, f.deleteAlias)
	f.handleAccess(handle)
	f.handleLaunch(handle)
	f.handleSleep(handle)
	f.handleSecrets(handle)
	handle("POST /api/v1/explain", 200, explain)
	handle("GET /api/v1/edges", 200, f.edges)
	handle("GET /api/v1/leader", 200, func(*http.Request) (any, error) {
		return v1.Leader{Name: "edge-a", Address: new("10.0.0.1:9000"), Since: fakeTime, Epoch: 1767323045678}, nil
	})
	f.mux.HandleFunc("GET /api/v1/instances/{id}/logs", f.logs)
	return f
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.down > 0:
		f.down--
		refuse(w, controlplane.Errorf(controlplane.CodeUnavailable, "the store does not answer"))
	case f.caller(r) == nil && !anonymous(r):
		refuse(w, controlplane.Errorf(controlplane.CodeUnauthorized, "the token is not known"))
	default:
		f.mux.ServeHTTP(w, r)
	}
}

func admin(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer slw_admin" }

func (f *fakeAPI) serve(w http.ResponseWriter, r *http.Request, status int, h func(*http.Request) (any, error)) {
	if !admin(r) && (strings.Contains(r.URL.Path, "/audit") || strings.Contains(r.URL.Path, "/leader") || strings.Contains(r.URL.Path, "/users")) {
		refuse(w, controlplane.Errorf(controlplane.CodeForbidden, "that is the admins'"))
		return
	}
	if !admin(r) && strings.Contains(r.URL.Path, "aliases") && r.Method != http.MethodGet {
		refuse(w, controlplane.Errorf(controlplane.CodeForbidden, "aliases are changed by admins").WithHint("ask an admin"))
		return
	}
	v, err := h(r)
	if err != nil {
		refuse(w, err)
		return
	}
	if status != http.StatusNoContent {
		w.Header().Set("Content-Type", "application/json")
	}
	if r.Method != http.MethodGet {
		f.revision++
		w.Header().Set("Slipway-Revision", strconv.Itoa(f.revision))
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		json.NewEncoder(w).Encode(v)
	}
}

var fakeStatus = map[controlplane.Code]int{
	controlplane.CodeInvalid: 422, controlplane.CodeNotFound: 404, controlplane.CodeConflict: 409,
	controlplane.CodeUnauthorized: 401, controlplane.CodeForbidden: 403, controlplane.CodeUnavailable: 503,
	controlplane.CodeUnprocessable: 422, controlplane.CodeStale: 412, controlplane.CodeTooLarge: 413,
}

func refuse(w http.ResponseWriter, err error) {
	e, _ := errors.AsType[*controlplane.Error](err)
	status := fakeStatus[e.Code]
	if strings.Contains(string(e.Code), "_") && status == 0 {
		status = 400 // of a sign-in by device
	}
	if status == 0 {
		status = 500
	}
	p := v1.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: e.What, Code: string(e.Code), Hint: e.Hint, RequestID: "req-1"}
	p.Errors = v1Faults(e.Faults)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(p)
}

// page is two items at most, so that lists have several pages.
func page[T any](r *http.Request, list []*T) (any, error) {
	at := 0
	fmt.Sscan(r.URL.Query().Get("cursor"), &at)
	at = min(at, len(list)) // it may have shrunk since the page before
	out := v1.List[T]{Items: []T{}, Revision: "918"}
	for _, x := range list[at:min(at+2, len(list))] {
		out.Items = append(out.Items, *x)
	}
	if at+2 < len(list) {
		out.NextCursor = new(fmt.Sprint(at + 2))
	}
	return out, nil
}

func (f *fakeAPI) addApp(name, version, title, lifecycle string) *v1.App {
	a := &v1.App{
		ID: fmt.Sprintf("3f2a9c%02d-0000-4000-8000-000000000000", len(f.apps)+1), Name: name, Version: version, Title: title,
		Description: "Shows " + title, Owner: "admin@localhost", Visibility: "PRIVATE", Tags: []string{}, Categories: []string{}, Lifecycle: lifecycle,
		RoutingMode: "DOMAIN", AppMode: "python", Runnable: true, Reasons: []v1.Reason{}, CreatedAt: fakeTime, UpdatedAt: fakeTime,
	}
	f.apps = append(f.apps, a)
	if f.guide != nil {
		f.guide.made(a)
	}
	return a
}

func find[T any](kind, id string, list []*T, idOf func(*T) string) (*T, error) {
	for _, x := range list {
		if len(id) >= 6 && strings.HasPrefix(idOf(x), id) {
			return x, nil
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "no %s %q", kind, id).WithHint("slipway %s list shows them", kind)
}

func (f *fakeAPI) app(id string) (*v1.App, error) {
	return find("app", id, f.apps, func(a *v1.App) string { return a.ID })
}

func (f *fakeAPI) instance(id string) (*v1.Instance, error) {
	return find("instance", id, f.instances, func(in *v1.Instance) string { return in.ID })
}

func (f *fakeAPI) importBundle(r *http.Request) (any, error) {
	data, _ := io.ReadAll(r.Body)
	b, err := bundle.Open(bytes.NewReader(data), int64(len(data)), bundle.Options{})
	if err != nil {
		return nil, err
	}
	m := b.Manifest
	for _, a := range f.apps {
		if a.Name == m.Name && a.Version == m.Version {
			return nil, controlplane.Errorf(controlplane.CodeConflict, "app %s %s exists already", m.Name, m.Version).WithHint("raise Version in app.toml")
		}
	}
	a := f.addApp(m.Name, m.Version, m.Title, string(m.Lifecycle))
	a.Description, a.Visibility, a.AppMode = m.Description, r.URL.Query().Get("visibility"), string(m.Runtime.AppMode)
	if m.Category != "" {
		a.Category = &m.Category
	}
	f.bundles[a.ID] = data
	f.imported = r.URL.RawQuery
	if m.Lifecycle == controlplane.Link {
		a.Runnable, a.Reasons = false, []v1.Reason{{Code: "bad_bundle", Text: "a link app has no instances"}}
	}
	out := *a
	out.Warnings = v1Faults(b.Warnings)
	return out, nil
}

func (f *fakeAPI) deleteApp(r *http.Request) (any, error) {
	a, err := f.app(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	for _, in := range f.instances {
		if in.AppID != a.ID {
			continue
		}
		if r.URL.Query().Get("force") == "true" {
			in.Status, in.Stage = "TERMINATING", nil
		}
		if in.Status == "TERMINATING" {
			f.step(in)
		}
		return nil, controlplane.Errorf(controlplane.CodeConflict, "app %s %s has an instance", a.Title, a.Version).WithHint("terminate them first: slipway instance terminate %s", in.ID)
	}
	f.apps = remove(f.apps, a)
	return nil, nil
}

func remove[T any](list []*T, x *T) []*T {
	var out []*T
	for _, y := range list {
		if x != y {
			out = append(out, y)
		}
	}
	return out
}

func (f *fakeAPI) run(r *http.Request) (any, error) {
	var req v1.RunRequest
	json.NewDecoder(r.Body).Decode(&req)
	a, err := f.app(req.AppID)
	if err != nil {
		return nil, err
	}
	if !a.Runnable {
		e := controlplane.Errorf(controlplane.CodeConflict, "app %s %s is not runnable", a.Title, a.Version)
		for _, reason := range a.Reasons {
			e.Faults = append(e.Faults, controlplane.Fault{Code: reason.Code, Message: reason.Text})
		}
		return nil, e
	}
	return f.addInstance(a, *req.Visibility), nil
}

func (f *fakeAPI) addInstance(a *v1.App, visibility string) *v1.Instance {
	id := fmt.Sprintf("2efe9e%02d-2bdd-4d02-9be6-f73a196d663d", len(f.instances)+1)
	in := &v1.Instance{
		ID: id, AppID: a.ID, AppName: a.Name, AppVersion: a.Version, Owner: a.Owner, Visibility: visibility, Status: "PENDING",
		Stage: new("queued"), URL: "http://" + id + ".localhost:8080", RoutingMode: "DOMAIN", Launcher: "process",
		LastActive: new(fakeTime), SuspendAfter: new(fakeTime.Add(8 * time.Hour)), AwakeBecause: new("activity"), Wake: "visitors", Suspendable: true, CreatedAt: fakeTime, UpdatedAt: fakeTime,
	}
	f.instances = append(f.instances, in)
	if f.guide != nil {
		f.guide.started(in)
	}
	return in
}

func (f *fakeAPI) getInstance(r *http.Request) (any, error) {
	in, err := f.instance(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	f.step(in)
	return f.instance(in.ID)
}

// step moves a change on.
func (f *fakeAPI) step(in *v1.Instance) {
	switch {
	case in.Status == "SUSPENDING":
		in.Status = "SUSPENDED"
	case in.Status == "TERMINATING":
		if f.ended[in.ID]++; f.ended[in.ID] > 1 && in.AppName != "ai.h2o.slow" {
			f.instances = remove(f.instances, in)
		}
	case in.Stage == nil || in.AppName == "ai.h2o.slow":
	case *in.Stage == "queued":
		in.Stage = new("dependencies")
	case *in.Stage == "dependencies":
		in.Stage = new("health")
	case in.AppName == "ai.h2o.crash":
		in.Status, in.Stage = "FAILED", nil
		in.Reason = &v1.Reason{Code: "port_never_opened", Text: "nothing listened on port 10101 within 90s" + f.lastLines}
	default:
		in.Status, in.Stage = "DEPLOYED", nil
	}
}

// set is suspend or resume: what is there already stays.
func (f *fakeAPI) set(to, done string) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		in, err := f.instance(r.PathValue("id"))
		if err != nil || in.Status == done {
			return in, err
		}
		in.Status, in.Stage, in.Reason = to, nil, nil
		if f.guide != nil {
			f.guide.changed(in)
		}
		if to == "RESUMING" {
			in.Stage = new("queued")
		}
		return in, nil
	}
}

func (f *fakeAPI) terminate(r *http.Request) (any, error) {
	in, err := f.instance(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	in.Status, in.Stage = "TERMINATING", nil
	return in, nil
}

func (f *fakeAPI) logs(w http.ResponseWriter, r *http.Request) {
	if _, err := f.instance(r.PathValue("id")); err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if f.guide != nil {
		io.WriteString(w, f.guide.log)
		return
	}
	fmt.Fprintf(w, "follow=%s previous=%s\n", r.URL.Query().Get("follow"), r.URL.Query().Get("previous"))
	io.WriteString(w, "\x1b[32mgreen\x1b[0m \x1b]0;title\a done\n")
}
