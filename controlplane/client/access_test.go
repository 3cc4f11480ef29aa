package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// TestCallsOfAccess holds what each method sends.
func TestCallsOfAccess(t *testing.T) {
	tests := []struct {
		name, want string
		call       func(ctx context.Context, c *Client) error
	}{
		{"login info", "GET /api/v1/login ", func(ctx context.Context, c *Client) error { _, err := c.LoginInfo(ctx); return err }},
		{"begin", `POST /api/v1/login/device {"name":"laptop","scopes":["read"]}`, func(ctx context.Context, c *Client) error {
			_, err := c.BeginLogin(ctx, v1.DeviceRequest{Name: "laptop", Scopes: []string{"read"}})
			return err
		}},
		{"token of a login", `POST /api/v1/login/device/token {"device_code":"d"}`, func(ctx context.Context, c *Client) error {
			_, err := c.LoginToken(ctx, "d")
			return err
		}},
		{"link", "POST /api/v1/login/link ", func(ctx context.Context, c *Client) error { _, err := c.LoginLink(ctx); return err }},
		{"logout", `POST /api/v1/logout {"everywhere":true}`, func(ctx context.Context, c *Client) error { return c.Logout(ctx, true) }},
		{"tokens", "GET /api/v1/tokens?limit=5 ", func(ctx context.Context, c *Client) error {
			_, err := c.Tokens(ctx, Page{Limit: 5})
			return err
		}},
		{"new token", `POST /api/v1/tokens {"name":"ci","expires_in":"24h"}`, func(ctx context.Context, c *Client) error {
			_, err := c.CreateToken(ctx, v1.TokenRequest{Name: "ci", ExpiresIn: new("24h")})
			return err
		}},
		{"revoke", "DELETE /api/v1/tokens/current ", func(ctx context.Context, c *Client) error { return c.RevokeToken(ctx, CurrentToken) }},
		{"ticket", "POST /api/v1/instances/i/ticket ", func(ctx context.Context, c *Client) error { _, err := c.Ticket(ctx, "i"); return err }},
		{"user", "GET /api/v1/users/a%2Fb@x ", func(ctx context.Context, c *Client) error { _, err := c.User(ctx, "a/b@x"); return err }},
		{"user patch", `PATCH /api/v1/users/dana {"disabled":true}`, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateUser(ctx, "dana", v1.UserPatch{Disabled: new(true)})
			return err
		}},
		{"new tag", `POST /api/v1/tags {"name":"beta"}`, func(ctx context.Context, c *Client) error {
			_, err := c.CreateTag(ctx, v1.TagRequest{Name: "beta"})
			return err
		}},
		{"tag", "GET /api/v1/tags/beta ", func(ctx context.Context, c *Client) error { _, err := c.Tag(ctx, "beta"); return err }},
		{"tag patch", `PATCH /api/v1/tags/beta {"visitor_roles":[]}`, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateTag(ctx, "beta", v1.TagPatch{VisitorRoles: &[]string{}})
			return err
		}},
		{"tag deletion", "DELETE /api/v1/tags/beta ", func(ctx context.Context, c *Client) error { return c.DeleteTag(ctx, "beta") }},
		{"app patch", `PATCH /api/v1/apps/a {"visibility":"PUBLIC","tags":[]}`, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateApp(ctx, "a", v1.AppPatch{Visibility: new("PUBLIC"), Tags: &[]string{}})
			return err
		}},
		{"instance patch", `PATCH /api/v1/instances/i {"visibility":"PRIVATE"}`, func(ctx context.Context, c *Client) error {
			_, err := c.UpdateInstance(ctx, "i", v1.InstancePatch{Visibility: new("PRIVATE")})
			return err
		}},
		{"audit", "GET /api/v1/audit?actor=dana&object=alias%2Fsales ", func(ctx context.Context, c *Client) error {
			_, err := c.Audit(ctx, AuditFilter{Actor: "dana", Object: "alias/sales"}, Page{})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)
				if r.Header.Get("Authorization") != "Bearer slw_test" {
					t.Errorf("Authorization: %q", r.Header.Get("Authorization"))
				}
				answerJSON(w, http.StatusOK, struct{}{})
			})
			if err := tt.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("it sends %q, want %q", got, tt.want)
			}
		})
	}
}

