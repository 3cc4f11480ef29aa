package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// site is a slipway with the three kinds of apps of the main job.
type site struct {
	*slipway
	domain, base, manual *v1.Instance
	dead                 string // ID of an instance that was terminated
}

// newSite imports and runs a DOMAIN app, a BASE_URL app and a manual one that
// leads to a server of the test. No alias is primary yet.
func newSite(t *testing.T) *site {
	t.Helper()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "manual "+r.RequestURI)
	}))
	t.Cleanup(outside.Close)
	s := &site{slipway: up(t)}
	domainApp := s.importApp(app{Name: "domain"})
	s.domain, s.base = s.runApp(domainApp), s.run(app{Name: "base", Mode: "BASE_URL"})
	s.manual = s.run(app{Name: "manual", Runtime: "AppMode = \"manual\"\nAddress = \"" + outside.URL + "\""})
	s.dead = s.runApp(domainApp).ID
	s.alias("other-domain", s.domain.ID, false)
	s.alias("other-base", s.base.ID, false)
	s.alias("unassigned", "", false)
	s.alias("inactive", s.dead, false)
	s.must("instance", "terminate", s.dead, "--wait")
	return s
}

// row is one row of the tables below: a visit to host and target, the answer's
// status to a GET and where that redirects to. {D}, {B}, {M} and {X} stand for
// the IDs of the DOMAIN, BASE_URL, manual and terminated instances, in capitals
// where the letter is doubled.
type row struct {
	name, host, target string
	status             int
	location           string // host and target, as "host/target"
}

