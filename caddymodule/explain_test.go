package caddymodule_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

var withPrefix = clientv3.WithPrefix()

// heads serves each connection once and tells the head that came on it.
func heads(t *testing.T) (addr string, got <-chan []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan []string, 16)
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var lines []string
			for scan := bufio.NewScanner(conn); scan.Scan() && scan.Text() != ""; {
				lines = append(lines, scan.Text())
			}
			out <- lines
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			conn.Close()
		}
	}()
	return l.Addr().String(), out
}

// What is explained is what the edge does with the very same bytes.
func TestTheEdgeDoesWhatIsExplained(t *testing.T) {
	e := startEdge(t, settings{"trusted_proxies": []string{"127.0.0.2"}})
	addr, got := heads(t)
	in, byPath, asleep := instance(1, addr), instance(2, addr), instance(3, "")
	shut := instance(4, addr)
	byPath.RoutingMode, asleep.Status, shut.Visibility = controlplane.BaseURL, controlplane.Suspended, controlplane.Private
	asleep.PrimaryAlias = "prime"
	e.put(in, byPath, asleep, shut, alias(4, "shutter", shut.ID), alias(1, "other", in.ID), alias(2, "loose", ""), alias(3, "prime", asleep.ID))
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket"}
	for _, tc := range []struct {
		name, method, url string
		headers           []string
		steps             string // their names, and the status of the last
		dropped           string
	}{
		{"served", "GET", urlOf(in) + "/a%2f?b", nil, "parse method known canonical authorized running", ""},
		{"served by path", "GET", "http://" + base + "/instance/" + byPath.ID + "/a", nil, "parse method known canonical authorized running", ""},
		{"posted", "POST", urlOf(in) + "/", []string{"Content-Type: text/plain"}, "parse method known canonical authorized running", ""},
		{"forged", "GET", urlOf(in) + "/", []string{"X-Forwarded-For: 1.2.3.4", "X-Slipway-User: root", "Forwarded: for=x", "A: b", "A_B: c", "Via: x"},
			"parse method known canonical authorized running", "A_b Forwarded Via X-Forwarded-For X-Slipway-User"},
		{"our token", "GET", urlOf(in) + "/", []string{"Authorization: Bearer slw_x", "Cookie: a=b; slipway-s=1"},
			"parse method known canonical authorized running", "Authorization Cookie"},
		{"its own token", "GET", urlOf(in) + "/", []string{"Authorization: Bearer x"}, "parse method known canonical authorized running", ""},
		{"hop by hop", "GET", urlOf(in) + "/", []string{"Connection: A", "A: b"}, "parse method known canonical authorized running", "A Connection"},
		{"another host", "GET", "http://127.0.0.1/x", []string{"Host: other." + base}, "parse method known canonical 302", ""},
		{"redirect", "GET", "http://other." + base + "/x", nil, "parse method known canonical 302", ""},
		{"redirect of a POST", "POST", "http://other." + base + "/x", nil, "parse method known canonical 307", ""},
		{"socket", "GET", "http://shutter." + base + "/x", upgrade, "parse method known canonical 302", ""},
		{"socket with a bearer", "GET", "http://other." + base + "/x", append(upgrade, "Authorization: Bearer x"),
			"parse method known canonical authorized running", ""},
		{"socket with a bearer that is no pass", "GET", "http://shutter." + base + "/x", append(upgrade, "Authorization: Bearer slw_x"),
			"parse method known canonical authorized 401", ""},
		{"not signed in", "GET", urlOf(shut) + "/", nil, "parse method known canonical authorized 401", ""},
		{"not signed in, status", "GET", urlOf(shut) + "/.slipway/status", nil, "parse method known canonical authorized 401", ""},
		{"not signed in, in a browser", "GET", urlOf(shut) + "/a?b=c", []string{"Accept: text/html", "Cookie: slipway-n-" + shut.ID + "=ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
			"parse method known canonical authorized 302", ""},
		{"half an upgrade", "GET", "http://shutter." + base + "/x", append(upgrade[1:], "Authorization: Bearer x"), "parse method known canonical 302", ""},
		{"unknown", "GET", "http://nobody." + base + "/", nil, "parse method known 404", ""},
		{"unknown, in a browser", "GET", "http://nobody." + base + "/", []string{"Accept: text/html,*/*;q=0.8"}, "parse method known 404", ""},
		{"unassigned", "GET", "http://loose." + base + "/", nil, "parse method known 404", ""},
		{"own path", "GET", urlOf(in) + "/.slipway/x", nil, "parse method known canonical authorized 404", ""},
		{"status", "GET", urlOf(in) + "/.slipway/status", nil, "parse method known canonical authorized", ""},
		{"status, posted to", "POST", urlOf(in) + "/.slipway/status", nil, "parse method known canonical authorized 405", ""},
		{"climb", "GET", "http://" + base + "/instance/" + byPath.ID + "/..", nil, "parse method known canonical 400", ""},
		{"bad host", "GET", "http://-a_b/", nil, "parse 400", ""},
		{"bad host of many dots", "GET", "http://a..b/", nil, "parse 400", ""},
		{"bad target", "GET", "http://" + base + "/%zz", nil, "parse 400", ""},
		{"a space", "GET", "http://" + base + "/a b", nil, "parse 400", ""},
		{"two hosts", "GET", "http://a/", []string{"Host: a", "Host: b"}, "parse 400", ""},
		{"TRACE", "TRACE", "http://" + base + "/", nil, "method 405", ""},
		{"too long", "GET", "http://" + base + "/" + strings.Repeat("x", 33<<10), nil, "parse 414", ""},
		{"too many fields", "GET", "http://" + base + "/", slices.Repeat([]string{"A: b"}, 201), "parse 431", ""},
		{"root", "GET", "http://" + base + "/", nil, "parse method known canonical 302", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			told := explain(t, controlplane.ExplainRequest{URL: tc.url, Method: tc.method, Headers: tc.headers, From: "127.0.0.1"})
			host, target, _ := strings.Cut(strings.TrimPrefix(tc.url, "http://"), "/")
			fields := "Host: " + host + "\r\n"
			if slices.ContainsFunc(tc.headers, func(line string) bool { return strings.HasPrefix(line, "Host:") }) {
				fields = ""
			}
			for _, line := range tc.headers {
				fields += line + "\r\n"
			}
			resp := e.raw(tc.method + " /" + target + " HTTP/1.1\r\n" + fields + "\r\n")
			status := told.Status
			if told.Kind == "serve" && told.Status == 0 {
				sent := <-got
				slices.Sort(sent[2:])
				if diff := cmp.Diff(told.Sent, sent); diff != "" {
					t.Errorf("told and sent:\n%s", diff)
				}
				if status = 200; told.Endpoint != addr {
					t.Errorf("endpoint %q", told.Endpoint)
				}
			}
			if resp.StatusCode != status || resp.Header.Get("Location") != told.Location {
				t.Errorf("told %d to %q, got %d to %q", status, told.Location, resp.StatusCode, resp.Header.Get("Location"))
			}
			if kind := resp.Header.Get("Content-Type"); kind != told.Type {
				t.Errorf("told type %q, got %q", told.Type, kind)
			}
			if told.Code != "" && told.Type == "application/problem+json" && !strings.Contains(text(resp), `"code":"`+told.Code+`"`) {
				t.Errorf("the answer has not the code %s", told.Code)
			}
			var steps []string
			for _, s := range told.Steps {
				steps = append(steps, s.Step)
				if s.Status != 0 {
					steps = append(steps, resp.Status[:3])
				}
				if s.Rule == "" || s.Found == "" {
					t.Errorf("step %+v", s)
				}
			}
			if got := strings.Join(steps, " "); got != tc.steps {
				t.Errorf("steps %s, want %s", got, tc.steps)
			}
			if got := strings.Join(told.Dropped, " "); got != tc.dropped {
				t.Errorf("dropped %s, want %s", got, tc.dropped)
			}
		})
	}
}

