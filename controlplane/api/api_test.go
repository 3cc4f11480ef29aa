package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

// house is the API over a real store, with an app, an instance and an alias.
type house struct {
	testing.TB
	handler     http.Handler
	service     *controlplane.Service
	store       *etcdstore.Store
	admin, user string // tokens
	app, run    string // IDs
}

// launchers says that everything can run.
type launchers struct{}

func (launchers) Launcher(controlplane.AppMode) string          { return "process" }
func (launchers) Check(*controlplane.App) []controlplane.Reason { return nil }

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, store: etcdtest.Shared(t).Open(t)}
	h.admin = etcdtest.Token(t, h.store, &controlplane.User{Name: "root", Subject: "root"})
	h.user = etcdtest.User(t, h.store, "ada")
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://localhost:8080"})
	folder, err2 := blobs.New(t.TempDir())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	h.service = controlplane.NewService(controlplane.Config{
		Store: h.store, Edges: h.store, Leaders: h.store, Happenings: h.store, Blobs: folder, Launchers: launchers{}, RoutingMode: controlplane.Domain, MaxUpload: 1 << 20,
		ReservedAliases: controlplane.DefaultReservedAliases, Access: access.Rules{},
		ReadBundle: func(context.Context, io.ReaderAt, int64) (controlplane.ReadBundle, error) {
			refused := controlplane.Errorf(controlplane.CodeInvalid, "refuse bundle")
			refused.Faults = []controlplane.Fault{{Code: "manifest", Where: "app.toml", Line: 3, Message: "one"}, {Code: "entry", Message: "two"}}
			refused.Warnings = []controlplane.Fault{{Code: "unknown_key", Where: "app.toml", Line: 4, Message: "three"}}
			return controlplane.ReadBundle{}, refused.WithHint("mend it")
		},
	})
	h.handler = api.New(api.Config{
		Service: h.service, Site: site, Explain: explain, Log: zap.NewNop(),
	})
	app := &controlplane.App{
		ID: uuid.NewString(), Name: "demo", Version: "1", Title: "Demo", Owner: "ada", Visibility: controlplane.Private, Tags: []string{},
		Lifecycle: controlplane.OnDemand, RoutingMode: controlplane.Domain, AppMode: controlplane.Python,
	}
	if _, err := h.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(app) }); err != nil {
		t.Fatal(err)
	}
	run, err := h.service.RunApp(t.Context(), controlplane.Actor{User: "ada", Full: true}, app.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	h.app, h.run = app.ID, run.ID
	return h
}

// explain stands for an edge.
func explain(r controlplane.ExplainRequest) (*controlplane.Explanation, error) {
	if r.URL == "x" {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "no URL").WithHint("give one")
	}
	return &controlplane.Explanation{URL: r.URL, Method: r.Method, Kind: fmt.Sprintf("%v %v %s", r.WebSocket, r.Headers, r.From), Steps: []controlplane.ExplanationStep{{Step: "known", Rule: "one"}}}, nil
}

func TestExplainAsksTheEdge(t *testing.T) {
	h := newHouse(t)
	for target, want := range map[string]string{
		"GET /api/v1/explain?url=http://a/&method=PUT&websocket=true": "true [] ",
		"POST /api/v1/explain": "false [A: b C:d] 1.2.3.4",
	} {
		body := ""
		method, path, _ := strings.Cut(target, " ")
		if method == "POST" {
			body = `{"url":"http://a/","method":"PUT","headers":["A: b","C:d"],"from":"1.2.3.4"}`
		}
		e := decode[v1.Explanation](h, h.call(method, path, h.admin, body), 200)
		if e.URL != "http://a/" || e.Method != "PUT" || e.Kind != want || !slices.Equal(e.Steps, []v1.ExplanationStep{{Step: "known", Rule: "one"}}) {
			t.Errorf("%s: %+v, want %s", target, e, want)
		}
		h.problem(h.call(method, path, "", body), 401)
		h.problem(h.call(method, path, h.user, body), 403)
	}
}

// answer is what a call got.
type answer struct {
	*http.Response
	body string
}

// call sends a request as it is written; target is not cleaned.
func (h *house) call(method, target, token, body string, header ...string) answer {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), method, target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	resp := w.Result()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		h.Fatal(err)
	}
	return answer{resp, string(raw)}
}

