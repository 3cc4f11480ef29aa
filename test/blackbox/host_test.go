package blackbox

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// Who answers, beside instances by their letters.
const (
	itself  = ""        // the edge: a redirect or a refusal
	control = "control" // the control plane, or 503 where there is none
	console = "console"
)

// label is as many letters as a label may have, and one more.
var label = strings.Repeat("a", 63)

// hosts are the rows of §1's table, and its grammar.
var hosts = []struct {
	name, host, target string
	status             int
	by, to             string
}{
	// The table.
	{"base domain, an instance, /", "{base}", "/instance/{B}/", 200, "B", ""},
	{"base domain, an instance, /…", "{base}", "/instance/{B}/a", 200, "B", ""},
	{"base domain, an instance, ?", "{base}", "/instance/{B}?a", 307, itself, "{base}/instance/{B}/?a"},
	{"base domain, an instance, the end", "{base}", "/instance/{B}", 307, itself, "{base}/instance/{B}/"},
	{"base domain, an unknown instance", "{base}", "/instance/{N}/", 404, itself, ""},
	{"base domain, a terminated instance", "{base}", "/instance/{X}/", 404, itself, ""},
	{"base domain, /api/", "{base}", "/api/openapi.json", 200, control, ""},
	{"base domain, /livez", "{base}", "/livez", 200, itself, ""},
	{"base domain, /readyz", "{base}", "/readyz", 200, itself, ""},
	{"base domain, /", "{base}", "/", 302, itself, "console.{base}/"},
	{"base domain, another path", "{base}", "/other", 404, itself, ""},
	{"base domain, /apix", "{base}", "/apix", 404, itself, ""},
	{"base domain, /api", "{base}", "/api", 404, itself, ""},
	{"base domain, /livez/", "{base}", "/livez/", 404, itself, ""},
	{"base domain, /%6civez", "{base}", "/%6civez", 404, itself, ""},
	{"base domain, /API/", "{base}", "/API/openapi.json", 404, itself, ""},
	{"base domain, //api/", "{base}", "//api/openapi.json", 404, itself, ""},
	{"base domain, /./api/", "{base}", "/./api/openapi.json", 404, itself, ""},
	{"console host", "console.{base}", "/", 200, console, ""},
	{"a live instance's ID", "{D}.{base}", "/a", 200, "D", ""},
	{"an alias", "p-main.{base}", "/a", 200, "P", ""},
	{"a custom domain", "custom.example", "/a", 200, "C", ""},
	{"an unknown ID", "{N}.{base}", "/", 404, itself, ""},
	{"a terminated instance's ID", "{X}.{base}", "/", 404, itself, ""},
	{"one other label", "nobody.{base}", "/", 404, itself, ""},
	{"more labels below the base domain", "a.{D}.{base}", "/", 404, itself, ""},
	{"more labels, the last one an alias", "www.p-main.{base}", "/", 404, itself, ""},
	{"below the console", "a.console.{base}", "/", 404, itself, ""},
	{"below a custom domain", "www.custom.example", "/", 404, itself, ""},
	{"above a custom domain", "example", "/", 404, itself, ""},
	{"anything else", "evil.example", "/", 404, itself, ""},
	{"the base domain as a suffix without a dot", "evil{base}", "/", 404, itself, ""},
	{"the base domain with a label behind it", "{base}.evil.example", "/", 404, itself, ""},
	{"an alias without the base domain", "p-main", "/", 404, itself, ""},
	{"an ID without the base domain", "{D}", "/", 404, itself, ""},
	// The ID.
	{"an ID in capitals in the path", "{base}", "/instance/{BB}/a", 307, itself, "{base}/instance/{B}/a"},
	{"an ID in capitals as a label", "{DD}.{base}", "/a", 200, "D", ""},
	{"an ID of 35 characters", "{base}", "/instance/0000000-0000-4000-8000-00000000abcd/", 404, itself, ""},
	{"an ID without hyphens", "{base}", "/instance/00000000000040008000000000000000/", 404, itself, ""},
	{"an ID in braces", "{base}", "/instance/%7B{B}%7D/", 404, itself, ""},
	{"an ID with more behind it", "{base}", "/instance/{B}x/", 404, itself, ""},
	{"an ID with an escape behind it", "{base}", "/instance/{B}%2f", 404, itself, ""},
	{"an ID with a semicolon behind it", "{base}", "/instance/{B};a", 404, itself, ""},
	// Matched on the raw path.
	{"/INSTANCE/", "{base}", "/INSTANCE/{B}/", 404, itself, ""},
	{"//instance/", "{base}", "//instance/{B}/", 404, itself, ""},
	{"/./instance/", "{base}", "/./instance/{B}/", 404, itself, ""},
	{"/a/../instance/", "{base}", "/a/../instance/{B}/", 404, itself, ""},
	{"/%69nstance/", "{base}", "/%69nstance/{B}/", 404, itself, ""},
	{"/instance%2f", "{base}", "/instance%2f{B}/", 404, itself, ""},
	{"/instance//", "{base}", "/instance//{B}/", 404, itself, ""},
	{"/instance/./", "{base}", "/instance/./{B}/", 404, itself, ""},
	{"/instance alone", "{base}", "/instance", 404, itself, ""},
	{"/instance/ alone", "{base}", "/instance/", 404, itself, ""},
	{"/%69nstance/ of a primary alias is another path", "q-main.{base}", "/%69nstance/{Q}/", 307, itself, "q-main.{base}/instance/{Q}/%69nstance/{Q}/"},
	{"/INSTANCE/ of a primary alias is another path", "q-main.{base}", "/INSTANCE/{Q}/", 307, itself, "q-main.{base}/instance/{Q}/INSTANCE/{Q}/"},
	{"//instance/ of a primary alias is another path", "q-main.{base}", "//instance/{Q}/", 307, itself, "q-main.{base}/instance/{Q}//instance/{Q}/"},
	// The grammar of hosts.
	{"capitals", "P-MAIN.{base}", "/a", 200, "P", ""},
	{"a trailing dot", "{D}.{base}.", "/a", 307, itself, "{D}.{base}/a"},
	{"a trailing dot of the base domain", "{base}.", "/livez", 200, itself, ""},
	{"a trailing dot and a port", "p-main.{base}.:80", "/a", 307, itself, "p-main.{base}/a"},
	{"two trailing dots", "{D}.{base}..", "/", 400, itself, ""},
	{"a dot alone", ".", "/", 400, itself, ""},
	{"a leading dot", ".{base}", "/", 400, itself, ""},
	{"an empty label", "a..{base}", "/", 400, itself, ""},
	{"port 1", "{D}.{base}:1", "/a", 200, "D", ""},
	{"port 65535", "{D}.{base}:65535", "/a", 200, "D", ""},
	{"another port than ours never enters Location", "d-alias.{base}:1234", "/a", 302, itself, "{D}.{base}/a"},
	{"an empty port", "{D}.{base}:", "/a", 200, "D", ""},
	{"port 0", "{D}.{base}:0", "/", 400, itself, ""},
	{"port 65536", "{D}.{base}:65536", "/", 400, itself, ""},
	{"a port of many digits", "{D}.{base}:99999999999999999999", "/", 400, itself, ""},
	{"a port with letters", "{D}.{base}:8x", "/", 400, itself, ""},
	{"a signed port", "{D}.{base}:+80", "/", 400, itself, ""},
	{"two ports", "{D}.{base}:80:80", "/", 400, itself, ""},
	{"a port alone", ":80", "/", 400, itself, ""},
	{"a label of 63", label + ".{base}", "/", 404, itself, ""},
	{"a label of 64", label + "a.{base}", "/", 400, itself, ""},
	{"253 in all", strings.Repeat(label+".", 3) + label[:61], "/", 404, itself, ""},
	{"254 in all", strings.Repeat(label+".", 3) + label[:62], "/", 400, itself, ""},
	{"an underscore", "a_b.{base}", "/", 400, itself, ""},
	{"an asterisk", "*.{base}", "/", 400, itself, ""},
	{"a comma", "{D}.{base},evil.example", "/", 400, itself, ""},
	{"an escape", "%44.{base}", "/", 400, itself, ""},
	{"bytes above ASCII", "b\xc3\xbccher.{base}", "/", 400, itself, ""},
	{"a hyphen at either end", "-a-.{base}", "/", 404, itself, ""},
	{"an IPv4 address", "127.0.0.1", "/", 404, itself, ""},
	{"an IPv4 address with a port", "127.0.0.1:8080", "/", 404, itself, ""},
	{"a bracketed IPv6 address", "[::1]", "/", 400, itself, ""},
	{"a bracketed IPv6 address with a port", "[::1]:8080", "/", 400, itself, ""},
	{"an IPv6 address", "::1", "/", 400, itself, ""},
	{"brackets around a name", "[{D}.{base}]", "/", 400, itself, ""},
	{"userinfo", "user@{D}.{base}", "/", 400, itself, ""},
	{"userinfo with a password", "user:pass@{D}.{base}", "/", 400, itself, ""},
	{"a path", "{D}.{base}/", "/", 400, itself, ""},
	{"a backslash", "{D}.{base}\\", "/", 400, itself, ""},
	{"a space", "{D}.{base} evil.example", "/", 400, itself, ""},
	{"a question mark", "{D}.{base}?", "/", 400, itself, ""},
	{"a number sign", "{D}.{base}#", "/", 400, itself, ""},
	{"a scheme", "http://{D}.{base}", "/", 400, itself, ""},
	{"spaces around it", "  {D}.{base}\t ", "/a", 200, "D", ""},
}