func TestALoginThatWaitsIsAnErrorWithItsCode(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"status":400,"code":"slow_down","detail":"ask less often"}`)
	})
	if _, err := c.LoginToken(t.Context(), "d"); CodeOf(err) != LoginSlowDown {
		t.Errorf("error %v with code %q", err, CodeOf(err))
	}
}

func TestDownloadBundle(t *testing.T) {
	t.Run("a bundle", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/zip")
			io.WriteString(w, "PK"+r.URL.Path)
		})
		archive, size, err := c.DownloadBundle(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		if data, err := io.ReadAll(archive); err != nil || string(data) != "PK/api/v1/apps/a/bundle" || size != int64(len(data)) {
			t.Errorf("%q of %d bytes (%v)", data, size, err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/zip")
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "PK")
		})
		archive, _, err := c.DownloadBundle(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		if _, err := io.ReadAll(archive); CodeOf(err) != controlplane.CodeUnavailable {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a page", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") })
		if _, _, err := c.DownloadBundle(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "not a bundle") {
			t.Errorf("error %v", err)
		}
	})
}

func TestAllAuditTellsTheRevisionOfItsFirstPage(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			answerJSON(w, 200, v1.List[v1.AuditRecord]{Items: []v1.AuditRecord{{ID: "1"}}, NextCursor: new("c"), Revision: "90"})
			return
		}
		answerJSON(w, 200, v1.List[v1.AuditRecord]{Items: []v1.AuditRecord{{ID: "2"}}, Revision: "95"})
	})
	records, revision, err := c.AllAudit(t.Context(), AuditFilter{})
	if err != nil || revision != "90" || len(records) != 2 {
		t.Errorf("%v at %q (%v)", records, revision, err)
	}
}

// TestFollowAuditResumes: the stream breaks off, the control plane is away for
// a while, and nothing is lost or comes twice.
func TestFollowAuditResumes(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		if len(asked) == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 2 {
			id := 10*len(asked) + i
			data, _ := json.Marshal(v1.AuditRecord{ID: fmt.Sprint(id)})
			fmt.Fprintf(w, ": alive\n\nid: %d\nevent: audit\ndata: %s\n\n", id, data)
		}
		io.WriteString(w, "id: 99\nevent: audit\ndata: {\"id\":\"cut")
	})
	var got []string
	for r, err := range c.FollowAudit(t.Context(), AuditFilter{}, "7") {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, r.ID); len(got) == 4 {
			break
		}
	}
	if diff := cmp.Diff([]string{"10", "11", "30", "31"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"7", "11", "11"}, asked); diff != "" {
		t.Errorf("Last-Event-ID (-want +got):\n%s", diff)
	}
}

func TestFollowAuditEnds(t *testing.T) {
	t.Run("where it is not allowed", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Request-Id", "r")
			w.WriteHeader(http.StatusForbidden)
		})
		for _, err := range c.FollowAudit(t.Context(), AuditFilter{}, "") {
			if CodeOf(err) != controlplane.CodeForbidden {
				t.Errorf("error %v", err)
			}
		}
	})
	t.Run("with its context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			cancel()
			<-r.Context().Done()
		})
		n := 0
		for _, err := range c.FollowAudit(ctx, AuditFilter{}, "") {
			if n++; err == nil || !strings.Contains(err.Error(), "context canceled") {
				t.Errorf("error %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d ends", n)
		}
	})
	t.Run("where no server is", func(t *testing.T) {
		asked := 0
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		for _, err := range c.FollowEvents(t.Context(), "2efe") {
			if CodeOf(err) != controlplane.CodeUnavailable {
				t.Errorf("error %v", err)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
	t.Run("at what is no stream", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, 200, v1.List[v1.AuditRecord]{}) })
		for _, err := range c.FollowAudit(t.Context(), AuditFilter{}, "") {
			if err == nil || !strings.Contains(err.Error(), "not a stream of events") {
				t.Errorf("error %v", err)
			}
		}
	})
}

func TestEvents(t *testing.T) {
	tests := []struct {
		name, in string
		want     []event
	}{
		{"one", "id: 1\nevent: audit\ndata: x\n\n", []event{{"1", "audit", []byte("x")}}},
		{"CRLF, no space", "id:1\r\ndata:x\r\n\r\n", []event{{"1", "message", []byte("x")}}},
		{"several lines", "data: a\ndata\ndata:  b\n\n", []event{{"", "message", []byte("a\n\n b")}}},
		{"an ID stays", "id: 1\ndata: a\n\ndata: b\n\n", []event{{"1", "message", []byte("a")}, {"1", "message", []byte("b")}}},
		{"a comment, an empty event, an unknown field", ": hi\n\nevent: none\n\nretry: 5\ndata: a\n\n", []event{{"", "message", []byte("a")}}},
		{"cut off", "data: a\n\nid: 2\ndata: b\n", []event{{"", "message", []byte("a")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []event
			s := newEvents(strings.NewReader(tt.in))
			for {
				e, err := s.next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(event{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, in := range map[string]string{
		"a long line":  "data: " + strings.Repeat("x", maxEvent+1) + "\n\n",
		"a long event": strings.Repeat("data: "+strings.Repeat("x", 1000)+"\n", maxEvent/1000+2) + "\n",
	} {
		if _, err := newEvents(strings.NewReader(in)).next(); !errors.Is(err, errEventTooLong) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("id: 1\nevent: audit\ndata: x\n\n")
	f.Add(": c\r\ndata\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		s := newEvents(strings.NewReader(in))
		for n := 0; ; n++ {
			if _, err := s.next(); err != nil {
				return
			}
			if n > len(in) {
				t.Fatal("more events than bytes")
			}
		}
	})
}
