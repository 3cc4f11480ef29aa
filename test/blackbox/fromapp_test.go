package blackbox

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// scripted asks D or B for an answer of these bytes. GET sends them in a field,
// other methods in the body.
func scripted(method, letter, raw string) string {
	host, target := "{D}.{base}", "/answer"
	if letter == "B" {
		host, target = "{base}", "/instance/{B}/answer"
	}
	if method == "GET" || method == "HEAD" {
		return request(method, host, target, "X-Answer: "+base64.StdEncoding.EncodeToString([]byte(raw)))
	}
	return withBody(method, host, target, raw)
}

// ok is an answer with these fields, and a body of two bytes.
func ok(fields ...string) string {
	raw := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	for _, line := range fields {
		raw += line + "\r\n"
	}
	return raw + "\r\nok"
}

// answered are fields of an app's answer, and what of them a visitor gets in
// either mode.
var answered = []struct {
	name                 string
	sent, domain, prefix []string
}{
	{"its own", []string{"X-Own: 1", "Server: mine", "Etag: \"a\"", "Cache-Control: max-age=5", "Via: 1.0 mine"}, same, same},
	{"one twice", []string{"X-Own: 1", "X-Own: 2"}, same, same},
	{"compressed", []string{"Content-Encoding: gzip", "Vary: Accept-Encoding"}, same, same},
	{"Location is its own", []string{"Location: http://evil.example/a?b"}, same, same},
	{"Location without a host", []string{"Location: /a"}, same, same},
	{"CORS", []string{"Access-Control-Allow-Origin: *"}, same, same},
	{"policies", []string{"Content-Security-Policy: default-src 'none'", "X-Frame-Options: DENY"}, same, same},
	{"what Connection names", []string{"Connection: X-Hop", "X-Hop: 1"}, nil, nil},
	{"Keep-Alive", []string{"Keep-Alive: timeout=5"}, nil, nil},
	{"Proxy-Connection", []string{"Proxy-Connection: keep-alive"}, nil, nil},
	{"Upgrade", []string{"Upgrade: h2c"}, nil, nil},
	{"HSTS", []string{"Strict-Transport-Security: max-age=31536000"}, nil, nil},
	{"Alt-Svc", []string{"Alt-Svc: h3=\":443\""}, nil, nil},
	{"NEL", []string{"NEL: {}"}, nil, nil},
	{"Report-To", []string{"Report-To: {}"}, nil, nil},
	{"those in other cases", []string{"strict-transport-security: a", "ALT-SVC: b", "nel: c", "report-to: d"}, nil, nil},

	{"a cookie", []string{"Set-Cookie: a=b; HttpOnly; Secure; SameSite=Lax"}, same, same},
	{"a cookie with a Domain above", []string{"Set-Cookie: a=b; Domain={base}; HttpOnly"}, []string{"Set-Cookie: a=b; HttpOnly"}, []string{"Set-Cookie: a=b; HttpOnly"}},
	{"a cookie with a dot before a Domain above", []string{"Set-Cookie: a=b; Domain=.{base}"}, []string{"Set-Cookie: a=b"}, []string{"Set-Cookie: a=b"}},
	{"a cookie with two Domains", []string{"Set-Cookie: a=b; domain={base}; DOMAIN={base}"}, []string{"Set-Cookie: a=b"}, []string{"Set-Cookie: a=b"}},
	{"a cookie with its own Domain", []string{"Set-Cookie: a=b; Domain={D}.{base}"}, same, same},
	{"a cookie with a foreign Domain", []string{"Set-Cookie: a=b; Domain=evil.example"}, same, same},
	{"a cookie for every path", []string{"Set-Cookie: a=b; Path=/; HttpOnly"}, same, []string{"Set-Cookie: a=b; Path=/instance/{B}/; HttpOnly"}},
	{"a cookie for a path", []string{"Set-Cookie: a=b; path=/api"}, same, []string{"Set-Cookie: a=b; Path=/instance/{B}/"}},
	{"a cookie for a path of its own", []string{"Set-Cookie: a=b; Path=/instance/{B}/x"}, same, same},
	{"a cookie for its prefix without a slash", []string{"Set-Cookie: a=b; Path=/instance/{B}"}, same, []string{"Set-Cookie: a=b; Path=/instance/{B}/"}},
	{"a cookie for another instance", []string{"Set-Cookie: a=b; Path=/instance/{Q}/"}, same, nil},
	{"a cookie for a path above both", []string{"Set-Cookie: a=b; Path=/instance/"}, same, []string{"Set-Cookie: a=b; Path=/instance/{B}/"}},
	{"a cookie with two paths", []string{"Set-Cookie: a=b; Path=/instance/{B}/x; Path=/"}, same, []string{"Set-Cookie: a=b; Path=/instance/{B}/x; Path=/instance/{B}/"}},
	{"our cookie", []string{"Set-Cookie: slipway-session=evil"}, nil, nil},
	{"our cookie with a prefix", []string{"Set-Cookie: __Host-slipway-i-{B}=evil; Path=/; Secure"}, nil, nil},
	{"our cookie in other cases", []string{"Set-Cookie: SLIPWAY-a=evil", "set-cookie: __HOST-slipway-a=evil"}, nil, nil},
	{"our cookie behind spaces", []string{"Set-Cookie:   slipway-a=evil"}, nil, nil},
	{"our cookie as the value of none", []string{"Set-Cookie: =slipway-a=evil"}, nil, nil},
	{"our cookie between others", []string{"Set-Cookie: a=1", "Set-Cookie: slipway-a=evil", "Set-Cookie: c=3"}, []string{"Set-Cookie: a=1", "Set-Cookie: c=3"}, []string{"Set-Cookie: a=1", "Set-Cookie: c=3"}},

	{"a service worker's scope within", []string{"Service-Worker-Allowed: /instance/{B}/sub"}, same, same},
	{"a service worker's scope of all", []string{"Service-Worker-Allowed: /"}, same, nil},
	{"a service worker's scope of another", []string{"Service-Worker-Allowed: /instance/{Q}/"}, same, nil},
	{"a service worker's scope with dots", []string{"Service-Worker-Allowed: /instance/{B}/../"}, same, nil},
	{"a service worker's scope with escaped dots", []string{"Service-Worker-Allowed: /instance/{B}/%2e%2e/"}, same, nil},
	{"Clear-Site-Data of all", []string{"Clear-Site-Data: \"*\""}, nil, nil},
	{"Clear-Site-Data of cookies", []string{"Clear-Site-Data: \"cookies\""}, nil, nil},
	{"Clear-Site-Data of cookies in a list", []string{"Clear-Site-Data: \"cache\", \"cookies\""}, nil, nil},
	{"Clear-Site-Data of the cache", []string{"Clear-Site-Data: \"cache\""}, same, same},
	{"Clear-Site-Data of storage", []string{"Clear-Site-Data: \"storage\""}, same, nil},
	{"Clear-Site-Data of execution contexts", []string{"Clear-Site-Data: \"executionContexts\""}, same, nil},
}

