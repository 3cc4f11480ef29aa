package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// admin asks Caddy's admin interface on its socket.
func (s *slipway) admin(t *testing.T, method, path string, form url.Values) (int, string) {
	t.Helper()
	sockets, err := filepath.Glob(filepath.Join(s.sockets, "*", "admin.sock"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("the admin's sockets are %v, %v", sockets, err)
	}
	h := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", sockets[0])
		},
	}}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := h.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOperatorsSeeWhatTheEdgeDoes(t *testing.T) {
	t.Parallel()
	s := up(t)
	in := s.run(app{Name: "app"})
	s.alias("main", in.ID, true)
	s.alias("other", in.ID, false)

	for _, x := range []struct{ args, says []string }{
		{[]string{s.origin("main") + "/a"}, []string{"parse\t", "canonical\t", "authorized\t", "running\t\tDEPLOYED at "}},
		{[]string{"http://10.0.0.1/x", "-H", "Host: " + s.host("other")},
			[]string{"canonical\t302\tto " + s.origin("main") + "/x", "the alias is not the instance's primary one"}},
		{[]string{s.origin("other") + "/ws", "-H", "Connection: upgrade", "-H", "Upgrade: websocket", "-H", "Authorization: Bearer x"},
			[]string{"the instance is PUBLIC", "running\t"}},
		{[]string{s.origin("nobody") + "/", "-H", "Accept: text/html"}, []string{"known\t404", "text/html"}},
		{[]string{s.origin("main") + "/", "-H", "X-Forwarded-For: 1.2.3.4"}, []string{"Dropped", "X-Forwarded-For"}},
	} {
		out := s.must(append([]string{"route", "explain"}, x.args...)...)
		for _, want := range x.says {
			if !strings.Contains(out, want) {
				t.Errorf("explain %q does not say %q:\n%s", x.args, want, out)
			}
		}
	}
	s.cli("route", "explain", s.origin("main")+"/", "-H", "Accept text/html").wants(t, 2, "is no header", "Name: value")
	s.cli("route", "explain", s.origin("main")+"/", "--from", "there").wants(t, 2, "IP address")

	var told v1.Explanation
	if err := json.Unmarshal([]byte(s.must("route", "explain", s.origin("main")+"/", "-X", "POST", "-o", "json")), &told); err != nil {
		t.Fatal(err)
	}
	if len(told.Steps) != 6 || told.Kind != "serve" || told.Sent[0] != "POST / HTTP/1.1" {
		t.Errorf("told %+v", told)
	}
	// The admin interface says the same.
	var same v1.Explanation
	status, body := s.admin(t, "POST", "/slipway/explain", url.Values{"url": {s.origin("main") + "/"}, "method": {"POST"}})
	if err := json.Unmarshal([]byte(body), &same); err != nil || status != 200 || len(same.Steps) != 6 || same.Endpoint != told.Endpoint {
		t.Errorf("%d %s (%v)", status, body, err)
	}
	status, body = s.admin(t, "GET", "/slipway/routes?host="+s.host("main"), nil)
	if status != 200 || !strings.Contains(body, `"origin":"store"`) || !strings.Contains(body, `"name":"main"`) || !strings.Contains(body, in.ID) {
		t.Errorf("%d %s", status, body)
	}
	if status, body = s.admin(t, "POST", "/slipway/routes/acknowledge", nil); status != 200 || body != "{\"removed\":0}\n" {
		t.Errorf("%d %s", status, body)
	}
	status, body = s.admin(t, "GET", "/metrics", nil)
	for _, name := range []string{"slipway_edge_propagation_seconds_bucket", "slipway_edge_routes{", `slipway_edge_open_streams{proto="h1"} 0`} {
		if !strings.Contains(body, name) {
			t.Errorf("%d: no %s", status, name)
		}
	}
}