// problem checks the shape that every error has, and returns it.
func (h *house) problem(a answer, status int) (p v1.Problem) {
	h.Helper()
	if a.StatusCode != status {
		h.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
		return p
	}
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		h.Errorf("%v in %s", err, a.body)
	}
	if a.Header.Get("Content-Type") != "application/problem+json" || p.Type != "about:blank" || p.Title != http.StatusText(status) ||
		p.Status != status || p.Code == "" || p.Detail == "" || p.RequestID == "" || p.RequestID != a.Header.Get("X-Request-Id") {
		h.Errorf("problem %+v, header %v", p, a.Header)
	}
	h.headers(a)
	return p
}

func (h *house) headers(a answer) {
	h.Helper()
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("X-Request-Id") == "" {
		h.Errorf("header %v", a.Header)
	}
}

func decode[T any](h *house, a answer, status int) (v T) {
	h.Helper()
	if a.StatusCode != status {
		h.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		h.Fatalf("%v in %s", err, a.body)
	}
	h.headers(a)
	return v
}

// operations walks the description: "METHOD /path".
func operations(t *testing.T) (list []string) {
	t.Helper()
	raw, err := api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for path, verbs := range doc.Paths {
		for verb := range verbs {
			list = append(list, strings.ToUpper(verb)+" "+path)
		}
	}
	slices.Sort(list)
	return list
}

// carriesItsOwn are the operations that need no token.
var carriesItsOwn = map[string]bool{
	"GET /api/v1/login": true, "POST /api/v1/login/device": true, "POST /api/v1/login/device/token": true,
	"POST /api/v1/edge/ticket": true, "POST /api/v1/edge/renew": true, "POST /api/v1/edge/icon": true, "GET /api/v1/bundles/{digest}": true,
}

func TestEveryOperationNeedsAToken(t *testing.T) {
	h := newHouse(t)
	list := operations(t)
	if len(list) < 18 {
		t.Fatalf("only %d operations", len(list))
	}
	expired := identity.NewToken()
	for _, op := range list {
		t.Run(op, func(t *testing.T) {
			h := *h
			h.TB = t
			method, path, _ := strings.Cut(op, " ")
			path = strings.NewReplacer("{id}", uuid.NewString(), "{alias}", "nobody", "{name}", "nobody", "{n}", "1", "{digest}", strings.Repeat("0", 64)).Replace(path)
			if carriesItsOwn[op] {
				for name, a := range map[string]answer{"another's": h.call(method, path, expired, ""), "basic": h.call(method, path, "", "", "Authorization: Basic cm9vdDpyb290")} {
					if p := h.problem(a, http.StatusUnauthorized); p.Code != "unauthenticated" {
						t.Errorf("%s: %+v", name, p)
					}
				}
				return
			}
			for name, a := range map[string]answer{
				"no token":         h.call(method, path, "", ""),
				"another's":        h.call(method, path, expired, ""),
				"basic":            h.call(method, path, "", "", "Authorization: Basic cm9vdDpyb290"),
				"no scheme":        h.call(method, path, "", "", "Authorization: "+h.admin),
				"empty":            h.call(method, path, "", "", "Authorization: Bearer "),
				"the hash":         h.call(method, path, identity.HashToken(h.admin), ""),
				"in a cookie":      h.call(method, path, "", "", "Cookie: token="+h.admin),
				"in the query":     h.call(method, path+"?token="+h.admin+"&access_token="+h.admin, "", ""),
				"a token and more": h.call(method, path, h.admin+" x", ""),
			} {
				p := h.problem(a, http.StatusUnauthorized)
				if p.Code != "unauthenticated" || p.Hint == "" || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s: %+v, header %v", name, p, a.Header)
				}
			}
			if a := h.call(method, path, h.admin, ""); a.StatusCode == http.StatusUnauthorized {
				t.Errorf("with a token: %s", a.body)
			}
		})
	}
	t.Run("two tokens", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/me", nil)
		r.Header["Authorization"] = []string{"Bearer " + h.admin, "Bearer " + h.admin}
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("status %d", w.Code)
		}
	})
	t.Run("scheme in lower case", func(t *testing.T) {
		if a := h.call(http.MethodGet, "/api/v1/me", "", "", "Authorization: bearer "+h.admin); a.StatusCode != http.StatusOK {
			t.Errorf("status %d", a.StatusCode)
		}
	})
	t.Run("the description needs none", func(t *testing.T) {
		if a := h.call(http.MethodGet, "/api/openapi.json", "", ""); a.StatusCode != http.StatusOK {
			t.Errorf("status %d", a.StatusCode)
		}
	})
}

