package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// admin asks the admin interface; the form goes into the query of a GET and
// the body of a POST. It returns the status and the answer, or why there is none.
func admin(t *testing.T, method, path string, form url.Values) (status int, answer string) {
	t.Helper()
	info, err := caddy.GetModule("admin.api.slipway")
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if method == http.MethodGet {
		r.URL.RawQuery = form.Encode()
	}
	w := httptest.NewRecorder()
	err = info.New().(caddy.AdminRouter).Routes()[0].Handler.ServeHTTP(w, r)
	if refused, ok := errors.AsType[caddy.APIError](err); ok {
		return refused.HTTPStatus, refused.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Body.String()
}

// routesState is what of the state the tests look at.
type routesState struct {
	Revision, Origin   string
	Instances, Aliases int
	Stale              float64 `json:"stale_seconds"`
	Refused            struct {
		Now     int
		Records []struct{ Key, Reason string }
	}
	Held struct {
		Count int
		Keys  []string
	} `json:"held_removals"`
	Routes []struct {
		Instance *struct{ ID, Status, Endpoint string }
		Alias    *struct {
			Name     string
			Instance *string `json:"instance_id"`
		}
	}
}

func routesOf(t *testing.T, form url.Values) (s routesState) {
	t.Helper()
	status, answer := admin(t, "GET", "/slipway/routes", form)
	if err := json.Unmarshal([]byte(answer), &s); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, answer, err)
	}
	return s
}