// withoutPrimary are the rows of routing.md §3 without a primary alias. A
// BASE_URL instance never serves but below its prefix.
var withoutPrimary = []row{
	{"a DOMAIN instance at its own host", "{D}", "/a/b?c=d", 200, ""},
	{"the path of an instance is a DOMAIN app's own", "{D}", "/instance/{D}/a", 200, ""},
	{"dot segments are a DOMAIN app's own", "{D}", "/a/../b", 200, ""},
	{"escaped dot segments are a DOMAIN app's own", "{D}", "/a/%2e%2E/b", 200, ""},
	{"the host in upper case", "{DD}", "/a", 200, ""},
	{"a host with a trailing dot", "{D}.localhost.", "/a?q", 307, "{D}/a?q"},
	{"the domain of a BASE_URL instance", "{B}", "/a/b?c=d", 307, "/instance/{B}/a/b?c=d"},
	{"the domain of a BASE_URL instance, root", "{B}", "/", 307, "/instance/{B}/"},
	{"the domain of a BASE_URL instance, with its prefix", "{B}", "/instance/{B}/a", 307, "/instance/{B}/a"},
	{"the domain of a BASE_URL instance, with its prefix in upper case", "{B}", "/instance/{BB}/a", 307, "/instance/{B}/a"},
	{"the domain of a BASE_URL instance, with its prefix alone", "{B}", "/instance/{B}?q", 307, "/instance/{B}/?q"},
	{"the path of a DOMAIN instance", "", "/instance/{D}/a;b?c", 307, "{D}/a;b?c"},
	{"the path of a DOMAIN instance, no slash", "", "/instance/{D}", 307, "{D}/"},
	{"the path of a DOMAIN instance, no slash but a query", "", "/instance/{D}?a=1", 307, "{D}/?a=1"},
	{"the path of a DOMAIN instance in upper case", "", "/instance/{DD}/a", 307, "{D}/a"},
	{"the path of a DOMAIN instance with dot segments", "", "/instance/{D}/a/../b", 307, "{D}/a/../b"},
	{"a BASE_URL instance at its path", "", "/instance/{B}/a?b", 200, ""},
	{"a BASE_URL instance, no slash", "", "/instance/{B}", 307, "/instance/{B}/"},
	{"a BASE_URL instance, no slash but a query", "", "/instance/{B}?a&b;c", 307, "/instance/{B}/?a&b;c"},
	{"a BASE_URL instance in upper case", "", "/instance/{BB}/a?b", 307, "/instance/{B}/a?b"},
	{"a BASE_URL instance with a trailing dot", "localhost.", "/instance/{B}/a", 307, "/instance/{B}/a"},
	{"a BASE_URL instance with a dot segment", "", "/instance/{B}/a/../b", 400, ""},
	{"a BASE_URL instance with an escaped dot segment", "", "/instance/{B}/%2e%2E/x", 400, ""},
	{"a BASE_URL instance with a dot segment behind an escaped slash", "", "/instance/{B}/a%2f..%2fb", 400, ""},
	{"the domain of a BASE_URL instance with a dot segment", "{B}", "/a/../b", 400, ""},
	{"an alias of a BASE_URL instance with a dot segment", "other-base", "/%2e./b", 400, ""},
	{"three dots are no dot segment", "", "/instance/{B}/.../x", 200, ""},
	{"an alias of a DOMAIN instance", "other-domain", "/a?b", 302, "{D}/a?b"},
	{"an alias of a DOMAIN instance in upper case", "OTHER-Domain", "/a", 302, "{D}/a"},
	{"an alias of a DOMAIN instance with a trailing dot", "other-domain.localhost.", "/a", 302, "{D}/a"},
	{"an alias of a DOMAIN instance with another's path", "other-domain", "/instance/{B}/a", 302, "{D}/instance/{B}/a"},
	{"an alias of a BASE_URL instance", "other-base", "/a?b", 302, "/instance/{B}/a?b"},
	{"an alias of a BASE_URL instance with its prefix", "other-base", "/instance/{B}/a", 302, "/instance/{B}/a"},
	{"an alias of a BASE_URL instance with another's path", "other-base", "/instance/{D}/a?b", 307, "{D}/a?b"},
	{"an alias of a BASE_URL instance with a path of nobody", "other-base", "/instance/{X}/a", 404, ""},
	{"a manual instance", "{M}", "/a/../b?c", 200, ""},
	{"the path of a manual instance", "", "/instance/{M}/a", 307, "{M}/a"},
	{"a rest that looks like a host", "", "/instance/{D}//evil.example/x", 307, "{D}//evil.example/x"},
	{"a rest that looks like a host, with a prefix", "{B}", "//evil.example/x", 307, "/instance/{B}//evil.example/x"},
	{"a rest that looks like a host, at an alias", "other-domain", "//evil.example", 302, "{D}//evil.example"},
	{"a rest with a backslash", "other-domain", `/\evil.example`, 302, `{D}/\evil.example`},
	{"a rest with an escaped line break", "other-domain", "/%0d%0aSet-Cookie:a=b", 302, "{D}/%0d%0aSet-Cookie:a=b"},
	{"a rest with an at sign", "other-domain", "/@evil.example", 302, "{D}/@evil.example"},
	{"/INSTANCE/ is not it", "", "/INSTANCE/{D}/a", 404, ""},
	{"//instance/ is not it", "", "//instance/{D}/a", 404, ""},
	{"/./instance/ is not it", "", "/./instance/{D}/a", 404, ""},
	{"/%69nstance/ is not it", "", "/%69nstance/{D}/a", 404, ""},
	{"/instance%2f is not it", "", "/instance%2f{D}/a", 404, ""},
	{"two labels", "a.{D}", "/", 404, ""},
	{"a foreign host", "evil.example", "/", 404, ""},
	{"a host that is none", "a_b.localhost", "/", 400, ""},
}