func TestHosts(t *testing.T) {
	w := setUp(t)
	for _, x := range hosts {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			a, kept := e.talk(t, request("GET", x.host, x.target))
			if !kept && x.status != http.StatusBadRequest {
				t.Error("the connection was closed")
			}
			e.wantAnswer(t, a, wanted{x.status, x.by, x.to, x.target})
		})
	}
}

// wanted is who is to answer what: an instance the target that it was asked
// for, the edge a status.
type wanted struct {
	status         int
	by, to, target string
}

func (e *edge) wantAnswer(t *testing.T, a answer, want wanted) {
	t.Helper()
	status, to := want.status, want.to
	switch want.by {
	case control, console:
		if e.strict {
			status = http.StatusServiceUnavailable // no control plane is live for it
		} else if want.by == console && !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("the console is %s", a.header.Get("Content-Type"))
		}
	case itself:
	default:
		e.wantServed(t, a, want.by, want.target)
		return
	}
	wantStatus(t, a, status)
	if to != "" {
		to = e.url(to)
	}
	if a.location != to {
		t.Errorf("leads to %q, want %q", a.location, to)
	}
}

// hostFields are heads whose Host is not once there, and targets that bring a
// host of their own.
var hostFields = []struct {
	name, head string
	status     int
	by, target string
}{
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, itself, ""},
	{"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, itself, ""},
	{"no Host over HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 400, itself, ""},
	{"an empty Host over HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", 400, itself, ""},
	{"two Hosts", "GET / HTTP/1.1\r\nHost: {D}.{base}\r\nHost: evil.example\r\n\r\n", 400, itself, ""},
	{"the same Host twice", "GET / HTTP/1.1\r\nHost: {D}.{base}\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"two Hosts in two spellings", "GET / HTTP/1.1\r\nHost: {D}.{base}\r\nHOST: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"two Hosts beside an absolute target", "GET http://{D}.{base}/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, itself, ""},
	{"an absolute target", "GET http://{D}.{base}/a?b HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "/a?b"},
	{"an absolute target counts, not Host", "GET http://{D}.{base}/a HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200, "D", "/a"},
	{"an absolute target elsewhere counts, not Host", "GET http://evil.example/a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 404, itself, ""},
	{"an absolute target with https", "GET https://{D}.{base}/a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "/a"},
	{"an absolute target with capitals", "GET HTTP://{DD}.{base}/a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "/a"},
	{"an absolute target with a port", "GET http://{D}.{base}:99/a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "/a"},
	{"an absolute target without a path", "GET http://{D}.{base} HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "/"},
	{"an absolute target with a query alone", "GET http://{D}.{base}?a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "/?a"},
	{"an absolute target, rest byte for byte", "GET http://{D}.{base}//a/%2e%2e?x=%00 HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "D", "//a/%2e%2e?x=%00"},
	{"an absolute target of an instance by path", "GET http://{base}/instance/{B}/a HTTP/1.1\r\nHost: a\r\n\r\n", 200, "B", "/instance/{B}/a"},
	{"an absolute target with userinfo", "GET http://user@{D}.{base}/ HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"an absolute target with an IPv6 address", "GET http://[::1]/ HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"an absolute target without a host", "GET http:///a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"an absolute target of another scheme", "GET ftp://{D}.{base}/ HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"an absolute target with a malformed Host beside it", "GET http://{D}.{base}/a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, itself, ""},
	{"a target that is no path", "GET a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"an authority as target", "GET {D}.{base}:80 HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
	{"an asterisk to GET", "GET * HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, itself, ""},
}

func TestHostIsOneAndFirst(t *testing.T) {
	w := setUp(t)
	for _, x := range hostFields {
		t.Run(x.name, func(t *testing.T) {
			a, _ := w.up.talk(t, x.head)
			w.up.wantAnswer(t, a, wanted{x.status, x.by, "", x.target})
		})
	}
}

// own are Slipway's own paths on instances' hosts.
var own = []struct {
	name, host, target string
	status             int
	by, to             string
}{
	{"status of a domain host", "{D}.{base}", "/.slipway/status", 200, itself, ""},
	{"status of an alias host", "p-main.{base}", "/.slipway/status", 200, itself, ""},
	{"status of a custom domain", "custom.example", "/.slipway/status", 200, itself, ""},
	{"status under a prefix", "{base}", "/instance/{B}/.slipway/status", 200, itself, ""},
	{"status under a prefix of an alias", "q-main.{base}", "/instance/{Q}/.slipway/status", 200, itself, ""},
	{"status with a query", "{D}.{base}", "/.slipway/status?a", 200, itself, ""},
	{"wait", "{D}.{base}", "/.slipway/wait", 200, itself, ""},
	{"ticket", "{D}.{base}", "/.slipway/ticket", 401, itself, ""},
	{"another name", "{D}.{base}", "/.slipway/other", 404, itself, ""},
	{"none", "{D}.{base}", "/.slipway/", 404, itself, ""},
	{"wait under a prefix", "{base}", "/instance/{B}/.slipway/wait", 200, itself, ""},
	{"status and a slash", "{D}.{base}", "/.slipway/status/", 404, itself, ""},
	{"at another name it redirects as any path", "d-alias.{base}", "/.slipway/status", 302, itself, "{D}.{base}/.slipway/status"},
	{"in the wrong mode too", "{base}", "/instance/{D}/.slipway/status", 307, itself, "{D}.{base}/.slipway/status"},
	{"without its slash it is the app's", "{D}.{base}", "/.slipway", 200, "D", ""},
	{"with more behind it, too", "{D}.{base}", "/.slipwayx/status", 200, "D", ""},
	{"matched raw: an escape", "{D}.{base}", "/%2eslipway/status", 200, "D", ""},
	{"matched raw: capitals", "{D}.{base}", "/.SLIPWAY/status", 200, "D", ""},
	{"matched raw: two slashes", "{D}.{base}", "//.slipway/status", 200, "D", ""},
	{"matched raw: a dot segment", "{D}.{base}", "/./.slipway/status", 200, "D", ""},
	{"matched raw: an escaped slash", "{D}.{base}", "/.slipway%2fstatus", 200, "D", ""},
	{"below the app's paths", "{D}.{base}", "/a/.slipway/status", 200, "D", ""},
	{"without the prefix of another's mode", "{D}.{base}", "/instance/{D}/.slipway/status", 200, "D", ""},
	{"on the base domain", "{base}", "/.slipway/status", 404, itself, ""},
	{"of an unknown name", "nobody.{base}", "/.slipway/status", 404, itself, ""},
	{"of a terminated instance", "{X}.{base}", "/.slipway/status", 404, itself, ""},
}

func TestOwnPaths(t *testing.T) {
	w := setUp(t)
	for _, x := range own {
		t.Run(x.name, func(t *testing.T) {
			a, _ := w.up.talk(t, request("GET", x.host, x.target))
			w.up.wantAnswer(t, a, wanted{x.status, x.by, x.to, x.target})
		})
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		t.Run(method+" of status", func(t *testing.T) {
			a, _ := w.up.talk(t, withBody(method, "{D}.{base}", "/.slipway/status", "body"))
			wantStatus(t, a, 405)
			if got := a.header.Get("Allow"); got != "GET, HEAD" {
				t.Errorf("it allows %s", got)
			}
		})
	}
}

// certificates are hosts and the names of the handshake that they come with:
// the certificates are for *.apps.test and apps.test, and for custom.example.
var certificates = []struct {
	name, server, raw string
	status            int
}{
	{"the handshake's name", "{D}.{base}", request("GET", "{D}.{base}", "/"), 200},
	{"another name of the certificate", "{D}.{base}", request("GET", "p-main.{base}", "/"), 200},
	{"the base domain, by its certificate", "{D}.{base}", request("GET", "{base}", "/instance/{B}/"), 200},
	{"a custom domain, by its certificate", "custom.example", request("GET", "custom.example", "/"), 200},
	{"no name in the handshake", "", request("GET", "{D}.{base}", "/"), 200},
	{"a custom domain, by another certificate", "{D}.{base}", request("GET", "custom.example", "/"), 421},
	{"an instance, by another certificate", "custom.example", request("GET", "{D}.{base}", "/"), 421},
	{"the base domain, by another certificate", "custom.example", request("GET", "{base}", "/"), 421},
	{"the console, by another certificate", "custom.example", request("GET", "console.{base}", "/"), 421},
	{"a redirect, by another certificate", "custom.example", request("GET", "d-alias.{base}", "/"), 421},
	{"before 404: an unknown name", "custom.example", request("GET", "nobody.{base}", "/"), 421},
	{"before 404: two labels", "{D}.{base}", request("GET", "a.b.{base}", "/"), 421},
	{"an unknown name of the certificate", "{D}.{base}", request("GET", "nobody.{base}", "/"), 404},
	{"behind 400", "custom.example", request("GET", "a_b.{base}", "/"), 400},
	{"behind 405", "custom.example", request("TRACE", "{D}.{base}", "/"), 405},
}

func TestMisdirected(t *testing.T) {
	w := setUp(t)
	for _, x := range certificates {
		t.Run(x.name, func(t *testing.T) {
			wantStatus(t, w.strict.talkTLS(t, x.server, x.raw), x.status)
		})
	}
}

func TestHealthListener(t *testing.T) {
	w := setUp(t)
	for _, host := range []string{"a.example", "{base}", "127.0.0.1", "[::1]:80"} {
		for target, status := range map[string]int{"/livez": 200, "/readyz": 200, "/": 404, "/instance/{B}/": 404} {
			t.Run(host+target, func(t *testing.T) {
				conn, err := net.Dial("tcp", w.health)
				if err != nil {
					t.Fatal(err)
				}
				answers, err := converse(conn, w.strict.fill(request("GET", host, target)), "")
				if err != nil || answers[0].status != status {
					t.Errorf("%v, %v, want %d", answers, err, status)
				}
			})
		}
	}
}

// An edge without a control plane answers for it, and knows of none that lives.
func TestWithoutAControlPlane(t *testing.T) {
	w := setUp(t)
	for name, raw := range map[string]string{
		"the API":           request("GET", "{base}", "/api/v1/apps"),
		"a change":          withBody("POST", "{base}", "/api/v1/aliases", "{}"),
		"AppAPI's callback": request("GET", "{base}", "/ocs/v2.php"),
		"the console":       request("GET", "console.{base}", "/anything"),
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := w.strict.talk(t, raw)
			wantStatus(t, a, 503)
		})
	}
}