func TestWhatIsExplainedOfASleeper(t *testing.T) {
	e := startEdge(t, nil)
	asleep, starting := instance(1, ""), instance(2, "")
	asleep.Status, starting.Status = controlplane.Suspended, controlplane.Resuming
	e.put(asleep, starting)
	for in, want := range map[*controlplane.Instance]string{
		asleep:   "the instance sleeps: it is woken, and the request waits for it for 5s at most",
		starting: "the instance starts: the request waits for it for 5s at most",
	} {
		told := explain(t, controlplane.ExplainRequest{URL: urlOf(in) + "/"})
		last := told.Steps[len(told.Steps)-1]
		if last.Step != "running" || last.Rule != want || last.Found != string(in.Status) || told.Endpoint != "" || told.Kind != "serve" {
			t.Errorf("%+v", told)
		}
	}
	if keys, err := e.etcd.Get(t.Context(), e.prefix+"wake/", withPrefix); err != nil || keys.Count > 0 {
		t.Errorf("%d were woken (%v)", keys.Count, err)
	}
	if n := edgeMetrics(t)["requests_total 2xx proxied"]; n != 0 {
		t.Errorf("%v requests were counted", n)
	}
}

func TestForwardedHeadersCountFromATrustedProxyAlone(t *testing.T) {
	e := startEdge(t, settings{"trusted_proxies": []string{"10.0.0.0/8"}})
	in := instance(1, dead)
	e.put(in)
	sent := []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: outside", "X-Forwarded-Proto: https"}
	for from, want := range map[string][]string{
		"":          {"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: " + urlOf(in)[len("http://"):], "X-Forwarded-Proto: http"},
		"10.1.2.3":  {"X-Forwarded-For: 1.2.3.4, 10.1.2.3", "X-Forwarded-Host: outside", "X-Forwarded-Proto: https"},
		"127.0.0.1": {"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: " + urlOf(in)[len("http://"):], "X-Forwarded-Proto: http"},
	} {
		told := explain(t, controlplane.ExplainRequest{URL: urlOf(in) + "/", Headers: sent, From: from})
		if diff := cmp.Diff(want, told.Sent[2:]); diff != "" {
			t.Errorf("from %q: %s", from, diff)
		}
		if trusted := len(told.Dropped) == 0; trusted != (from == "10.1.2.3") {
			t.Errorf("from %q: dropped %q", from, told.Dropped)
		}
	}
	told := explain(t, controlplane.ExplainRequest{URL: strings.Replace(urlOf(in), "http:", "HTTPS:", 1) + "/"})
	if !slices.Contains(told.Sent, "X-Forwarded-Proto: https") {
		t.Errorf("over TLS: %q", told.Sent)
	}
}

