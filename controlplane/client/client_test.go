package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// serve answers with h and returns a client with the token "slw_test".
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return connect(t, s.URL)
}

func connect(t *testing.T, endpoint string) *Client {
	t.Helper()
	transport := LoopbackTransport()
	t.Cleanup(transport.CloseIdleConnections)
	c, err := New(Config{Endpoint: endpoint, Token: "slw_test", HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func TestNewRefusesEndpoints(t *testing.T) {
	for _, endpoint := range []string{"", "localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x?y=1", "http://x#y", "unix:///s", "http://[::1"} {
		if _, err := New(Config{Endpoint: endpoint}); CodeOf(err) != controlplane.CodeInvalid {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	if _, err := New(Config{Endpoint: "http://x", Token: "a\nb"}); CodeOf(err) != controlplane.CodeInvalid {
		t.Errorf("token with a line break: %v", err)
	}
}

func TestEndpointIsNormalised(t *testing.T) {
	for in, want := range map[string]string{
		"http://x":                 "http://x",
		"http://x/":                "http://x",
		"http://x:1/api/v1/":       "http://x:1",
		"https://x/slipway/":       "https://x/slipway",
		"https://x/slipway/api/v1": "https://x/slipway",
	} {
		c, err := New(Config{Endpoint: in})
		if err != nil || c.Endpoint() != want {
			t.Errorf("%s: %v, %v", in, c.Endpoint(), err)
		}
	}
}

// TestRequests holds the method, path, query and body of every call.
func TestRequests(t *testing.T) {
	ctx := t.Context()
	id, yes := "2efe", true
	tests := []struct {
		name string
		call func(*Client) error
		want string
		body string
	}{
		{"apps", func(c *Client) error { _, err := c.Apps(ctx, Page{Limit: 5, Cursor: "a&b"}); return err }, "GET /api/v1/apps?cursor=a%26b&limit=5", ""},
		{"app", func(c *Client) error { _, err := c.App(ctx, "a/b"); return err }, "GET /api/v1/apps/a%2Fb", ""},
		{"delete app", func(c *Client) error { return c.DeleteApp(ctx, id, false) }, "DELETE /api/v1/apps/2efe", ""},
		{"delete app by force", func(c *Client) error { return c.DeleteApp(ctx, id, true) }, "DELETE /api/v1/apps/2efe?force=true", ""},
		{"run", func(c *Client) error { _, err := c.Run(ctx, v1.RunRequest{AppID: id}); return err }, "POST /api/v1/instances", `{"app_id":"2efe"}`},
		{"instances", func(c *Client) error { _, err := c.Instances(ctx, Page{}); return err }, "GET /api/v1/instances", ""},
		{"instance", func(c *Client) error { _, err := c.Instance(ctx, id); return err }, "GET /api/v1/instances/2efe", ""},
		{"suspend", func(c *Client) error { _, err := c.Suspend(ctx, id); return err }, "POST /api/v1/instances/2efe/suspend", ""},
		{"resume", func(c *Client) error { _, err := c.Resume(ctx, id); return err }, "POST /api/v1/instances/2efe/resume", ""},
		{"terminate", func(c *Client) error { _, err := c.Terminate(ctx, id); return err }, "DELETE /api/v1/instances/2efe", ""},
		{"logs", func(c *Client) error {
			_, err := c.InstanceLogs(ctx, id, Logs{Follow: true, Previous: true})
			return err
		}, "GET /api/v1/instances/2efe/logs?follow=true&previous=true", ""},
		{"create alias", func(c *Client) error {
			_, err := c.CreateAlias(ctx, v1.AliasRequest{Name: "sales", InstanceID: &id, Primary: &yes})
			return err
		}, "POST /api/v1/aliases", `{"name":"sales","instance_id":"2efe","primary":true}`},
		{"aliases", func(c *Client) error { _, err := c.Aliases(ctx, Page{}); return err }, "GET /api/v1/aliases", ""},
		{"alias", func(c *Client) error { _, err := c.Alias(ctx, "sales?"); return err }, "GET /api/v1/aliases/sales%3F", ""},
		{"assign", func(c *Client) error { _, err := c.AssignAlias(ctx, "sales", v1.AssignRequest{}); return err }, "PUT /api/v1/aliases/sales/assignment", `{}`},
		{"promote", func(c *Client) error { _, err := c.PromoteAlias(ctx, "sales"); return err }, "POST /api/v1/aliases/sales/promote", ""},
		{"delete alias", func(c *Client) error { return c.DeleteAlias(ctx, "sales") }, "DELETE /api/v1/aliases/sales", ""},
		{"me", func(c *Client) error { _, err := c.Me(ctx); return err }, "GET /api/v1/me", ""},
		{"explain", func(c *Client) error {
			_, err := c.Explain(ctx, v1.ExplainRequest{URL: "http://a/?x=1", Method: "POST", WebSocket: true, Headers: []string{"A: b"}})
			return err
		}, "POST /api/v1/explain", `{"url":"http://a/?x=1","method":"POST","headers":["A: b"],"websocket":true}`},
		{"import", func(c *Client) error {
			_, err := c.ImportBundle(ctx, Import{Archive: strings.NewReader("zip"), Size: 3, Visibility: "PUBLIC"})
			return err
		}, "POST /api/v1/bundles?visibility=PUBLIC", "zip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got, body, token string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				data, _ := io.ReadAll(r.Body)
				got, body, token = r.Method+" "+r.RequestURI, string(data), r.Header.Get("Authorization")
				answerJSON(w, http.StatusOK, map[string]any{})
			})
			if err := tt.call(c); err != nil {
				t.Fatal(err)
			}
			if got != tt.want || body != tt.body || token != "Bearer slw_test" {
				t.Errorf("%s %s (%s)", got, body, token)
			}
		})
	}
}

func TestEmptyAndDotSegmentsAreNotSent(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("sent") })
	for _, id := range []string{"", ".", ".."} {
		if err := c.DeleteAlias(t.Context(), id); CodeOf(err) != controlplane.CodeInvalid {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestAllAppsReadsEveryPage(t *testing.T) {
	pages := map[string]v1.List[v1.App]{
		"":  {Items: []v1.App{{ID: "a"}, {ID: "b"}}, NextCursor: new("2")},
		"2": {Items: []v1.App{{ID: "c"}}},
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { answerJSON(w, 200, pages[r.URL.Query().Get("cursor")]) })
	var got []string
	for app, err := range c.AllApps(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, app.ID)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestARepeatedCursorEndsTheList(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, 200, v1.List[v1.App]{NextCursor: new("x")})
	})
	var last error
	for _, err := range c.AllApps(t.Context()) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "repeats cursor") {
		t.Error(last)
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, contentType, body string
		status                  int
		code                    controlplane.Code
		text                    string
	}{
		{"problem", "application/problem+json; charset=utf-8", `{"title":"Conflict","status":409,"detail":"alias \"a\" exists already","code":"conflict","hint":"assign it"}`, 409, controlplane.CodeConflict, `alias "a" exists already`},
		{"problem without a code", "application/problem+json", `{"title":"Not Found","request_id":"r"}`, 404, controlplane.CodeNotFound, "not found"},
		{"an app's host", "application/problem+json", `{"title":"Not Found","status":404,"detail":"no such app","code":"not_found"}`, 404, controlplane.CodeInvalid, "is no Slipway API"},
		{"a proxy's page", "text/html", "<html>", 502, controlplane.CodeUnavailable, "answered 502 Bad Gateway"},
		{"no body", "", "", 401, controlplane.CodeInvalid, "answered 401 Unauthorized"},
		{"a lie", "application/problem+json", "{", 500, controlplane.CodeInternal, "answered 500"},
		{"page instead of JSON", "text/html", "<html>", 200, controlplane.CodeInvalid, "not JSON"},
		{"other JSON", "application/json", `[1]`, 200, controlplane.CodeInternal, "not the JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			_, err := c.Me(t.Context())
			if CodeOf(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.text) {
				t.Errorf("%s: %v", CodeOf(err), err)
			}
			if e, ok := errors.AsType[*Error](err); !ok || e.Problem.Status != tt.status || e.Unavailable() != (tt.code == controlplane.CodeUnavailable) {
				t.Errorf("%#v", err)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := connect(t, "http://"+l.Addr().String())
	_, err = c.Me(t.Context())
	e, ok := errors.AsType[*Error](err)
	if !ok || !e.Unavailable() || e.Error() != "reach http://"+l.Addr().String()+": connection refused" || !strings.Contains(e.Problem.Hint, "slipway up") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsWrongWithAnEndpointIsHintedAt(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	noHost := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}}
	}}}
	for _, tt := range []struct {
		name, endpoint, hint string
		http                 *http.Client
	}{
		{"a certificate that nobody trusts", secure.URL, "SSL_CERT_FILE", nil},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "http://", nil},
		{"no such host", "https://nowhere.example", "spelled right", noHost},
	} {
		c, err := New(Config{Endpoint: tt.endpoint, HTTP: tt.http})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Me(t.Context())
		if e, ok := errors.AsType[*Error](err); !ok || !e.Unavailable() || !strings.Contains(e.Problem.Hint, tt.hint) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCancellingIsNotUnavailable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := c.Me(ctx)
	if !errors.Is(err, context.Canceled) || CodeOf(err) == controlplane.CodeUnavailable {
		t.Error(err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed") }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/x?secret=1", status) })
		_, err := c.Run(t.Context(), v1.RunRequest{})
		if err == nil || !strings.Contains(err.Error(), other.URL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestLogsStream(t *testing.T) {
	more := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		<-more
		io.WriteString(w, "two\n")
	})
	logs, err := c.InstanceLogs(t.Context(), "2efe", Logs{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	b := make([]byte, 4)
	if _, err := io.ReadFull(logs, b); err != nil || string(b) != "one\n" {
		t.Fatalf("%q, %v", b, err)
	}
	close(more)
	if rest, err := io.ReadAll(logs); err != nil || string(rest) != "two\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestUploadOfUnknownSizeStreams(t *testing.T) {
	r, w := io.Pipe()
	got := make(chan string, 1)
	c := serve(t, func(rw http.ResponseWriter, req *http.Request) {
		b := make([]byte, 5)
		io.ReadFull(req.Body, b)
		got <- string(b) // before the upload ends
		io.Copy(io.Discard, req.Body)
		answerJSON(rw, 201, v1.App{ID: fmt.Sprint(req.ContentLength), Warnings: []v1.Fault{{Message: "w"}}})
	})
	go func() {
		io.WriteString(w, "first")
		if s := <-got; s != "first" {
			t.Errorf("%q", s)
		}
		w.Close()
	}()
	app, err := c.ImportBundle(t.Context(), Import{Archive: r})
	if err != nil || app.ID != "-1" || len(app.Warnings) != 1 {
		t.Errorf("%+v, %v", app, err)
	}
}

func TestRefusedUploadIsNotSent(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"detail":"no token","code":"unauthenticated","request_id":"r"}`)
	})
	read := &countingReader{}
	begin := time.Now()
	_, err := c.ImportBundle(t.Context(), Import{Archive: read, Size: 1 << 40})
	if CodeOf(err) != controlplane.CodeUnauthorized || time.Since(begin) > 5*time.Second {
		t.Error(err)
	}
	if read.n > 0 {
		t.Errorf("%d bytes were sent", read.n)
	}
}

type countingReader struct{ n int }

func (c *countingReader) Read(b []byte) (int, error) { c.n += len(b); return len(b), nil }

func TestTerminateTakesAnEmptyAnswer(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusAccepted) })
	in, err := c.Terminate(t.Context(), "2efe")
	if err != nil || in.ID != "2efe" || in.Status != "TERMINATING" {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestAnswersAreCapped(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range maxAnswer>>20 + 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := c.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}