// withPrimary are the rows with a primary alias each, and one that is not.
var withPrimary = []row{
	{"the domain of a DOMAIN instance", "{D}", "/a?b", 302, "primary-domain/a?b"},
	{"the domain of a DOMAIN instance with a trailing dot", "{D}.localhost.", "/a", 302, "primary-domain/a"},
	{"the domain of a BASE_URL instance", "{B}", "/a?b", 307, "primary-base/instance/{B}/a?b"},
	{"the domain of a BASE_URL instance, with its prefix", "{B}", "/instance/{B}/a", 307, "primary-base/instance/{B}/a"},
	{"the path of a DOMAIN instance", "", "/instance/{D}/a?b", 307, "primary-domain/a?b"},
	{"the path of a DOMAIN instance, no slash", "", "/instance/{D}?b", 307, "primary-domain/?b"},
	{"the path of a BASE_URL instance", "", "/instance/{B}/a?b", 302, "primary-base/instance/{B}/a?b"},
	{"the path of a BASE_URL instance, no slash", "", "/instance/{B}?b", 302, "primary-base/instance/{B}/?b"},
	{"the path of a BASE_URL instance in upper case", "", "/instance/{BB}/a", 302, "primary-base/instance/{B}/a"},
	{"the primary alias of a DOMAIN instance", "primary-domain", "/a/../b?c", 200, ""},
	{"the primary alias of a DOMAIN instance in upper case", "PRIMARY-Domain", "/a", 200, ""},
	{"the primary alias of a DOMAIN instance with a trailing dot", "primary-domain.localhost.", "/a", 307, "primary-domain/a"},
	{"an instance's path at the primary alias of a DOMAIN instance", "primary-domain", "/instance/{D}/a", 200, ""},
	{"another's path at the primary alias of a DOMAIN instance", "primary-domain", "/instance/{B}/../a", 200, ""},
	{"the primary alias of a BASE_URL instance", "primary-base", "/instance/{B}/a?b", 200, ""},
	{"the primary alias of a BASE_URL instance, no slash", "primary-base", "/instance/{B}?a", 307, "primary-base/instance/{B}/?a"},
	{"the primary alias of a BASE_URL instance, ID in upper case", "primary-base", "/instance/{BB}/a", 307, "primary-base/instance/{B}/a"},
	{"the primary alias of a BASE_URL instance, trailing dot", "primary-base.localhost.", "/instance/{B}/a", 307, "primary-base/instance/{B}/a"},
	{"the primary alias of a BASE_URL instance, another path", "primary-base", "/a?b", 307, "primary-base/instance/{B}/a?b"},
	{"the primary alias of a BASE_URL instance, root", "primary-base", "/", 307, "primary-base/instance/{B}/"},
	{"the primary alias of a BASE_URL instance, another's path", "primary-base", "/instance/{D}/a", 307, "primary-domain/a"},
	{"the primary alias of a BASE_URL instance, a path of nobody", "primary-base", "/instance/{X}/a", 404, ""},
	{"the primary alias of a BASE_URL instance, dot segment", "primary-base", "/instance/{B}/../x", 400, ""},
	{"the primary alias of a BASE_URL instance, dot segment in another path", "primary-base", "/a/%2e%2e/x", 400, ""},
	{"another alias of a DOMAIN instance", "other-domain", "/a?b", 302, "primary-domain/a?b"},
	{"another alias of a BASE_URL instance", "other-base", "/a?b", 302, "primary-base/instance/{B}/a?b"},
	{"another alias of a BASE_URL instance, with its prefix", "other-base", "/instance/{B}/a?b", 302, "primary-base/instance/{B}/a?b"},
	{"another alias of a BASE_URL instance, another's path", "other-base", "/instance/{D}//evil.example", 307, "primary-domain//evil.example"},
}

