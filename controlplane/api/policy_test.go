package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// What only the control plane sets is no field of any body.
func TestFieldsThatNobodyAssigns(t *testing.T) {
	s := newScene(t, []string{"PATCH", "/api/v1/apps/{id}"})
	fields := strings.Fields(`id owner status stage generation endpoint identity revision created_at updated_at epoch
		launcher primary_alias app_owner routing_mode lifecycle manifest bundle restarts failures runnable user admin roles expires_at hash`)
	for op, body := range map[string]string{
		"PATCH /api/v1/apps/" + s.app:          `{"visibility":"PUBLIC",%s}`,
		"PATCH /api/v1/instances/" + s.run:     `{"visibility":"PUBLIC",%s}`,
		"POST /api/v1/instances":               `{"app_id":"` + s.app + `",%s}`,
		"POST /api/v1/aliases":                 `{"name":"new",%s}`,
		"PUT /api/v1/aliases/sales/assignment": `{"instance_id":"` + s.instance + `",%s}`,
		"POST /api/v1/tags":                    `{"name":"green",%s}`,
		"PATCH /api/v1/tags/red":               `{"title":"x",%s}`,
		"POST /api/v1/explain":                 `{"url":"http://a/",%s}`,
	} {
		t.Run(op, func(t *testing.T) {
			before := s.records()
			method, path, _ := strings.Cut(op, " ")
			for _, field := range fields {
				a := s.call(method, path, s.tokens["admin"], fmt.Sprintf(body, `"`+field+`":"x"`))
				if a.StatusCode != 422 || !strings.Contains(a.body, field) {
					t.Errorf("%s: %d %s", field, a.StatusCode, a.body)
				}
			}
			if n := s.records(); n != before {
				t.Errorf("%d changes", n-before)
			}
		})
	}
}

// What no body may say no query says either.
func TestParametersThatNobodyKnows(t *testing.T) {
	s := newScene(t, []string{"PATCH", "/api/v1/apps/{id}"})
	before := s.records()
	p := s.problem(s.call("POST", "/api/v1/instances?owner=root&id="+s.app, s.tokens["admin"], `{"app_id":"`+s.app+`"}`), 422)
	if len(p.Errors) != 2 || p.Errors[0].Where != "query.id" || p.Errors[1].Where != "query.owner" || s.records() != before {
		t.Errorf("%+v", p)
	}
}

func TestABodyHasEachKeyOnce(t *testing.T) {
	s := newScene(t, []string{"PATCH", "/api/v1/apps/{id}"})
	for name, c := range map[string]struct{ method, path, body, key string }{
		"run":         {"POST", "/api/v1/instances", `{"app_id":"` + s.app + `","visibility":"PRIVATE","visibility":"PUBLIC"}`, "visibility"},
		"in capitals": {"POST", "/api/v1/instances", `{"app_id":"` + s.app + `","visibility":"PRIVATE","Visibility":"PUBLIC"}`, "Visibility"},
		"patch":       {"PATCH", "/api/v1/apps/" + s.app, `{"visibility":"PUBLIC","visibility":"PUBLIC"}`, "visibility"},
		"unknown":     {"PATCH", "/api/v1/instances/" + s.run, `{"x":{"a":1,"a":2}}`, "x.a"},
		"alias":       {"POST", "/api/v1/aliases", `{"name":"a","name":"b"}`, "name"},
		"tag":         {"POST", "/api/v1/tags", `{"name":"a","admin_roles":["x"],"ADMIN_ROLES":[]}`, "ADMIN_ROLES"},
	} {
		t.Run(name, func(t *testing.T) {
			h := *s.house
			h.TB = t
			before := s.records()
			p := h.problem(h.call(c.method, c.path, s.tokens["admin"], c.body), 422)
			if p.Code != "invalid" || !strings.Contains(p.Detail, c.key) || len(p.Errors) != 1 || p.Errors[0].Where != "body."+c.key {
				t.Errorf("%+v", p)
			}
			if s.records() != before {
				t.Error("it changed something")
			}
		})
	}
	t.Run("large", func(t *testing.T) {
		a := s.call("POST", "/api/v1/aliases", s.tokens["admin"], `{"name":"`+strings.Repeat("a", 2<<20)+`"}`)
		if a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%d %.200s", a.StatusCode, a.body)
		}
	})
}