func TestTheAdminInterfaceTellsOfTheRoutes(t *testing.T) {
	e := startEdge(t, nil)
	in, other := instance(1, dead), instance(2, "")
	other.Status = controlplane.Suspended
	e.put(in, other, alias(1, "one", in.ID), alias(2, "two", in.ID), alias(3, "free", ""))
	if _, err := e.etcd.Put(t.Context(), e.prefix+"routes/alias/bad", "{"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bad record", func() bool { return e.table().Routes().RefusedNow == 1 })
	s := routesOf(t, nil)
	if s.Instances != 2 || s.Aliases != 3 || s.Origin != "store" || s.Revision == "" || s.Revision == "0" || s.Stale < 0 || len(s.Routes) > 0 {
		t.Errorf("state %+v", s)
	}
	if r := s.Refused; r.Now != 1 || len(r.Records) != 1 || r.Records[0].Key != "routes/alias/bad" || !strings.Contains(r.Records[0].Reason, "JSON") {
		t.Errorf("refused %+v", r)
	}
	for _, tc := range []struct {
		name string
		form url.Values
		want []string
	}{
		{"host of an alias", url.Values{"host": {"ONE." + base + ":80"}}, []string{"alias one", "instance " + in.ID}},
		{"host of an instance", url.Values{"host": {other.ID + "." + base}}, []string{"instance " + other.ID}},
		{"unassigned", url.Values{"host": {"free." + base}}, []string{"alias free"}},
		{"unknown host", url.Values{"host": {"nobody." + base}}, nil},
		{"instance", url.Values{"instance": {in.ID}}, []string{"alias one", "alias two", "instance " + in.ID}},
		{"unknown instance", url.Values{"instance": {instanceID(9)}}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, r := range routesOf(t, tc.form).Routes {
				if r.Alias != nil {
					got = append(got, "alias "+r.Alias.Name)
				}
				if r.Instance != nil {
					got = append(got, "instance "+r.Instance.ID)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	for kind, want := range map[string]int{"instances": 2, "aliases": 3, "all": 5} {
		_, answer := admin(t, "GET", "/slipway/routes", url.Values{"list": {kind}})
		lines := 0
		for scan := bufio.NewScanner(strings.NewReader(answer)); scan.Scan(); lines++ {
			if !json.Valid(scan.Bytes()) {
				t.Errorf("%s: %s", kind, scan.Text())
			}
		}
		if lines != want {
			t.Errorf("%s: %d lines, want %d:\n%s", kind, lines, want, answer)
		}
	}
}

func TestTheAdminInterfaceRefuses(t *testing.T) {
	e := startEdge(t, nil)
	e.put(instance(1, dead))
	for _, tc := range []struct {
		name, method, path string
		form               url.Values
		status             int
		says               string
	}{
		{"another path", "GET", "/slipway/other", nil, 404, "/slipway/explain"},
		{"a folder", "GET", "/slipway/", nil, 404, ""},
		{"writing routes", "POST", "/slipway/routes", nil, 405, "GET"},
		{"reading the acknowledgement", "GET", "/slipway/routes/acknowledge", nil, 405, "POST"},
		{"no instance ID", "GET", "/slipway/routes", url.Values{"instance": {"x"}}, 400, "ID"},
		{"no host", "GET", "/slipway/routes", url.Values{"host": {"a b"}}, 400, "host"},
		{"both", "GET", "/slipway/routes", url.Values{"host": {"a"}, "instance": {instanceID(1)}}, 400, "not both"},
		{"unknown list", "GET", "/slipway/routes", url.Values{"list": {"x"}}, 400, "all"},
		{"filtered list", "GET", "/slipway/routes", url.Values{"list": {"all"}, "host": {"a"}}, 400, "neither"},
		{"no URL", "GET", "/slipway/explain", nil, 400, "for example https://"},
		{"no header", "POST", "/slipway/explain", url.Values{"url": {"http://a/"}, "header": {"Host"}}, 400, "'Name: value'"},
		{"header with a line break", "POST", "/slipway/explain", url.Values{"url": {"http://a/"}, "header": {"A: b\r\nHost: c"}}, 400, "no header"},
		{"URL with a line break", "POST", "/slipway/explain", url.Values{"url": {"http://a/ HTTP/1.1\r\nA: b\r\nC:"}}, 400, "line breaks"},
		{"no address", "POST", "/slipway/explain", url.Values{"url": {"http://a/"}, "from": {"there"}}, 400, "IP address"},
		{"no truth", "POST", "/slipway/explain", url.Values{"url": {"http://a/"}, "websocket": {"perhaps"}}, 400, "true or false"},
		{"a form too large", "POST", "/slipway/explain", url.Values{"url": {strings.Repeat("a", 300<<10)}}, 400, "too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if status, says := admin(t, tc.method, tc.path, tc.form); status != tc.status || !strings.Contains(says, tc.says) {
				t.Errorf("%d %s, want %d %s", status, says, tc.status, tc.says)
			}
		})
	}
	if err := caddy.Load([]byte(`{"admin": {"disabled": true, "config": {"persist": false}}}`), true); err != nil {
		t.Fatal(err)
	}
	if status, says := admin(t, "GET", "/slipway/routes", nil); status != 503 || !strings.Contains(says, "no app slipway") {
		t.Errorf("without an app: %d %s", status, says)
	}
}

// A list that lacks much is not believed until somebody says so.
func TestHeldRemovalsAreAcknowledged(t *testing.T) {
	e := startEdge(t, nil)
	var all []any
	for n := range 200 {
		all = append(all, instance(n, ""))
	}
	for begin := 0; begin < len(all); begin += 20 { // a transaction has a limit
		e.put(all[begin : begin+20]...)
	}
	// One revision that deletes more than any transaction can.
	if _, err := e.etcd.Delete(t.Context(), e.prefix+"routes/instance/", withPrefix); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the removals are held", func() bool { return e.table().Routes().Held == 200 })
	if s := routesOf(t, nil); s.Instances != 200 || s.Held.Count != 200 || len(s.Held.Keys) != 100 || !strings.HasPrefix(s.Held.Keys[0], "routes/instance/") {
		t.Errorf("state %+v", s)
	}
	if status, answer := admin(t, "POST", "/slipway/routes/acknowledge", nil); status != 200 || answer != "{\"removed\":200}\n" {
		t.Errorf("%d %s", status, answer)
	}
	if s := routesOf(t, nil); s.Instances != 0 || s.Held.Count != 0 || len(s.Held.Keys) != 0 {
		t.Errorf("state %+v", s)
	}
	if _, answer := admin(t, "POST", "/slipway/routes/acknowledge", nil); answer != "{\"removed\":0}\n" {
		t.Errorf("the second time: %s", answer)
	}
}

// explain asks as an operator would.
func explain(t *testing.T, q controlplane.ExplainRequest) (e controlplane.Explanation) {
	t.Helper()
	form := url.Values{"url": {q.URL}, "method": {q.Method}, "header": q.Headers, "from": {q.From}, "websocket": {fmt.Sprint(q.WebSocket)}}
	status, answer := admin(t, "POST", "/slipway/explain", form)
	if err := json.Unmarshal([]byte(answer), &e); err != nil || status != 200 {
		t.Fatalf("%d %s: %v", status, answer, err)
	}
	return e
}