// TestEveryRowOfTheRoutingTable is routing.md §1 to §3 over real sockets, for
// methods whose redirects differ.
func TestEveryRowOfTheRoutingTable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	t.Run("without a primary alias", func(t *testing.T) { s.check(t, withoutPrimary) })
	t.Run("what is not there is alike", s.checkNotFound)
	t.Run("a WebSocket is served at every name in the right mode", func(t *testing.T) {
		s.dialWebSocket(t, "ws://"+s.host(s.domain.ID)+"/ws")
		s.dialWebSocket(t, "ws://"+s.host("other-domain")+"/ws")
		s.dialWebSocket(t, "ws://"+s.host("other-base")+"/instance/"+s.base.ID+"/ws")
		upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
		a := s.send(t, request{host: s.host(""), target: "/instance/" + s.domain.ID + "/ws", header: upgrade})
		if a.status != 307 {
			t.Errorf("in the wrong mode: %d", a.status)
		}
	})
	s.alias("primary-domain", s.domain.ID, true)
	s.alias("primary-base", s.base.ID, true)
	eventually(t, "the primary aliases are routed", func() bool {
		return s.get(s.host("primary-domain"), "/").status == 200 && s.get(s.host("primary-base"), "/").status == 307
	})
	t.Run("with a primary alias", func(t *testing.T) { s.check(t, withPrimary) })
}

func (s *site) fill(text string) string {
	ids := map[string]string{"D": s.domain.ID, "B": s.base.ID, "M": s.manual.ID, "X": s.dead}
	for letter, id := range ids {
		text = strings.NewReplacer("{"+letter+"}", id, "{"+letter+letter+"}", strings.ToUpper(id)).Replace(text)
	}
	return text
}

func (s *site) check(t *testing.T, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			host := s.fill(r.host)
			if !strings.Contains(host, "localhost") && host != "evil.example" {
				host = s.host(host)
			}
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
				a := s.send(t, request{method: method, host: host, target: s.fill(r.target)})
				s.checkAnswer(t, r, method, a)
			}
		})
	}
}

func (s *site) checkAnswer(t *testing.T, r row, method string, a answer) {
	t.Helper()
	status, location := r.status, ""
	if r.location != "" {
		name, rest, _ := strings.Cut(s.fill(r.location), "/")
		location = s.origin(name) + "/" + rest
	}
	if status == 302 && method == http.MethodPost {
		status = 307 // so that it keeps its method and body
	}
	if a.status != status || a.location != location {
		t.Errorf("%s: %d %s\nwant %d %s", method, a.status, a.location, status, location)
	}
	if store := a.header.Get("Cache-Control"); status != 200 && store != "no-store" {
		t.Errorf("%s: Cache-Control is %q", method, store)
	}
	switch {
	case a.status != 200 || method == http.MethodHead:
	case r.host == "{M}":
		if want := "manual " + s.fill(r.target); string(a.body) != want {
			t.Errorf("%s: %q, want %q", method, a.body, want)
		}
	default:
		if got := a.echo(t); got.URI != s.fill(r.target) || got.Method != method {
			t.Errorf("%s reached the app as %s %s", method, got.Method, got.URI)
		}
	}
}

// checkNotFound compares the 404s: whoever asks must not learn which names
// there are.
func (s *site) checkNotFound(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		for _, accept := range []string{"*/*", "text/html"} {
			t.Run(fmt.Sprint(method, " ", accept), func(t *testing.T) {
				visit := func(host, target string) answer {
					a := s.send(t, request{method: method, host: s.host(host), target: target, header: []string{"Accept: " + accept}})
					delete(a.header, "Date")
					return a
				}
				first := visit("unknown", "/a")
				if first.status != 404 || first.header.Get("Cache-Control") != "no-store" || first.header.Get("Set-Cookie") != "" {
					t.Fatalf("unknown label: %d %v", first.status, first.header)
				}
				strangers := []string{"unassigned/a", "inactive/a", s.dead + "/a", "00000000-0000-4000-8000-000000000000/a",
					"/instance/" + s.dead + "/a", "/instance/00000000-0000-4000-8000-000000000000/a", "other-base/instance/" + s.dead + "/a"}
				for _, name := range strangers {
					host, target, _ := strings.Cut(name, "/")
					a := visit(host, "/"+target)
					if a.status != first.status || len(a.body) != len(first.body) {
						t.Errorf("%s: status %d and %d bytes, an unknown label: %d and %d", name, a.status, len(a.body), first.status, len(first.body))
					}
					if diff := cmp.Diff(first.header, a.header); diff != "" {
						t.Errorf("%s: headers differ from an unknown label's: %s", name, diff)
					}
				}
			})
		}
	}
}

