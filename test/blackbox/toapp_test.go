package blackbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// targets reach the app as they are; no status is 200.
var targets = []struct {
	target string
	status int
}{
	{"/a%2f..%2fb;c/%2e%2e/d?x=%00;y", 0},
	{"/?a;b=1&c", 0},
	{"/", 0},
	{"/?", 0},
	{"//a//b/./c/.?", 0},
	{"/a/../../b/%2e%2E/..", 0},
	{"/instance/{Q}/a", 0},
	{"/%C3%A4%ff%00%0a%0d?%41%2B+%20", 0},
	{"/a+b?a+b", 0},
	{"/A%2Fb%2fC%5c%7E~", 0},
	{"/a:b@c,d;e=f!$&'()*+", 0},
	{"/?q=/../?//", 0},
	{"/\"<>^`{|}\\", 0},
	{"/{http.request.host}?{env.HOME}", 0},
	{"/" + long(30<<10), 0},
	{"/%zz", 400},
	{"/%", 400},
	{"/%a", 400},
	{"/a?%zz", 400},
	{"/a?%", 400},
	{"/a#b", 400},
	{"/a?b#c", 400},
	{"/\x00", 400},
	{"/\x1f", 400},
	{"/\x7f", 400},
	{"/a\tb", 400},
	{"/a b", 400},
}

func TestTargetsArriveAsTheyAre(t *testing.T) {
	w := setUp(t)
	for _, x := range targets {
		name := x.target[:min(40, len(x.target))]
		for letter, host := range map[string]string{"D": "{D}.{base}", "B": "{base}"} {
			w.both(t, name+" "+letter, func(t *testing.T, e *edge) {
				target := x.target
				if letter == "B" {
					target = "/instance/{B}" + target
				}
				path, _, _ := strings.Cut(target, "?")
				climbs := letter == "B" && (strings.Contains(path, "..") || strings.Contains(path, "%2e%2e"))
				a, kept := e.talk(t, request("POST", host, target, "Content-Length: 0"))
				switch {
				case x.status > 0 || climbs:
					wantStatus(t, a, 400)
				default:
					e.wantServed(t, a, letter, target)
					if !kept {
						t.Error("the connection was closed")
					}
				}
			})
		}
	}
}

// What a URI may not hold may arrive percent-encoded; nothing else changes.
func TestBytesAboveASCIIMayArriveEncoded(t *testing.T) {
	w := setUp(t)
	a, _ := w.up.talk(t, request("GET", "{D}.{base}", "/\xc3\xa4%2f\xff?\x80&%80"))
	if got := a.echo(t).URI; got != "/%C3%A4%2f%FF?%80&%80" && got != "/\xc3\xa4%2f\xff?\x80&%80" {
		t.Errorf("the app got %q", got)
	}
}