// same stands for what was sent.
var same = []string{}

func TestAnsweredFields(t *testing.T) {
	w := setUp(t)
	for _, x := range answered {
		for letter, want := range map[string][]string{"D": x.domain, "B": x.prefix} {
			w.both(t, x.name+" "+letter, func(t *testing.T, e *edge) {
				if want != nil && len(want) == 0 {
					want = x.sent
				}
				a, kept := e.talk(t, scripted("GET", letter, e.fill(ok(x.sent...))))
				if a.status != 200 || string(a.body) != "ok" || !kept {
					t.Fatalf("%d %q, kept is %v", a.status, a.body, kept)
				}
				var expected, got []string
				for _, line := range want {
					expected = append(expected, e.fill(line))
				}
				for name, values := range a.header {
					for _, value := range values {
						if name != "Date" && name != "Content-Length" {
							got = append(got, name+": "+value)
						}
					}
				}
				slices.Sort(expected)
				if slices.Sort(got); !slices.Equal(got, expected) {
					t.Errorf("the visitor gets %q\nwant %q", got, expected)
				}
			})
		}
	}
}

// In BASE_URL mode the host is that of all such apps, and of their parents: a
// Domain that names it would reach every host below it.
func TestACookieOfASharedHostStaysOnIt(t *testing.T) {
	w := setUp(t)
	a, _ := w.up.talk(t, request("GET", "q-main.{base}", "/instance/{Q}/answer",
		"X-Answer: "+base64.StdEncoding.EncodeToString([]byte(ok("Set-Cookie: a=b; Domain=q-main.localhost; Path=/instance/"+w.ids["Q"]+"/")))))
	if got := a.header.Get("Set-Cookie"); got != "a=b; Path=/instance/"+w.ids["Q"]+"/" {
		t.Errorf("the visitor gets %q", got)
	}
}