// A handler that is asked and one that serves see the same settings.
func TestExplainFollowsAReload(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, dead)
	e.put(in, alias(1, "other", in.ID))
	q := controlplane.ExplainRequest{URL: "http://other." + base + "/", Method: http.MethodPost}
	if told := explain(t, q); told.Status != 307 {
		t.Errorf("%+v", told)
	}
	e.config = strings.Replace(e.config, `"base_url"`, `"alias_redirect":"strict","base_url"`, 1)
	e.load()
	if told := explain(t, q); told.Status != 302 {
		t.Errorf("after the reload: %+v", told)
	}
	if told, err := e.table().Explain(q); err != nil || told.Status != 302 {
		t.Errorf("the control plane is told %+v (%v)", told, err)
	}
}

// What a visit to a sleeping instance would get is told without a visit.
func TestExplainTellsWhatASleeperGives(t *testing.T) {
	e := startEdge(t, nil)
	in, broken := instance(1, ""), instance(2, "")
	in.Status, broken.Status = controlplane.Suspended, controlplane.Suspended
	broken.Wake = controlplane.WakeNever
	e.put(in, broken)
	for _, tc := range []struct {
		name, method, url string
		headers           []string
		status            int
		code, rule        string
	}{
		{"a page", "GET", urlOf(in) + "/", []string{"Accept: text/html"}, 0, "", "woken, and the request waits for it for 800ms at most, and then gets the waiting page"},
		{"a POST", "POST", urlOf(in) + "/", nil, 0, "", "waits for it for 5s at most"},
		{"respond-async", "POST", urlOf(in) + "/", []string{"Prefer: respond-async"}, 0, "", "202"},
		{"HEAD", "HEAD", urlOf(in) + "/", nil, 503, "asleep", "does not wake it"},
		{"never", "GET", urlOf(broken) + "/", nil, 503, "wake_not_allowed", "sleeps"},
		{"its events", "GET", urlOf(in) + "/.slipway/wait", nil, 200, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			told := explain(t, controlplane.ExplainRequest{URL: tc.url, Method: tc.method, Headers: tc.headers})
			last := told.Steps[len(told.Steps)-1]
			if told.Status != tc.status || told.Code != tc.code || !strings.Contains(last.Rule, tc.rule) {
				t.Errorf("%d %s, %+v", told.Status, told.Code, last)
			}
		})
	}
	if e.intent(in.ID) != nil {
		t.Error("the question woke it")
	}
}