// fields are what a client sends, and what the app reads beside Host and ours.
var fields = []struct {
	name       string
	sent, read []string
}{
	{"nothing", nil, nil},
	{"its own", []string{"X-Own: kept", "User-Agent: me", "Accept: */*", "Referer: http://evil.example/"},
		[]string{"X-Own: kept", "User-Agent: me", "Accept: */*", "Referer: http://evil.example/"}},
	{"one twice", []string{"X-Own: 1", "X-Own: 2", "X-Own:"}, []string{"X-Own: 1", "X-Own: 2", "X-Own: "}},
	{"Accept-Encoding", []string{"Accept-Encoding: br;q=1.0, gzip;q=0.1"}, []string{"Accept-Encoding: br;q=1.0, gzip;q=0.1"}},
	{"bytes above ASCII", []string{"X-Own: \xc3\xa4\xff"}, []string{"X-Own: \xc3\xa4\xff"}},
	{"placeholders of Caddy", []string{"X-Own: {http.request.host}"}, []string{"X-Own: {http.request.host}"}},
	{"ranges and conditions", []string{"Range: bytes=0-1", "If-None-Match: \"a\""}, []string{"Range: bytes=0-1", "If-None-Match: \"a\""}},
	// Hop by hop.
	{"Keep-Alive", []string{"Keep-Alive: timeout=5", "Connection: keep-alive"}, nil},
	{"Proxy-Connection", []string{"Proxy-Connection: keep-alive"}, nil},
	{"Proxy-Authorization", []string{"Proxy-Authorization: Basic Zm9vOmJhcg=="}, nil},
	{"Proxy-Authenticate", []string{"Proxy-Authenticate: Basic"}, nil},
	{"TE", []string{"TE: gzip"}, nil},
	{"TE: trailers", []string{"TE: gzip, trailers"}, []string{"Te: trailers"}},
	{"Trailer without chunks", []string{"Trailer: X-End"}, nil},
	{"Via", []string{"Via: 1.1 somebody"}, nil},
	{"what Connection names", []string{"Connection: X-Hop, x-other", "X-Hop: 1", "X-Other: 2", "X-Own: 3"}, []string{"X-Own: 3"}},
	{"what two Connections name", []string{"Connection: X-Hop", "connection: X-Other", "X-Hop: 1", "X-Other: 2"}, nil},
	{"Connection that names ours", []string{"Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Host, X-Slipway-User"}, nil},
	// Upgrades.
	{"Upgrade to h2c", []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"}, nil},
	{"Upgrade to TLS", []string{"Connection: Upgrade", "Upgrade: TLS/1.0"}, nil},
	{"Upgrade to a list", []string{"Connection: Upgrade", "Upgrade: websocket, h2c"}, nil},
	{"Upgrade without Connection", []string{"Upgrade: websocket"}, nil},
	{"Connection without Upgrade", []string{"Connection: Upgrade"}, nil},
	// Names that look like others.
	{"underscores", []string{"X_Own: 1", "X-Forwarded_For: 1", "Content_Length: 5", "_: 1"}, nil},
	{"dots", []string{"X.Own: 1", "X.Forwarded.For: 1"}, nil},
	// Where it came from.
	{"X-Forwarded-Prefix", []string{"X-Forwarded-Prefix: /evil"}, nil},
	{"Forwarded", []string{"Forwarded: for=6.6.6.6;host=evil.example;proto=https"}, nil},
	{"X-Real-IP", []string{"X-Real-IP: 6.6.6.6"}, nil},
	{"X-Original-URL", []string{"X-Original-URL: /admin"}, nil},
	{"X-Rewrite-URL", []string{"X-Rewrite-URL: /admin"}, nil},
	{"Proxy", []string{"Proxy: http://evil.example"}, nil},
	{"a forged refusal", []string{"Slipway-Refused: x 414 request_line_too_long"}, []string{"Slipway-Refused: x 414 request_line_too_long"}},
	// Who it is.
	{"identity", []string{"X-Slipway-User: root", "X-Slipway-Email: root@evil.example", "X-Slipway-Roles: admin", "X-Slipway-Instance: {D}"}, nil},
	{"identity in small letters", []string{"x-slipway-user: root", "x-slipway-roles: admin"}, nil},
	{"identity in capitals", []string{"X-SLIPWAY-USER: root", "X-SLIPWAY-EMAIL: a@b"}, nil},
	{"identity twice", []string{"X-Slipway-User: root", "X-Slipway-User: root"}, nil},
	{"identity with underscores", []string{"X_Slipway_User: root", "X-Slipway_Roles: admin", "x_slipway_email: a@b"}, nil},
	{"identity with dots", []string{"X.Slipway.User: root"}, nil},
	{"identity that Connection names", []string{"Connection: X-Slipway-User", "X-Slipway-User: root"}, nil},
	// Cookies and tokens.
	{"its own cookies", []string{"Cookie: a=b; c=d"}, []string{"Cookie: a=b; c=d"}},
	{"its own cookies, oddly spelled", []string{"Cookie: a=b;c=d ;; e"}, []string{"Cookie: a=b;c=d ;; e"}},
	{"our cookie", []string{"Cookie: slipway-session=x"}, nil},
	{"our cookie with a prefix", []string{"Cookie: __Host-slipway-i-{D}=x"}, nil},
	{"our cookie between others", []string{"Cookie: a=b; __Host-slipway-i-{D}=x; c=d"}, []string{"Cookie: a=b; c=d"}},
	{"our cookies in other cases", []string{"Cookie: SLIPWAY-session=x; __host-Slipway-i=y; c=d"}, []string{"Cookie: c=d"}},
	{"our cookies without spaces", []string{"Cookie: slipway-a=1;slipway-b=2;c=d"}, []string{"Cookie: c=d"}},
	{"our cookie twice", []string{"Cookie: slipway-a=1; slipway-a=2"}, nil},
	{"our cookie behind a tab", []string{"Cookie: a=b;\tslipway-a=1"}, []string{"Cookie: a=b"}},
	{"our cookies in two fields", []string{"Cookie: slipway-a=1; b=c", "Cookie: __Host-slipway-c=d"}, []string{"Cookie: b=c"}},
	{"a cookie that only contains our name", []string{"Cookie: my-slipway-a=1"}, []string{"Cookie: my-slipway-a=1"}},
	{"its own password", []string{"Authorization: Basic Zm9vOmJhcg=="}, []string{"Authorization: Basic Zm9vOmJhcg=="}},
	{"its own bearer", []string{"Authorization: Bearer xyz_slw_"}, []string{"Authorization: Bearer xyz_slw_"}},
	{"our token", []string{"Authorization: Bearer slw_abc"}, nil},
	{"our token, scheme in small letters", []string{"Authorization: bearer slw_abc"}, nil},
	{"our token behind many spaces", []string{"Authorization: Bearer    slw_abc"}, nil},
	{"our token behind a tab", []string{"Authorization: Bearer\tslw_abc"}, nil},
	{"our token with another scheme", []string{"Authorization: Token slw_abc"}, nil},
	{"our token without a scheme", []string{"Authorization: slw_abc"}, nil},
	{"our token beside its own", []string{"Authorization: Bearer slw_abc", "Authorization: Basic Zm9vOmJhcg=="}, []string{"Authorization: Basic Zm9vOmJhcg=="}},
}

func TestFieldsOfTheApp(t *testing.T) {
	w := setUp(t)
	for _, x := range fields {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			a, kept := e.talk(t, request("GET", "{DD}.{base}:81", "/a", x.sent...))
			if !kept {
				t.Error("the connection was closed")
			}
			host := e.fill("{DD}.{base}:81")
			want := []string{"Host: " + host, "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: " + host, "X-Forwarded-Proto: http"}
			for _, line := range x.read {
				want = append(want, e.fill(line))
			}
			got := linesOf(e.wantServed(t, a, "D", "/a").Raw)
			slices.Sort(want)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("the app read %q\nwant %q", got, want)
			}
		})
	}
}

