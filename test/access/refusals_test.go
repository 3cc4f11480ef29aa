package access

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// nothing is an ID that no app and no instance has.
const nothing = "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"

var requestID = regexp.MustCompile(`"request_id":"[^"]*"`)

// seen is all that a client sees of an answer, but for what differs between any
// two: the time, the request's ID, and the name that it asked for itself.
func seen(a *answer, name string) string {
	header := a.Header.Clone()
	header.Del("Date")
	if header.Get("X-Request-Id") != "" {
		header.Set("X-Request-Id", "x")
	}
	lines := []string{a.Status}
	for _, key := range slices.Sorted(maps.Keys(header)) {
		lines = append(lines, fmt.Sprintf("%s: %q", key, header[key]))
	}
	body := strings.ReplaceAll(requestID.ReplaceAllString(string(a.body), ""), name, "NAME")
	return strings.Join(lines, "\n") + fmt.Sprintf("\n%d bytes\n", len(a.body)) + body
}

// askRefusals asks how things are refused.
func (w *world) askRefusals(t *testing.T) {
	in, app := w.things.changed["PRIVATE"], w.things.apps["PRIVATE ON_DEMAND"]
	w.people["ann"].must(t, "POST", "/aliases", fmt.Sprintf(`{"name":"alias-of-olga","instance_id":%q}`, in.ID), nil)
	w.people["ann"].must(t, "POST", "/aliases", `{"name":"alias-of-none"}`, nil)
	w.people["ann"].must(t, "DELETE", "/aliases/alias-of-none", "", nil)
	for _, e := range w.edges {
		for _, name := range []string{"", "victor", "fiona"} {
			p := w.people[name]
			for _, c := range []struct{ method, path, body, hidden, nothing string }{
				{"GET", "/instances/ID", "", in.ID, nothing},
				{"PATCH", "/instances/ID", `{"visibility":"PUBLIC"}`, in.ID, nothing},
				{"DELETE", "/instances/ID", "", in.ID, nothing},
				{"POST", "/instances/ID/suspend", "", in.ID, nothing},
				{"POST", "/instances/ID/resume", "", in.ID, nothing},
				{"POST", "/instances/ID/ticket", "", in.ID, nothing},
				{"GET", "/instances/ID/logs", "", in.ID, nothing},
				{"GET", "/apps/ID", "", app.ID, nothing},
				{"PATCH", "/apps/ID", `{"visibility":"PUBLIC"}`, app.ID, nothing},
				{"PATCH", "/apps/ID", `{"tags":["open"]}`, app.ID, nothing},
				{"DELETE", "/apps/ID", "", app.ID, nothing},
				{"GET", "/apps/ID/bundle", "", app.ID, nothing},
				{"POST", "/instances", `{"app_id":"ID"}`, app.ID, nothing},
				{"GET", "/aliases/ID", "", "alias-of-olga", "alias-of-none"},
				{"DELETE", "/aliases/ID", "", "alias-of-olga", "alias-of-none"},
				{"PUT", "/aliases/ID/assignment", `{}`, "alias-of-olga", "alias-of-none"},
				{"POST", "/aliases/ID/promote", "", "alias-of-olga", "alias-of-none"},
			} {
				t.Run(e.name+"/hidden/"+c.method+" "+c.path+" by "+p.name, func(t *testing.T) {
					of := func(id string) string {
						return seen(p.api(t, e, c.method+" "+strings.Replace(c.path, "ID", id, 1), strings.Replace(c.body, "ID", id, 1)), id)
					}
					hidden, nothing := of(c.hidden), of(c.nothing)
					if hidden != nothing {
						t.Errorf("what is hidden:\n%s\nwhat is not there:\n%s", hidden, nothing)
					}
					if !strings.HasPrefix(hidden, map[bool]string{true: "401", false: "404"}[p.name == ""]) {
						t.Errorf("%s", hidden)
					}
				})
			}
		}
		t.Run(e.name+"/hidden/console", func(t *testing.T) {
			victor := w.people["victor"].browser(t, e)
			of := func(id string) string {
				return seen(ask(t, victor.Client, "GET "+w.console("/open/"+id+"?rest=/&nonce="+strings.Repeat("0", 64)), "", "Accept: text/html"), id)
			}
			if hidden, nothing := of(in.ID), of(nothing); hidden != nothing || !strings.HasPrefix(hidden, "404") {
				t.Errorf("what is hidden:\n%s\nwhat is not there:\n%s", hidden, nothing)
			}
		})
		t.Run(e.name+"/hidden/edge", func(t *testing.T) { w.askHiddenAtEdge(t, e) })
		t.Run(e.name+"/nobody", func(t *testing.T) { w.askNobody(t, e) })
	}
}

