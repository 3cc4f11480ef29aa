package caddymodule_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// dead is an endpoint at which nothing listens, and which tells nobody.
const dead = "127.0.0.1:1"

func TestAnswersOfTheEdge(t *testing.T) {
	e := startEdge(t, nil)
	in, byPath, suspended := instance(1, dead), instance(2, dead), instance(3, "")
	byPath.RoutingMode, suspended.Status = controlplane.BaseURL, controlplane.Suspended
	suspended.PrimaryAlias = "prime"
	e.put(in, byPath, suspended, alias(1, "other", in.ID), alias(2, "loose", ""), alias(3, "prime", suspended.ID))
	for _, tc := range []struct {
		name, method, url string
		status            int
		location, code    string
	}{
		{"unknown host", "GET", "http://nobody." + base + "/", 404, "", "not_found"},
		{"foreign host", "GET", "http://else.example/", 404, "", "not_found"},
		{"unknown id", "GET", "http://" + instanceID(9) + "." + base + "/", 404, "", "not_found"},
		{"unassigned alias", "GET", "http://loose." + base + "/", 404, "", "not_found"},
		{"unknown path of the base domain", "GET", "http://" + base + "/nothing", 404, "", "not_found"},
		{"own path", "GET", urlOf(in) + "/.slipway/other", 404, "", "not_found"},
		{"own path, posted to", "POST", urlOf(in) + "/.slipway/status", 405, "", "method_not_allowed"},
		{"events, posted to", "POST", urlOf(in) + "/.slipway/wait", 405, "", "method_not_allowed"},
		{"climbing out of the prefix", "GET", "http://" + base + "/instance/" + byPath.ID + "/a/..%2f../x", 400, "", "bad_request"},
		{"TRACE", "TRACE", "http://" + base + "/", 405, "", "method_not_allowed"},
		{"alias", "GET", "http://other." + base + "/a%2f?b", 302, urlOf(in) + "/a%2f?b", ""},
		{"alias, posted to", "POST", "http://other." + base + "/", 307, urlOf(in) + "/", ""},
		{"wrong mode", "GET", urlOf(byPath) + "/x", 307, "http://" + base + "/instance/" + byPath.ID + "/x", ""},
		{"a sleeper redirects", "GET", urlOf(suspended) + "/", 302, "http://prime." + base + "/", ""},
		{"root of the base domain", "GET", "http://" + base + "/", 302, "http://console." + base + "/", ""},
		{"no control plane here", "GET", "http://" + base + "/api/v1/apps", 503, "", "no_control_plane"},
		{"no console here", "GET", "http://console." + base + "/", 503, "", "no_control_plane"},
		{"too long a target", "GET", "http://" + base + "/" + strings.Repeat("x", 33<<10), 414, "", "request_line_too_long"},
		{"dead endpoint", "GET", urlOf(in) + "/", 502, "", "app_unreachable"},
		{"dead endpoint, posted to", "POST", urlOf(in) + "/", 502, "", "app_unreachable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := e.do(tc.method, tc.url, "Accept", "*/*")
			if resp.StatusCode != tc.status || resp.Header.Get("Location") != tc.location {
				t.Errorf("%d to %q, want %d to %q", resp.StatusCode, resp.Header.Get("Location"), tc.status, tc.location)
			}
			if got := resp.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
			if tc.status == http.StatusMethodNotAllowed && resp.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if tc.code == "" {
				return
			}
			var problem struct {
				Code   string
				Status int
			}
			if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil || problem.Code != tc.code || problem.Status != tc.status {
				t.Errorf("problem is %+v (%v), want code %s", problem, err, tc.code)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("Content-Type is %q", got)
			}
		})
	}
	e.wantNoErrors()
}

func TestTheStatusIsThatOfTheTableAndWakesNobody(t *testing.T) {
	e := startEdge(t, nil)
	running, byPath, asleep := instance(1, dead), instance(2, dead), instance(3, "")
	byPath.RoutingMode, asleep.Status = controlplane.BaseURL, controlplane.Suspended
	e.put(running, byPath, asleep)
	state := func(in *controlplane.Instance, url, message string) string {
		return `{"id":"` + in.ID + `","status":"` + string(in.Status) + `","url":"` + url + `","message":"` + message + `"}`
	}
	for _, tc := range []struct{ name, url, want string }{
		{"running", urlOf(running) + "/.slipway/status", state(running, urlOf(running)+"/", "The app is ready.")},
		{"by path", "http://" + base + "/instance/" + byPath.ID + "/.slipway/status?now",
			state(byPath, "http://"+base+"/instance/"+byPath.ID+"/", "The app is ready.")},
		{"asleep", urlOf(asleep) + "/.slipway/status", state(asleep, urlOf(asleep)+"/", "The app slept, and a visit wakes it.")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, head := e.do("GET", tc.url), e.do("HEAD", tc.url)
			if got := text(resp); resp.StatusCode != 200 || got != tc.want || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s, want %s", resp.StatusCode, got, tc.want)
			}
			if got := text(head); head.StatusCode != 200 || got != "" || head.ContentLength != int64(len(tc.want)) {
				t.Errorf("HEAD gives %d, %d bytes, %q", head.StatusCode, head.ContentLength, got)
			}
		})
	}
	if wakes, err := e.etcd.Get(t.Context(), e.prefix+"wake/", clientv3.WithPrefix()); err != nil || wakes.Count > 0 {
		t.Errorf("%d wakes, %v", wakes.Count, err)
	}
}

// outside finds what a page would load. Links are no loads.
var outside = regexp.MustCompile(`(?i)src=|<link|<script|<form|<iframe|@import|url\(`)

func TestPagesAreForBrowsersAndProblemsForOthers(t *testing.T) {
	e := startEdge(t, nil)
	for _, tc := range []struct {
		name   string
		header []string
		html   bool
	}{
		{"a browser", []string{"Accept", "text/html,*/*;q=0.8"}, true},
		{"a browser that navigates", []string{"Accept", "*/*", "Sec-Fetch-Mode", "navigate"}, true},
		{"a script of a page", []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, false},
		{"curl", []string{"Accept", "*/*"}, false},
		{"nothing said", nil, false},
		{"Firefox", []string{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, true},
		{"Chrome", []string{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"}, true},
		{"Safari", []string{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Mode", "navigate"}, true},
		{"HTML alone", []string{"Accept", "TEXT/HTML; charset=utf-8"}, true},
		{"HTML as well as anything", []string{"Accept", "*/*, text/html"}, true},
		{"HTML not at all", []string{"Accept", "text/html;q=0, */*"}, false},
		{"HTML less than anything", []string{"Accept", "text/html;q=0.5, */*"}, false},
		{"JSON rather than HTML", []string{"Accept", "application/json, text/html;q=0.9"}, false},
		{"HTML rather than JSON", []string{"Accept", "application/json;q=0.9, text/html, */*"}, true},
		{"HTML rather than problems, in two lines", []string{"Accept", "application/problem+json;q=0.1", "Accept", "text/html;q=0.2"}, true},
		{"HTML and JSON alike", []string{"Accept", "text/html, application/json"}, false},
		{"neither", []string{"Accept", "image/png"}, false},
		{"a weight that is none", []string{"Accept", "text/html;q=high, */*"}, false},
		{"a weight beyond 1", []string{"Accept", "text/html;q=2, */*"}, false},
		{"commas alone", []string{"Accept", ",;,"}, false},
		{"an image of a page", []string{"Accept", "text/html", "Sec-Fetch-Mode", "no-cors"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := e.do("GET", "http://nobody."+base+"/", tc.header...)
			body := text(resp)
			if html := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"); html != tc.html {
				t.Errorf("Content-Type is %q", resp.Header.Get("Content-Type"))
			}
			if tc.html && !strings.Contains(body, `<a href="http://console.`+base+`/">`) {
				t.Errorf("the page has no link to the console:\n%s", body)
			}
			if size := len(body); size > 2<<10 {
				t.Errorf("%d bytes", size)
			}
			policy := resp.Header.Get("Content-Security-Policy")
			if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
				t.Errorf("policy %q", policy)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(resp.Header.Get("Vary"), "Accept") {
				t.Errorf("header %v", resp.Header)
			}
			if outside.MatchString(body) {
				t.Errorf("the page loads something:\n%s", body)
			}
			head := e.do("HEAD", "http://nobody."+base+"/", tc.header...)
			if got := text(head); got != "" || head.StatusCode != 404 || head.ContentLength != int64(len(body)) {
				t.Errorf("HEAD gives %d, %d bytes said, body %q; GET has %d bytes", head.StatusCode, head.ContentLength, got, len(body))
			}
		})
	}
}

func TestRequestsAreRefusedBeforeTheTable(t *testing.T) {
	e := startEdge(t, nil)
	for _, tc := range []struct {
		name, request string
		status        int
	}{
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: nobody.example\r\n\r\n", 200},
		{"CONNECT", "CONNECT else.example:443 HTTP/1.1\r\nHost: else.example:443\r\n\r\n", 405},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"empty host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"bracketed address", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", 400},
		{"user in the host", "GET / HTTP/1.1\r\nHost: a@" + base + "\r\n\r\n", 400},
		{"invalid escape", "GET /%zz HTTP/1.1\r\nHost: " + base + "\r\n\r\n", 400},
		{"user in an absolute target", "GET http://a@" + base + "/ HTTP/1.1\r\nHost: " + base + "\r\n\r\n", 400},
		{"other scheme", "GET ftp://" + base + "/ HTTP/1.1\r\nHost: " + base + "\r\n\r\n", 400},
		{"space in a header's name", "GET / HTTP/1.1\r\nHost: " + base + "\r\nX-Slipway-User : root\r\n\r\n", 400},
		{"bare LF", "GET / HTTP/1.1\nHost: " + base + "\n\n", 400},
		{"length and coding", "POST / HTTP/1.1\r\nHost: " + base + "\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: " + base + "\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: " + base + "\r\n\r\n", 505},
		{"TRACE to a malformed host", "TRACE / HTTP/1.1\r\nHost: a/b\r\n\r\n", 405},
		{"request line of 100 KiB", "GET /" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: " + base + "\r\n\r\n", 414},
		{"huge header", "GET / HTTP/1.1\r\nHost: " + base + "\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n", 431},
		{"many headers", "GET / HTTP/1.1\r\nHost: " + base + "\r\n" + strings.Repeat("X-A: a\r\n", 201) + "\r\n", 431},
		{"large header", "GET /livez HTTP/1.1\r\nHost: " + base + "\r\nX-A: " + strings.Repeat("a", 60<<10) + "\r\n\r\n", 200},
		{"unknown host over HTTP/1.0", "GET / HTTP/1.0\r\nHost: nobody.example\r\n\r\n", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := e.raw(tc.request)
			if resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
			if got := resp.Header.Get("Cache-Control"); tc.status >= 400 && got != "no-store" {
				t.Errorf("Cache-Control is %q: not the edge's own answer", got)
			}
		})
	}
	e.wantNoErrors()
}

func TestHTTP10AnswersCloseTheConnection(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			t.Error("an HTTP/1.0 request was upgraded")
		}
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "hello")
	}))
	e.put(in)
	host := "Host: " + in.ID + "." + base + "\r\n"
	for name, request := range map[string]string{
		"plain":       "GET / HTTP/1.0\r\n" + host + "\r\n",
		"keep-alive":  "GET / HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n\r\n",
		"upgrade":     "GET / HTTP/1.0\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"of the edge": "GET / HTTP/1.0\r\nHost: nobody.example\r\nConnection: keep-alive\r\n\r\n",
		"OPTIONS *":   "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			resp := e.raw(request)
			if resp.StatusCode < 200 || !resp.Close {
				t.Errorf("%d, closes %v, Connection %q", resp.StatusCode, resp.Close, resp.Header["Connection"])
			}
			if got := text(resp); strings.HasPrefix(request, "GET") && name != "of the edge" && got != "hello" {
				t.Errorf("body %q", got)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	e := startEdge(t, nil)
	for _, path := range []string{"/livez", "/readyz"} {
		if resp := e.do("GET", "http://"+base+path); resp.StatusCode != http.StatusOK || text(resp) != "ok\n" {
			t.Errorf("%s gives %d", path, resp.StatusCode)
		}
	}
}

// A store that accepts connections and says nothing: the edge serves, and
// knows no routes.
func TestBeforeTheFirstTable(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	e := newEdge(t, settings{"etcd": settings{"endpoints": []string{"http://" + mute.Addr().String()}}})
	e.load()
	t.Cleanup(stopCaddy(t))
	for url, want := range map[string]int{
		"http://" + base + "/livez":        200,
		"http://" + base + "/readyz":       503,
		"http://nobody." + base + "/":      503,
		"http://" + base + "/":             302,
		"http://" + base + "/a/../%2e%2e/": 503,
	} {
		if resp := e.do("GET", url); resp.StatusCode != want {
			t.Errorf("%s gives %d, want %d", url, resp.StatusCode, want)
		} else if want == 503 && !strings.HasSuffix(url, "/readyz") && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s has no Retry-After", url)
		}
	}
	if resp := e.do("TRACE", "http://nobody."+base+"/"); resp.StatusCode != 405 {
		t.Errorf("TRACE gives %d", resp.StatusCode)
	}
}
