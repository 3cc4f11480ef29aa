package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// logged turns the access log of an edge on, as the example does it, and
// returns what it has written so far.
func (e *edge) logged() func() []map[string]any {
	e.t.Helper()
	path := filepath.Join(e.t.TempDir(), "access.log")
	var example, config map[string]any
	for from, into := range map[string]*map[string]any{exampleConfig(e.t): &example, e.config: &config} {
		if err := json.Unmarshal([]byte(from), into); err != nil {
			e.t.Fatal(err)
		}
	}
	logs := example["logging"].(map[string]any)["logs"].(map[string]any)
	log := logs["access"].(map[string]any)
	log["writer"] = settings{"output": "file", "filename": path}
	log["include"] = []string{"http.log.access"}
	config["logging"].(map[string]any)["logs"].(map[string]any)["access"] = log
	server := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["edge"].(map[string]any)
	server["logs"] = settings{}
	text, err := json.Marshal(config)
	if err != nil {
		e.t.Fatal(err)
	}
	e.config = string(text)
	e.load()
	return func() (lines []map[string]any) {
		text, err := os.ReadFile(path)
		if err != nil {
			e.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				e.t.Fatalf("%s: %v", line, err)
			}
			lines = append(lines, fields)
		}
		return lines
	}
}

// exampleConfig is Caddyfile.example as JSON.
func exampleConfig(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile.example"})
	if err != nil {
		t.Fatal(err)
	}
	return string(config)
}

func TestTheAccessLogSaysWhatBecameOfARequest(t *testing.T) {
	e := startEdge(t, settings{"hold": 5 * time.Second})
	addr := serve(t, func(http.ResponseWriter, *http.Request) {})
	in, asleep := instance(1, addr), instance(2, "")
	asleep.Status, in.PrimaryAlias = controlplane.Suspended, "one"
	e.put(in, asleep, alias(1, "one", in.ID), alias(2, "loose", ""))
	lines := e.logged()
	ours := func(n int) map[string]any {
		t.Helper()
		var all []map[string]any
		eventually(t, "the line", func() bool { all = lines(); return len(all) == n })
		got := map[string]any{}
		for _, name := range []string{"outcome", "alias", "app", "instance_id", "upstream", "route_revision", "hold_ms"} {
			if value, has := all[n-1][name]; has {
				got[name] = value
			}
		}
		if id, _ := all[n-1]["request_id"].(string); len(id) != 16 {
			t.Errorf("request_id %q", id)
		}
		return got
	}
	revision := float64(e.table().Table().Revision())
	e.do("GET", "http://one."+base+"/")
	want := map[string]any{
		"outcome": "proxied", "alias": "one", "app": in.AppID, "instance_id": in.ID, "upstream": addr, "route_revision": revision,
	}
	if diff := cmp.Diff(want, ours(1)); diff != "" {
		t.Errorf("proxied: %s", diff)
	}
	e.do("GET", urlOf(in)+"/")
	want = map[string]any{"outcome": "redirect_alias", "app": in.AppID, "instance_id": in.ID, "route_revision": revision}
	if diff := cmp.Diff(want, ours(2)); diff != "" {
		t.Errorf("redirect: %s", diff)
	}
	e.do("GET", "http://loose."+base+"/")
	want = map[string]any{"outcome": "alias_inactive", "alias": "loose", "route_revision": revision}
	if diff := cmp.Diff(want, ours(3)); diff != "" {
		t.Errorf("inactive: %s", diff)
	}
	e.raw("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")
	if diff := cmp.Diff(map[string]any{"outcome": "denied"}, ours(4)); diff != "" {
		t.Errorf("refused: %s", diff)
	}
	shut, keys := instance(3, addr), e.keys()
	shut.Visibility = controlplane.Private
	e.put(shut)
	e.do("GET", urlOf(shut)+"/", "Cookie", cookieOf(shut)+"="+e.pass(keys, visitors["owner"], identity.PassCookie, shut.ID, nil))
	eventually(t, "the line of a visitor who is known", func() bool { return len(lines()) == 5 })
	if got := lines()[4]["user_hash"]; got != "dca1e37ebee59f12" {
		t.Errorf("user_hash %v", got)
	}
	revision = float64(e.table().Table().Revision())
	e.do("GET", "http://"+base+"/livez")
	if diff := cmp.Diff(map[string]any{"route_revision": revision}, ours(6)); diff != "" {
		t.Errorf("control plane: %s", diff)
	}

	answered := make(chan struct{})
	go func() {
		defer close(answered)
		e.do("GET", urlOf(asleep)+"/")
	}()
	eventually(t, "the visitor waits", func() bool { return edgeMetrics(t)["held_requests"] == 1 })
	asleep.Status, asleep.Endpoint, asleep.Generation = controlplane.Deployed, addr, 2
	e.put(asleep)
	<-answered
	got := ours(7)
	if ms, ok := got["hold_ms"].(float64); !ok || ms < 0 || ms > 5000 || got["outcome"] != "held" || got["upstream"] != addr {
		t.Errorf("held: %v", got)
	}
	m := edgeMetrics(t)
	if m["hold_seconds served"] != 1 || m["overhead_seconds held"] != 1 || m["overhead_seconds proxied"] != 2 || m["propagation_seconds"] < 1 {
		t.Errorf("metrics %v", m)
	}
}

func TestTheExamplesAccessLogTellsNoSecrets(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/next?ticket=SECRET6&a=b")
		w.Header().Set("Set-Cookie", "a=SECRET7")
		w.WriteHeader(http.StatusFound)
	}))
	e.put(in)
	lines := e.logged()
	e.do("GET", urlOf(in)+"/open?x=1&ticket=SECRET1&code=SECRET2&y=slw_SECRET3&z=2",
		"Authorization", "Bearer slw_SECRET4", "Cookie", "a=SECRET5", "Referer", "https://a/?access_token=SECRET8&b=slw_i_SECRET9",
		"Proxy-Authorization", "Basic SECRET0")
	eventually(t, "the line", func() bool { return len(lines()) == 1 })
	e.do("GET", "http://"+base+"/api/v1/bundles/d?instance=i&signature=slw_b_SECRETA-_")
	eventually(t, "the line of a link", func() bool { return len(lines()) == 2 })
	line, err := json.Marshal(lines())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(line), "SECRET") {
		t.Errorf("the log has a secret:\n%s", line)
	}
	for _, kept := range []string{"/open?x=1", "z=2", "/api/v1/bundles/d?instance=i&signature=REDACTED", "/next?ticket=REDACTED"} {
		if !strings.Contains(strings.ReplaceAll(string(line), `\u0026`, "&"), kept) {
			t.Errorf("the log lacks %s:\n%s", kept, line)
		}
	}
}