// askHiddenAtEdge: somebody who has a pass of an instance that is not theirs to
// know of any more gets what there is for a name that nothing has.
func (w *world) askHiddenAtEdge(t *testing.T, e *edge) {
	rita, fiona := w.people["rita"], w.people["fiona"]
	in := rita.run(t, w.things.served["DOMAIN ON_DEMAND"], "ALL_USERS")
	defer rita.must(t, "DELETE", "/instances/"+in.ID, "", nil)
	w.await(t, in, "DEPLOYED")
	b := e.newBrowser("fiona")
	b.signIn(t)
	b.enter(t, in)
	bearer := bearerOf(t, fiona.ticket(t, e, in))
	rita.must(t, "PATCH", "/instances/"+in.ID, `{"visibility":"PRIVATE"}`, nil)
	slipwaytest.Eventually(t, "it is hidden", func() bool {
		return ask(t, b.Client, "GET "+in.URL, "").StatusCode == http.StatusNotFound
	})
	for name, headers := range map[string][]string{"page": {"Accept: text/html"}, "program": nil} {
		hidden := seen(ask(t, b.Client, "GET "+in.URL, "", headers...), in.ID)
		if none := seen(ask(t, b.Client, "GET "+w.host(nothing, "/"), "", headers...), nothing); hidden != none {
			t.Errorf("%s: what is hidden:\n%s\nwhat is not there:\n%s", name, hidden, none)
		}
	}
	plain := &http.Client{Transport: e.transport}
	hidden := seen(ask(t, plain, "GET "+in.URL, "", bearer), in.ID)
	if none := seen(ask(t, plain, "GET "+w.host("no-such-alias", "/"), "", bearer), nothing); hidden != none {
		t.Errorf("by a ticket, what is hidden:\n%s\nwhat is not there:\n%s", hidden, none)
	}
}

// askNobody: who is not signed in gets a redirect for a page and 401 with a
// problem for all else.
func (w *world) askNobody(t *testing.T, e *edge) {
	plain := &http.Client{Transport: e.transport}
	for name, key := range map[string]string{"by host": "PRIVATE DOMAIN ON_DEMAND", "by path": "PRIVATE BASE_URL ON_DEMAND"} {
		in := w.things.instances[key]
		for _, c := range []struct {
			method  string
			headers []string
			status  int
		}{
			{"GET", []string{"Accept: text/html"}, 302},
			{"HEAD", []string{"Accept: text/html"}, 302},
			{"GET", []string{"Sec-Fetch-Mode: navigate", "Accept: */*"}, 302},
			{"GET", nil, 401},
			{"GET", []string{"Accept: application/json"}, 401},
			{"GET", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, 401},
			{"POST", []string{"Accept: text/html"}, 401},
			{"PUT", nil, 401},
			{"OPTIONS", []string{"Origin: https://evil.example", "Access-Control-Request-Method: GET"}, 401},
			{"GET", []string{"Authorization: Bearer slw_x", "Accept: text/html"}, 401},
		} {
			a := ask(t, plain, c.method+" "+in.URL, "", c.headers...)
			if a.StatusCode != c.status || a.Header.Get("Cache-Control") != "no-store" || strings.Contains(fmt.Sprint(a.Header), "Access-Control") {
				t.Errorf("%s, %s %v: %s %v", name, c.method, c.headers, a, a.Header)
			}
			if c.status == 401 {
				w.isChallenge(t, a, !slices.Contains(c.headers, "Accept: text/html") || c.headers[0] == "Sec-Fetch-Mode: cors")
			}
		}
	}
	for _, path := range []string{"/me", "/instances", "/instances/" + nothing, "/users", "/audit", "/tokens"} {
		for _, token := range []string{"", "Authorization: Bearer slw_unknown", "Authorization: Basic YTpi", "Authorization: Bearer"} {
			var headers []string
			if token != "" {
				headers = []string{token}
			}
			w.isChallenge(t, ask(t, plain, "GET "+w.base("/api/v1"+path), "", headers...), true)
		}
	}
}

func (w *world) isChallenge(t *testing.T, a *answer, problem bool) {
	t.Helper()
	p := a.problem()
	if a.StatusCode != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), `Bearer realm="slipway"`) ||
		problem && (a.Header.Get("Content-Type") != "application/problem+json" || p.Status != 401 || p.Code == "" || p.Detail == "") {
		t.Errorf("%s %s: %s %v", a.Request.Method, a.Request.URL, a, a.Header)
	}
}