func TestPathsAreTakenAsTheyAre(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{
		"//api/v1/me", "/api//v1/me", "/api/v1//me", "/api/v1/me/", "/api/v1/./me", "/api/v1/x/../me", "/api/v1/me/.", "/api/v1/..",
		"/api/v1/%6de", "/api/%2e%2e/v1/me", "/api/v1%2fme", "/api/v1/me%00", "/api/v1/me%2f", "/api/v1/apps/%2e%2e", "/api", "/api/", "/api/v1",
		"/api/v1/", "/api/v1/nobody", "/api/v1/me/x", "/api/v2/me", "/API/v1/me", "/api/v1/ME", "/api/v1/instances/", "/api/openapi.json/",
		"/api/docs", "/api/schemas/App.json", "/docs",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodConnect, http.MethodOptions} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil)
			r.Method = method
			r.Header.Set("Authorization", "Bearer "+h.admin)
			w := httptest.NewRecorder()
			h.handler.ServeHTTP(w, r)
			if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
				t.Errorf("%s %s: %d %s", method, path, w.Code, w.Header().Get("Location"))
			}
		}
	}
	h.problem(h.call(http.MethodGet, "http://localhost//api/v1/me", h.admin, ""), http.StatusNotFound)
	h.problem(h.call(http.MethodGet, "/api/v1/nobody", h.admin, ""), http.StatusNotFound)
}

func TestMethodsThatAPathDoesNotTake(t *testing.T) {
	h := newHouse(t)
	for target, allow := range map[string]string{
		"PATCH /api/v1/me":                            "GET, HEAD",
		"DELETE /api/v1/apps":                         "GET, HEAD",
		"PUT /api/v1/aliases":                         "GET, HEAD, POST",
		"GET /api/v1/bundles":                         "POST",
		"PUT /api/v1/apps/" + h.app:                   "DELETE, GET, HEAD, PATCH",
		"GET /api/v1/instances/" + h.run + "/suspend": "POST",
		"OPTIONS /api/v1/instances":                   "GET, HEAD, POST",
	} {
		t.Run(target, func(t *testing.T) {
			h := *h
			h.TB = t
			method, path, _ := strings.Cut(target, " ")
			for _, token := range []string{"", h.admin} {
				a := h.call(method, path, token, "")
				p := h.problem(a, http.StatusMethodNotAllowed)
				if a.Header.Get("Allow") != allow || p.Code != "method_not_allowed" {
					t.Errorf("Allow %q, want %q; %+v", a.Header.Get("Allow"), allow, p)
				}
			}
		})
	}
}