func TestQuotasAreTold(t *testing.T) {
	s := newScene(t, []string{"POST", "/api/v1/instances", "ALL_USERS"})
	s.service.Quotas = controlplane.Quotas{Instances: 2, VisitorInstances: 1, Starts: 3, Versions: 1}
	run := func(column string) answer {
		return s.call("POST", "/api/v1/instances", s.tokens[column], `{"app_id":"`+s.app+`"}`)
	}
	first := decode[v1.Instance](s.house, run("full"), 202)
	decode[v1.Instance](s.house, run("full"), 202)
	if p := s.problem(run("full"), 409); p.Code != "quota_exceeded" || !strings.Contains(p.Hint, "terminate") {
		t.Errorf("%+v", p)
	}
	decode[v1.Instance](s.house, run("tag visitor"), 202)
	if p := s.problem(run("tag visitor"), 409); p.Code != "quota_exceeded" {
		t.Errorf("%+v", p)
	}
	for range 5 {
		decode[v1.Instance](s.house, run("admin"), 202)
	}
	verb := func(verb string) answer {
		return s.call("POST", "/api/v1/instances/"+first.ID+"/"+verb, s.tokens["full"], "")
	}
	for range 2 { // the second resume of what starts is none
		decode[v1.Instance](s.house, verb("suspend"), 200)
		decode[v1.Instance](s.house, verb("resume"), 200)
		decode[v1.Instance](s.house, verb("resume"), 200)
		decode[v1.Instance](s.house, verb("suspend"), 200)
		if a := verb("resume"); a.StatusCode != 200 {
			wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
			if p := s.problem(a, 429); p.Code != "too_many_starts" || err != nil || wait < 3590 || wait > 3600 {
				t.Errorf("%+v, Retry-After %d %v", p, wait, err)
			}
			break
		}
	}
	upload := func() answer {
		return s.call("POST", "/api/v1/bundles", s.tokens["full"], "PK", "Content-Type: application/zip")
	}
	decode[v1.App](s.house, upload(), 201)
	s.service.ReadBundle = func(context.Context, io.ReaderAt, int64) (controlplane.ReadBundle, error) {
		return controlplane.ReadBundle{Manifest: controlplane.Manifest{Name: "new", Version: "2"}}, nil
	}
	if p := s.problem(upload(), 409); p.Code != "quota_exceeded" {
		t.Errorf("%+v", p)
	}
}

func TestABundleComesBackAsItWas(t *testing.T) {
	s := newScene(t, []string{"GET", "/api/v1/apps/{id}/bundle"})
	path := "/api/v1/apps/" + s.app + "/bundle"
	a := s.call("GET", path, s.tokens["app owner"], "")
	h := a.Header
	if a.StatusCode != 200 || a.body != "a bundle" || h.Get("Content-Type") != "application/zip" || h.Get("Content-Length") != "8" ||
		h.Get("Content-Disposition") != "attachment; filename=demo.1.wave" || len(h.Get("ETag")) != 66 {
		t.Errorf("%d %q, header %v", a.StatusCode, a.body, h)
	}
	s.headers(a)
	if a := s.call("HEAD", path, s.tokens["app owner"], ""); a.StatusCode != 200 || a.body != "" || a.Header.Get("Content-Length") != "8" {
		t.Errorf("HEAD: %d %q %v", a.StatusCode, a.body, a.Header)
	}
	if a := s.call("GET", path, s.tokens["app owner"], "", "If-None-Match: "+h.Get("ETag")); a.StatusCode != 304 {
		t.Errorf("of the same tag: %d", a.StatusCode)
	}
	if a := s.call("GET", path, s.tokens["app owner"], "", "Range: bytes=2-"); a.StatusCode != 206 || a.body != "bundle" {
		t.Errorf("a range: %d %q", a.StatusCode, a.body)
	}
}