// statuses pass as they are, those of redirects and failures too.
func TestAnsweredStatuses(t *testing.T) {
	w := setUp(t)
	for _, line := range []string{
		"200 OK", "201 Created", "204 No Content", "206 Partial Content", "299 Odd", "301 Moved Permanently", "302 Found", "304 Not Modified",
		"308 Permanent Redirect", "400 Bad Request", "401 Unauthorized", "404 Not Found", "418 I'm a teapot", "429 Too Many Requests",
		"500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "599 Odd",
	} {
		for _, method := range []string{"GET", "POST", "HEAD"} {
			t.Run(line+" "+method, func(t *testing.T) {
				body := "ok"
				length := "Content-Length: 2\r\n"
				if line[:3] == "204" || line[:3] == "304" {
					body, length = "", ""
				}
				raw := "HTTP/1.1 " + line + "\r\n" + length + "Set-Cookie: a=b\r\nCache-Control: public\r\nLocation: /x\r\nRetry-After: 7\r\n\r\n" + body
				if method == "HEAD" {
					body = ""
				}
				a, kept := w.up.talk(t, scripted(method, "D", raw))
				if a.status != status(line) || string(a.body) != body || !kept {
					t.Errorf("%d %q, kept is %v", a.status, a.body, kept)
				}
				for name, want := range map[string]string{"Set-Cookie": "a=b", "Cache-Control": "public", "Location": "/x", "Retry-After": "7"} {
					if got := a.header[name]; len(got) != 1 || got[0] != want {
						t.Errorf("%s is %q", name, got)
					}
				}
			})
		}
	}
}

func status(line string) int {
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
}