// linesOf are the fields in the bytes of a request.
func linesOf(raw []byte) []string {
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	return strings.Split(string(head), "\r\n")[1:]
}

// forwarded are X-Forwarded-* of a client, at an edge that trusts nobody and at
// one that trusts this address.
var forwarded = []struct {
	name, field, sent, trusted string
}{
	{"an address", "X-Forwarded-For", "6.6.6.6", "6.6.6.6, 127.0.0.1"},
	{"a list of addresses", "x-forwarded-for", "1.1.1.1, 6.6.6.6", "1.1.1.1, 6.6.6.6, 127.0.0.1"},
	{"a host", "X-Forwarded-Host", "evil.example", "evil.example"},
	{"a protocol", "X-Forwarded-Proto", "https", "https"},
}

func TestForwardedIsOurs(t *testing.T) {
	w := setUp(t)
	ours := map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"}
	for _, x := range forwarded {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			a, _ := e.talk(t, request("GET", "{D}.{base}", "/", x.field+": "+x.sent))
			name := http.CanonicalHeaderKey(x.field)
			want := ours[name]
			if name == "X-Forwarded-Host" {
				want = e.fill("{D}.{base}")
			}
			if e.strict {
				want = x.trusted
			}
			if got := a.echo(t).Header[name]; len(got) != 1 || got[0] != want {
				t.Errorf("the app gets %s %q, want %q", name, got, want)
			}
		})
	}
	t.Run("over TLS", func(t *testing.T) {
		a := w.strict.talkTLS(t, "{D}.{base}", request("GET", "{D}.{base}", "/"))
		if got := a.echo(t).Header.Get("X-Forwarded-Proto"); got != "https" {
			t.Errorf("the app gets %q", got)
		}
	})
}

// bodies arrive untouched.
var bodies = []struct{ name, head, sent, body string }{
	{"none", "", "", ""},
	{"of known length", "Content-Length: 5\r\n", "hello", "hello"},
	{"of length 0", "Content-Length: 0\r\n", "", ""},
	{"of every byte", "Content-Length: 256\r\n", everyByte, everyByte},
	{"that looks like a request", "Content-Length: 30\r\n", "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"[:30], "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"[:30]},
	{"of a megabyte", "Content-Length: 1048576\r\n", long(1 << 20), long(1 << 20)},
	{"compressed", "Content-Length: 4\r\nContent-Encoding: gzip\r\n", "\x1f\x8b\x08\x00", "\x1f\x8b\x08\x00"},
	{"in chunks", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"},
	{"in chunks with extensions", "Transfer-Encoding: chunked\r\n", "3;a=b\r\nabc\r\n0;c\r\n\r\n", "abc"},
	{"in chunks with trailers", "Trailer: X-End\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n", "abc"},
	{"in no chunks", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", ""},
	{"expected", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello", "hello"},
}

var everyByte = func() string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return string(all)
}()

func TestBodiesArriveAsTheyAre(t *testing.T) {
	w := setUp(t)
	for _, x := range bodies {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET"} {
			t.Run(x.name+" "+method, func(t *testing.T) {
				a, kept := w.up.talk(t, method+" /a HTTP/1.1\r\nHost: {D}.{base}\r\n"+x.head+"\r\n"+x.sent)
				sum := sha256.Sum256([]byte(x.body))
				if got := w.up.wantServed(t, a, "D", "/a"); got.Body != hex.EncodeToString(sum[:]) || got.Method != method {
					t.Errorf("the app got another body, of %s: %q", got.Method, got.Raw[:min(len(got.Raw), 1000)])
				}
				if !kept {
					t.Error("the connection was closed")
				}
				if interim := slices.Equal(a.interim, []int{100}); interim != (x.name == "expected") {
					t.Errorf("before the answer came %v", a.interim)
				}
			})
		}
	}
}