func TestTheAuditIsListed(t *testing.T) {
	s := newScene(t, []string{"GET", "/api/v1/audit"})
	ctx := controlplane.WithClientAddress(t.Context(), "192.0.2.7")
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/aliases", strings.NewReader(`{"name":"first"}`))
	r.Header.Set("Authorization", "Bearer "+s.tokens["admin"])
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	decode[v1.App](s.house, s.call("PATCH", "/api/v1/apps/"+s.app, s.tokens["app owner"], `{"visibility":"ALL_USERS"}`), 200)
	for i := range 3 {
		decode[v1.Alias](s.house, s.call("POST", "/api/v1/aliases", s.tokens["admin"], fmt.Sprintf(`{"name":"a%d"}`, i)), 201)
	}
	list := func(query string) (words []string, cursor string) {
		l := decode[v1.List[v1.AuditRecord]](s.house, s.call("GET", "/api/v1/audit"+query, s.tokens["admin"], ""), 200)
		for _, r := range l.Items {
			if r.ID == "" || r.Time.IsZero() || r.Revision == "" || r.Revision == "0" {
				t.Errorf("record %+v", r)
			}
			words = append(words, r.Actor+" "+r.Action+" "+r.Object+" "+r.Address+" "+r.Detail)
		}
		if l.NextCursor != nil {
			cursor = "&cursor=" + *l.NextCursor
		}
		return words, cursor
	}
	all := []string{
		"root alias.create alias/first 192.0.2.7 ", "otto app.update app/" + s.app + "  visibility PRIVATE → ALL_USERS",
		"root alias.create alias/a0  ", "root alias.create alias/a1  ", "root alias.create alias/a2  ",
	}
	for query, want := range map[string][]string{
		"": all, "?actor=otto": all[1:2], "?object=app/": all[1:2], "?object=alias/a1": all[3:4], "?actor=root&object=app/": nil, "?object=alias/a": nil,
	} {
		if got, _ := list(query); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	var got []string
	for cursor := ""; ; {
		page, next := list("?limit=2&actor=root" + cursor)
		got = append(got, page...)
		if cursor = next; cursor == "" {
			break
		}
		if len(page) != 2 {
			t.Errorf("a page of %d", len(page))
		}
	}
	if len(got) != 4 {
		t.Errorf("pages have %q", got)
	}
	for _, op := range operations(t) {
		if strings.Contains(op, "/audit") && op != "GET /api/v1/audit" {
			t.Errorf("%s", op)
		}
	}
}

func TestTheAuditIsFollowed(t *testing.T) {
	s := newScene(t, []string{"GET", "/api/v1/audit"})
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	follow := func(query, last string) (*bufio.Scanner, int) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		t.Cleanup(cancel)
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/v1/audit?follow=true"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.tokens["admin"])
		if last != "" {
			r.Header.Set("Last-Event-ID", last)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return bufio.NewScanner(res.Body), res.StatusCode
	}
	next := func(lines *bufio.Scanner) (id string, record v1.AuditRecord) {
		for lines.Scan() {
			switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
			case "id":
				id = value
			case "data":
				if err := json.Unmarshal([]byte(value), &record); err != nil {
					t.Fatal(err)
				}
			case "event":
				if value != "audit" {
					t.Errorf("event %q", value)
				}
			case "":
				if id != "" {
					return id, record
				}
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return
	}
	alias := func(name string) {
		decode[v1.Alias](s.house, s.call("POST", "/api/v1/aliases", s.tokens["admin"], `{"name":"`+name+`"}`), 201)
	}
	alias("before")
	lines, status := follow("&object=alias/", "")
	if status != 200 {
		t.Fatalf("status %d", status)
	}
	alias("one")
	alias("two")
	id, first := next(lines)
	if _, second := next(lines); first.Object != "alias/one" || second.Object != "alias/two" || first.Revision != id {
		t.Errorf("%+v, then %+v", first, second)
	}
	lines, _ = follow("", id)
	if _, r := next(lines); r.Object != "alias/two" {
		t.Errorf("after %s: %+v", id, r)
	}
	if _, status := follow("", "1"); status != 200 && status != http.StatusGone {
		t.Errorf("from the beginning: %d", status)
	}
	if _, status := follow("", "99999999"); status != http.StatusGone {
		t.Errorf("of a revision to come: %d", status)
	}
	// Who may not any more reads nothing more.
	lines, _ = follow("", "")
	s.demote("root")
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data") {
			t.Errorf("after the end of the right: %s", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was not ended: %v", err)
	}
}

// tail is a launcher whose logs never end by themselves.
type tail struct{ launcher.Launcher }

func (tail) Logs(ctx context.Context, _ string, _ launcher.LogOptions) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "first\n")
		<-ctx.Done()
		w.Close()
	}()
	return r, nil
}

// wrapped is a writer as Caddy hands it on: what it can do is behind Unwrap.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestLogsComeAtOnceAndEndWithTheRightToReadThem(t *testing.T) {
	s := newScene(t, []string{"GET", "/api/v1/instances/{id}/logs"})
	handler := s.with(map[string]launcher.Launcher{"none": tail{}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(wrapped{w}, r) }))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/v1/instances/"+s.run+"/logs?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.tokens["admin"])
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || lines.Text() != "first" {
		t.Fatalf("%d %q %v", res.StatusCode, lines.Text(), lines.Err())
	}
	s.demote("root")
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream was not ended: %v", err)
	}
}

func TestPublicOfOneOriginIsRefused(t *testing.T) {
	s := newScene(t, []string{"POST", "/api/v1/instances", "ALL_USERS"})
	app := &controlplane.App{ID: uuid.NewString(), Name: "path", Version: "1", Owner: "otto", Visibility: controlplane.AllUsers, RoutingMode: controlplane.BaseURL, AppMode: controlplane.Python, Lifecycle: controlplane.OnDemand}
	if _, err := s.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(app) }); err != nil {
		t.Fatal(err)
	}
	for _, column := range []string{"full", "app owner", "admin"} {
		refused := s.call("POST", "/api/v1/instances", s.tokens[column], `{"app_id":"`+app.ID+`","visibility":"PUBLIC"}`)
		if p := s.problem(refused, 422); p.Code != "base_url_public" || p.Hint == "" {
			t.Errorf("%+v", p)
		}
		run := decode[v1.Instance](s.house, s.call("POST", "/api/v1/instances", s.tokens[column], `{"app_id":"`+app.ID+`","visibility":"ALL_USERS"}`), 202)
		if p := s.problem(s.call("PATCH", "/api/v1/instances/"+run.ID, s.tokens[column], `{"visibility":"PUBLIC"}`), 422); p.Code != "base_url_public" {
			t.Errorf("%+v", p)
		}
	}
}