func TestProblems(t *testing.T) {
	h := newHouse(t)
	missing := uuid.NewString()
	h.call(http.MethodPost, "/api/v1/aliases", h.admin, `{"name":"taken"}`)
	for name, c := range map[string]struct {
		method, path, token, body string
		status                    int
		code                      string
		errors                    int
	}{
		"no such app":             {"GET", "/api/v1/apps/" + missing, h.user, "", 404, "not_found", 0},
		"no such instance":        {"GET", "/api/v1/instances/" + missing, h.user, "", 404, "not_found", 0},
		"too short an ID":         {"GET", "/api/v1/instances/abc", h.user, "", 404, "not_found", 0},
		"not theirs":              {"POST", "/api/v1/aliases", h.user, `{"name":"sales"}`, 403, "forbidden", 0},
		"duplicate":               {"POST", "/api/v1/aliases", h.admin, `{"name":"taken"}`, 409, "conflict", 0},
		"bad name":                {"POST", "/api/v1/aliases", h.admin, `{"name":"xn--a"}`, 422, "invalid", 1},
		"unusable target":         {"POST", "/api/v1/aliases", h.admin, `{"name":"sales","instance_id":"` + missing + `"}`, 422, "unprocessable", 1},
		"promote unassigned":      {"POST", "/api/v1/aliases/taken/promote", h.admin, "", 409, "conflict", 0},
		"app with instances":      {"DELETE", "/api/v1/apps/" + h.app, h.admin, "", 409, "conflict", 0},
		"unknown field":           {"POST", "/api/v1/aliases", h.admin, `{"name":"sales","colour":"blue"}`, 422, "invalid", 1},
		"two unknown fields":      {"POST", "/api/v1/aliases", h.admin, `{"name":"sales","colour":"blue","x":1}`, 422, "invalid", 2},
		"unknown field, run":      {"POST", "/api/v1/instances", h.user, `{"app_id":"` + h.app + `","owner":"bob"}`, 422, "invalid", 1},
		"unknown field, assign":   {"PUT", "/api/v1/aliases/taken/assignment", h.admin, `{"x":null}`, 422, "invalid", 1},
		"wrong type":              {"POST", "/api/v1/aliases", h.admin, `{"name":7}`, 422, "invalid", 1},
		"required field absent":   {"POST", "/api/v1/aliases", h.admin, `{"instance_id":null}`, 422, "invalid", 1},
		"required field null":     {"POST", "/api/v1/aliases", h.admin, `{"name":null}`, 422, "invalid", 1},
		"no body":                 {"POST", "/api/v1/aliases", h.admin, "", 400, "invalid", 0},
		"no json":                 {"POST", "/api/v1/aliases", h.admin, "{", 400, "invalid", 1},
		"limit too large":         {"GET", "/api/v1/apps?limit=1001", h.user, "", 422, "invalid", 1},
		"limit 0":                 {"GET", "/api/v1/apps?limit=0", h.user, "", 422, "invalid", 1},
		"cursor of somebody else": {"GET", "/api/v1/apps?cursor=x", h.user, "", 422, "invalid", 1},
		"visibility":              {"POST", "/api/v1/instances", h.user, `{"app_id":"` + h.app + `","visibility":"SECRET"}`, 422, "invalid", 1},
		"launch profile":          {"POST", "/api/v1/instances", h.user, `{"app_id":"` + h.app + `","launch_profile":"gpu"}`, 422, "invalid", 1},
		"explain what is no URL":  {"GET", "/api/v1/explain?url=x", h.admin, "", 422, "invalid", 1},
		"explain without URL":     {"GET", "/api/v1/explain", h.admin, "", 422, "invalid", 1},
		"post what is no URL":     {"POST", "/api/v1/explain", h.admin, `{"url":"x"}`, 422, "invalid", 1},
		"post no URL":             {"POST", "/api/v1/explain", h.admin, `{"headers":["A: b"]}`, 422, "invalid", 1},
		"logs without launcher":   {"GET", "/api/v1/instances/" + h.run + "/logs", h.user, "", 503, "unavailable", 0},
		"a field in capitals":     {"POST", "/api/v1/instances", h.user, `{"APP_ID":"` + h.app + `"}`, 422, "invalid", 2},
		"unknown parameter":       {"GET", "/api/v1/apps?limti=2", h.user, "", 422, "invalid", 1},
		"two unknown parameters":  {"DELETE", "/api/v1/apps/" + h.app + "?Force=true&x", h.user, "", 422, "invalid", 2},
		"unexpected body":         {"POST", "/api/v1/instances/" + h.run + "/suspend", h.user, `{}`, 422, "invalid", 1},
		"too long a life":         {"POST", "/api/v1/tokens", h.user, `{"name":"x","expires_in":"9999999999h"}`, 422, "invalid", 1},
		"no scope":                {"POST", "/api/v1/tokens", h.user, `{"name":"x","scopes":[]}`, 422, "invalid", 1},
		"no scope, device":        {"POST", "/api/v1/login/device", "", `{"scopes":[]}`, 422, "invalid", 1},
		"too large":               {"POST", "/api/v1/aliases", h.admin, `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "invalid", 0},
		"bundle of another type":  {"POST", "/api/v1/bundles", h.user, `{}`, 422, "invalid", 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := *h
			h.TB = t
			p := h.problem(h.call(c.method, c.path, c.token, c.body), c.status)
			if p.Code != c.code || len(p.Errors) != c.errors {
				t.Errorf("problem %+v, want code %s and %d faults", p, c.code, c.errors)
			}
			if p.Hint == "" && (c.status == 400 || c.status == 413 || c.errors > 0) {
				t.Errorf("problem %+v has no hint", p)
			}
		})
	}
	t.Run("what it may mean", func(t *testing.T) {
		h := *h
		h.TB = t
		if p := h.problem(h.call("GET", "/api/v1/apps?limti=2", h.user, ""), 422); p.Hint != "did you mean limit?" || p.Errors[0].Where != "query.limti" {
			t.Errorf("%+v", p)
		}
		if p := h.problem(h.call("POST", "/api/v1/tokens", h.user, `{"name":"x","expires_in":"9000h"}`), 422); !strings.Contains(p.Detail, "expires_in is too long") {
			t.Errorf("%+v", p)
		}
		if p := h.problem(h.call("POST", "/api/v1/aliases", h.admin, `x`, "Content-Type: text/plain"), 415); !strings.Contains(p.Hint, "application/json") {
			t.Errorf("%+v", p)
		}
	})
	t.Run("a bundle over the limit", func(t *testing.T) {
		h := *h
		h.TB = t
		p := h.problem(h.call("POST", "/api/v1/bundles", h.user, strings.Repeat("x", 1<<20+1), "Content-Type: application/zip"), 413)
		if p.Code != "too_large" || p.Hint == "" {
			t.Errorf("%+v", p)
		}
	})
	t.Run("every fault of a bundle", func(t *testing.T) {
		h := *h
		h.TB = t
		p := h.problem(h.call("POST", "/api/v1/bundles", h.user, "PK", "Content-Type: application/zip"), 422)
		want := []v1.Fault{{Code: "manifest", Where: "app.toml", Line: 3, Message: "one"}, {Code: "entry", Message: "two"}}
		if diff := cmp.Diff(want, p.Errors); diff != "" || p.Hint != "mend it" {
			t.Errorf("%+v (-want +got)\n%s", p, diff)
		}
		if diff := cmp.Diff([]v1.Fault{{Code: "unknown_key", Where: "app.toml", Line: 4, Message: "three"}}, p.Warnings); diff != "" {
			t.Errorf("warnings (-want +got)\n%s", diff)
		}
	})
}

func TestNullIsTheSameAsAbsent(t *testing.T) {
	h := newHouse(t)
	run := decode[v1.Instance](h, h.call("POST", "/api/v1/instances", h.user, `{"app_id":"`+h.app+`","visibility":null,"launch_profile":null}`), 202)
	if run.Visibility != "PRIVATE" || run.Status != "PENDING" || run.Readonly {
		t.Errorf("instance %+v", run)
	}
	alias := decode[v1.Alias](h, h.call("POST", "/api/v1/aliases", h.admin, `{"name":"sales","instance_id":null,"primary":null}`), 201)
	if alias.InstanceID != nil || alias.Primary || alias.State != "inactive" {
		t.Errorf("alias %+v", alias)
	}
	assign := func(body string) v1.Alias {
		return decode[v1.Alias](h, h.call("PUT", "/api/v1/aliases/sales/assignment", h.admin, body), 200)
	}
	if alias = assign(`{"instance_id":"` + h.run + `","primary":true}`); !alias.Primary || alias.State != "active" || *alias.InstanceID != h.run {
		t.Errorf("alias %+v", alias)
	}
	if alias = assign(`{"instance_id":"` + h.run + `","primary":null}`); alias.Primary || len(alias.Warnings) != 1 {
		t.Errorf("alias %+v", alias)
	}
	if alias = assign(`{"instance_id":null}`); alias.InstanceID != nil {
		t.Errorf("alias %+v", alias)
	}
	assign(`{"instance_id":"` + h.run + `"}`)
	if alias = assign(`{}`); alias.InstanceID != nil {
		t.Errorf("alias %+v", alias)
	}
}

func TestPages(t *testing.T) {
	h := newHouse(t)
	for i := range 5 {
		decode[v1.Alias](h, h.call("POST", "/api/v1/aliases", h.admin, fmt.Sprintf(`{"name":"a%d"}`, i)), 201)
	}
	var names []string
	cursor, revision := "", ""
	for pages := 1; ; pages++ {
		list := decode[v1.List[v1.Alias]](h, h.call("GET", "/api/v1/aliases?limit=2"+cursor, h.admin, ""), 200)
		for _, a := range list.Items {
			names = append(names, a.Name)
		}
		if revision == "" {
			revision = list.Revision
			// Not of the revision that is read.
			decode[v1.Alias](h, h.call("POST", "/api/v1/aliases", h.admin, `{"name":"a2b"}`), 201)
		}
		if list.Revision != revision || list.Items == nil {
			t.Errorf("page %+v, want revision %s", list, revision)
		}
		if list.NextCursor == nil {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		cursor = "&cursor=" + *list.NextCursor
	}
	if diff := cmp.Diff([]string{"a0", "a1", "a2", "a3", "a4"}, names); diff != "" {
		t.Error(diff)
	}
	// A cursor whose revision is compacted away.
	list := decode[v1.List[v1.Alias]](h, h.call("GET", "/api/v1/aliases?limit=2", h.admin, ""), 200)
	now := h.call("POST", "/api/v1/aliases", h.admin, `{"name":"later"}`)
	var rev int64
	if _, err := fmt.Sscan(now.Header.Get("Slipway-Revision"), &rev); err != nil {
		t.Fatal(err)
	}
	if _, err := etcdtest.Shared(t).Client(t).Compact(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	if p := h.problem(h.call("GET", "/api/v1/aliases?limit=2&cursor="+*list.NextCursor, h.admin, ""), http.StatusGone); p.Code != "stale" {
		t.Errorf("problem %+v", p)
	}
}

func TestTheLifeOfAnInstance(t *testing.T) {
	h := newHouse(t)
	path := "/api/v1/instances/" + h.run
	suspend := func() answer { return h.call("POST", path+"/suspend", h.user, "") }
	first := suspend()
	if in := decode[v1.Instance](h, first, 200); in.Status != "SUSPENDING" || in.URL != "http://"+h.run+".localhost:8080/" {
		t.Errorf("instance %+v", in)
	}
	second := suspend()
	if second.body != first.body || second.Header.Get("ETag") != first.Header.Get("ETag") || first.Header.Get("Slipway-Revision") == "" {
		t.Errorf("suspending twice: %s, then %s", first.body, second.body)
	}
	if in := decode[v1.Instance](h, h.call("POST", path+"/resume", h.user, ""), 200); in.Status != "RESUMING" {
		t.Errorf("instance %+v", in)
	}
	for range 2 {
		if in := decode[v1.Instance](h, h.call("DELETE", path, h.user, ""), 202); in.Status != "TERMINATING" {
			t.Errorf("instance %+v", in)
		}
	}
	list := decode[map[string]json.RawMessage](h, h.call("GET", "/api/v1/instances", h.user, ""), 200)
	var items []map[string]json.RawMessage
	if err := json.Unmarshal(list["items"], &items); err != nil || len(items) != 1 || string(list["next_cursor"]) != "null" {
		t.Fatalf("list %s", list)
	}
	for _, field := range strings.Fields("id app_id app_name app_version owner visibility status stage reason url routing_mode primary_alias launcher last_active suspend_after restarts readonly suspendable created_at updated_at") {
		if _, ok := items[0][field]; !ok {
			t.Errorf("an instance without %s", field)
		}
	}
	if me := decode[v1.Me](h, h.call("GET", "/api/v1/me", h.user, ""), 200); me.User != "ada" || me.Admin || !me.FullAccess || me.ExpiresAt != nil || len(me.Scopes) != 4 {
		t.Errorf("me %+v", me)
	}
}

// What breaks inside is in the log, not in the answer.
func TestInternalErrorsTellNothing(t *testing.T) {
	h := newHouse(t)
	h.service.ReadBundle = func(context.Context, io.ReaderAt, int64) (controlplane.ReadBundle, error) {
		return controlplane.ReadBundle{}, errors.New("password hunter2")
	}
	a := h.call("POST", "/api/v1/bundles", h.user, "PK", "Content-Type: application/zip")
	if p := h.problem(a, 500); p.Code != "internal" || strings.Contains(a.body, "hunter2") {
		t.Errorf("answer %s", a.body)
	}
}

func TestAStoreThatIsAwayIsNoRefusal(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/me", nil)
	r.Header.Set("Authorization", "Bearer "+h.user)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
}

// deadlines notes what a handler asks of the connection.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// A deadline for the body that outlives it would end calls that take longer.
func TestACallMayTakeLongerThanItsBody(t *testing.T) {
	h := newHouse(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/instances", strings.NewReader(`{"app_id":"`+h.app+`"}`))
	r.Header.Set("Authorization", "Bearer "+h.admin)
	r.Header.Set("Content-Type", "application/json")
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	h.handler.ServeHTTP(w, r)
	if w.Code != 202 || len(w.set) > 0 {
		t.Errorf("status %d, deadlines %v", w.Code, w.set)
	}
}