// TestTheAppGetsTheRequestByteForByte is routing.md §5.
func TestTheAppGetsTheRequestByteForByte(t *testing.T) {
	t.Parallel()
	s := up(t)
	domain, base := s.run(app{Name: "domain"}), s.run(app{Name: "base", Mode: "BASE_URL"})
	targets := []struct{ host, target string }{
		{domain.ID, "/a%2f..%2fb;c/%2e%2e/d?x=%00;y"}, {domain.ID, "/?a;b=1&c"}, {domain.ID, "//a//b/./?"},
		{domain.ID, "/%C3%A4%ff?%41"}, {"", "/instance/" + base.ID + "/a%2fb;c?x=%00;y"}, {"", "/instance/" + base.ID + "/?a;b=1&c"},
	}
	for _, x := range targets {
		t.Run(x.target, func(t *testing.T) {
			if got := s.send(t, request{host: s.host(x.host), target: x.target}).echo(t); got.URI != x.target {
				t.Errorf("the app got %s", got.URI)
			}
		})
	}
	t.Run("the environment says where it is", func(t *testing.T) {
		e := s.get(s.host(""), "/instance/"+base.ID+"/").echo(t)
		if e.Env["H2O_WAVE_BASE_URL"] != "/instance/"+base.ID+"/" || e.Env["SLIPWAY_URL"] != base.URL || e.Env["H2O_CLOUD_ENVIRONMENT"] != s.origin("") {
			t.Errorf("%v", e.Env)
		}
		for name, want := range map[string]string{
			"H2O_CLOUD_INSTANCE_ID": base.ID, "H2O_CLOUD_APP_NAME": base.AppName, "H2O_CLOUD_APP_VERSION": base.AppVersion, "H2O_CLOUD_APP_ID": base.AppID,
		} {
			if got := e.Env[name]; got != want || want == "" {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		e = s.get(s.host(domain.ID), "/").echo(t)
		if base, set := e.Env["H2O_WAVE_BASE_URL"]; set || e.Env["SLIPWAY_URL"] != domain.URL {
			t.Errorf("base URL %q, %v", base, e.Env)
		}
	})
	t.Run("headers", func(t *testing.T) { checkHeaders(t, s, strings.ToUpper(domain.ID)+".LocalHost") })
}

func checkHeaders(t *testing.T, s *slipway, host string) {
	forged := []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https",
		"Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-Forwarded-Prefix: /evil",
		"Proxy: evil.example", "x-slipway-user: root", "X-Slipway-Roles: admin", "X_Slipway_User: root", "X.Slipway.User: root",
		"Accept-Encoding: br;q=1.0, gzip;q=0.1", "Cookie: a=b", "Authorization: Basic Zm9vOmJhcg==", "X-Own: kept", "Keep-Alive: 5"}
	e := s.send(t, request{host: host, target: "/", header: forged}).echo(t)
	if e.Host != host {
		t.Errorf("Host arrived as %q", e.Host)
	}
	want := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {host}, "X-Forwarded-Proto": {"http"},
		"Accept-Encoding": {"br;q=1.0, gzip;q=0.1"}, "Cookie": {"a=b"}, "Authorization": {"Basic Zm9vOmJhcg=="}, "X-Own": {"kept"}}
	// net/http shows no Host among the headers, and adds none of its own.
	allowed := []string{"User-Agent", "Connection"}
	for name := range e.Header {
		if slices.Contains(allowed, name) {
			delete(e.Header, name)
		}
	}
	if diff := cmp.Diff(want, e.Header); diff != "" {
		t.Errorf("headers that the app got (-want +got):\n%s", diff)
	}
	if e := s.send(t, request{host: host, target: "/"}).echo(t); e.Header.Get("Accept-Encoding") != "" || e.Header.Get("Via") != "" {
		t.Errorf("headers nobody sent: %v", e.Header)
	}
}