// Framings of an answer, and what a visitor gets: a status of 0 is an answer
// that breaks off.
var framings = []struct {
	name, raw string
	status    int
	body      string
	interim   []int
}{
	{"of known length", ok(), 200, "ok", nil},
	{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n", 200, "abc", nil},
	{"up to the end", "HTTP/1.1 200 OK\r\n\r\nabc", 200, "abc", nil},
	{"of HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nabc", 200, "abc", nil},
	{"with line feeds alone", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, "ok", nil},
	{"without a reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, "ok", nil},
	{"more than its length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, "ok", nil},
	{"both length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, "a", nil},
	{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, "ok", nil},
	{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok(), 200, "ok", []int{103}},
	{"ten of 1xx", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10) + ok(), 200, "ok", slices.Repeat([]int{103}, 10)},
	{"a head of 60 KiB", ok("X-Own: " + long(60<<10)), 200, "ok", nil},
	{"a field of no value", ok("X-Own:"), 200, "ok", nil},

	{"eleven of 1xx", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 11) + ok(), 502, "", slices.Repeat([]int{103}, 10)},
	{"a head over 64 KiB", ok("X-Own: " + long(65<<10)), 502, "", nil},
	{"a head over 64 KiB of many fields", ok(slices.Repeat([]string{"X-Own: " + long(1<<10)}, 65)...), 502, "", nil},
	{"a head of a megabyte", ok("X-Own: " + long(1<<20)), 502, "", nil},
	{"no byte", "", 502, "", nil},
	{"half a status", "HTTP/1.1 2", 502, "", nil},
	{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", 502, "", nil},
	{"1xx and no more", "HTTP/1.1 103 Early Hints\r\n\r\n", 502, "", []int{103}},
	{"no HTTP", "hello\r\n\r\n", 502, "", nil},
	{"HTTP/2", "HTTP/2 200 OK\r\n\r\n", 502, "", nil},
	{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", 502, "", nil},
	{"a status below 100", "HTTP/1.1 099 Odd\r\n\r\n", 502, "", nil},
	{"101 unasked", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502, "", nil},
	{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, "", nil},
	{"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", 502, "", nil},
	{"another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 502, "", nil},
	{"a field without a colon", ok("nonsense"), 502, "", nil},
	{"a space before the colon", ok("X-Own : 1"), 502, "", nil},
	{"a folded field", ok("X-Own: 1", " 2"), 502, "", nil},
	{"a zero in a field", ok("X-Own: a\x00b"), 502, "", nil},

	{"less than its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", 0, "", nil},
	{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok", 0, "", nil},
	{"chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 0, "", nil},
	{"a malformed chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n", 0, "", nil},
}

func TestAnsweredFramings(t *testing.T) {
	w := setUp(t)
	for _, x := range framings {
		for _, method := range []string{"GET", "POST"} {
			if method == "GET" && len(x.raw) > 40<<10 {
				continue // the request would be too large
			}
			t.Run(x.name+" "+method, func(t *testing.T) {
				if x.status == 0 {
					answers, err := w.up.answers(scripted(method, "D", x.raw)+sentinel, "GET")
					if err == nil && len(answers) > 0 {
						t.Errorf("it passes for whole: %d %q", answers[0].status, answers[0].body)
					}
					return
				}
				a, kept := w.up.talk(t, scripted(method, "D", x.raw))
				if a.status != x.status || x.status == 200 && string(a.body) != x.body || !slices.Equal(a.interim, x.interim) {
					t.Errorf("%v and %d %.200q, want %v and %d %q", a.interim, a.status, a.body, x.interim, x.status, x.body)
				}
				if x.status != 200 {
					wantOwn(t, a)
				}
				if !kept {
					t.Error("the connection was closed")
				}
			})
		}
	}
}

func TestTrailersOfTheApp(t *testing.T) {
	w := setUp(t)
	a, _ := w.up.talk(t, scripted("GET", "D", "HTTP/1.1 200 OK\r\nTrailer: X-End\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"+
		"X-End: 1\r\nX-Late: 2\r\nSet-Cookie: slipway-a=evil\r\nStrict-Transport-Security: a\r\nContent-Length: 5\r\n\r\n"))
	if string(a.body) != "a" || len(a.trailer) != 2 || a.trailer.Get("X-End") != "1" || a.trailer.Get("X-Late") != "2" {
		t.Errorf("%q, trailers %v", a.body, a.trailer)
	}
}

// An app that is too slow costs its visitor a 504: first_byte_timeout is 300 ms
// at one of the edges.
func TestNoFirstByteInTime(t *testing.T) {
	w := setUp(t)
	for _, raw := range []string{request("GET", "{D}.{base}", "/slow"), withBody("POST", "{D}.{base}", "/slow", "body")} {
		a, _ := w.strict.talk(t, raw)
		wantStatus(t, a, http.StatusGatewayTimeout)
		a, _ = w.up.talk(t, raw)
		a.echo(t)
	}
}

// Visitors who leave, at any moment, mark nothing as broken.
func TestVisitorsWhoLeave(t *testing.T) {
	w := setUp(t)
	for _, part := range []string{
		"GET /slow HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 100\r\n\r\nhalf",
		"POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
		"GET /stream HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n",
		"GET /ws HTTP/1.1\r\nHost: {D}.{base}\r\n" + webSocket + "\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: {D}.{ba",
	} {
		t.Run(strings.ReplaceAll(part[:20], "/", " "), func(t *testing.T) {
			for range 20 {
				conn, err := net.Dial("tcp", w.up.addr)
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(conn, w.up.fill(part))
				conn.(*net.TCPConn).SetLinger(0) // a reset
				conn.Close()
			}
			a, kept := w.up.talk(t, request("GET", "{D}.{base}", "/after"))
			w.up.wantServed(t, a, "D", "/after")
			if got := w.status(t, "D"); got != "DEPLOYED" || !kept {
				t.Errorf("D is %s, kept is %v", got, kept)
			}
		})
	}
}

// An event stream arrives as it is sent: the second event comes long after.
func TestStreamsAreNotGathered(t *testing.T) {
	w := setUp(t)
	conn, err := net.Dial("tcp", w.up.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(slipwaytest.Patience))
	io.WriteString(conn, w.up.fill(request("GET", "{D}.{base}", "/stream")))
	var got []byte
	for buffer := make([]byte, 4096); !strings.Contains(string(got), "data: 0\n\n"); {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buffer[:n]...)
	}
	if strings.Contains(string(got), "data: 1") {
		t.Errorf("both events came at once: %q", got)
	}
}
