package blackbox

import (
	"net/http"
	"strings"
	"testing"
)

// redirects are the rows of §3's table, in its order. Status 0 is served there.
// The last column is a WebSocket's answer: 0 is that of the row.
var redirects = []struct {
	row, host, target string
	status            int
	to, by            string
	webSocket         int
}{
	{"<ID>.<base>, DOMAIN, none", "{D}.{base}", "/a?b", 0, "", "D", 101},
	{"<ID>.<base>, DOMAIN, P", "{P}.{base}", "/a?b", 302, "p-main.{base}/a?b", "P", 101},
	{"<ID>.<base>, DOMAIN, custom P", "{C}.{base}", "/a?b", 302, "custom.example/a?b", "C", 101},
	{"<ID>.<base>, BASE_URL, none", "{B}.{base}", "/a?b", 307, "{base}/instance/{B}/a?b", "", 307},
	{"<ID>.<base>, BASE_URL, P", "{Q}.{base}", "/a?b", 307, "q-main.{base}/instance/{Q}/a?b", "", 307},
	{"<base>/instance/<ID>, DOMAIN, none", "{base}", "/instance/{D}/a?b", 307, "{D}.{base}/a?b", "", 307},
	{"<base>/instance/<ID>, DOMAIN, P", "{base}", "/instance/{P}/a?b", 307, "p-main.{base}/a?b", "", 307},
	{"<base>/instance/<ID>, DOMAIN, custom P", "{base}", "/instance/{C}/a?b", 307, "custom.example/a?b", "", 307},
	{"<base>/instance/<ID>, BASE_URL, none", "{base}", "/instance/{B}/a?b", 0, "", "B", 101},
	{"<base>/instance/<ID>, BASE_URL, none, no slash", "{base}", "/instance/{B}", 307, "{base}/instance/{B}/", "", 307},
	{"<base>/instance/<ID>, BASE_URL, none, no slash but a query", "{base}", "/instance/{B}?a=b&c;d", 307, "{base}/instance/{B}/?a=b&c;d", "", 307},
	{"<base>/instance/<ID>, BASE_URL, P", "{base}", "/instance/{Q}/a?b", 302, "q-main.{base}/instance/{Q}/a?b", "Q", 101},
	{"P, DOMAIN, itself", "p-main.{base}", "/a?b", 0, "", "P", 101},
	{"P, DOMAIN, itself, /instance/… is the app's", "p-main.{base}", "/instance/{P}/a", 0, "", "P", 101},
	{"P, DOMAIN, itself, another's /instance/… is the app's", "p-main.{base}", "/instance/{B}/a", 0, "", "P", 101},
	{"P, DOMAIN, itself, nobody's /instance/… is the app's", "p-main.{base}", "/instance/{N}/a", 0, "", "P", 101},
	{"custom P, DOMAIN, itself", "custom.example", "/a?b", 0, "", "C", 101},
	{"P/instance/<ID>, BASE_URL, itself", "q-main.{base}", "/instance/{Q}/a?b", 0, "", "Q", 101},
	{"P/instance/<ID>, BASE_URL, itself, no slash", "q-main.{base}", "/instance/{Q}", 307, "q-main.{base}/instance/{Q}/", "", 307},
	{"P/instance/<ID>, BASE_URL, itself, no slash but a query", "q-main.{base}", "/instance/{Q}?a", 307, "q-main.{base}/instance/{Q}/?a", "", 307},
	{"P, another path, BASE_URL, itself", "q-main.{base}", "/a?b", 307, "q-main.{base}/instance/{Q}/a?b", "", 307},
	{"P, another path, BASE_URL, itself, root", "q-main.{base}", "/", 307, "q-main.{base}/instance/{Q}/", "", 307},
	{"another alias, DOMAIN, none", "d-alias.{base}", "/a?b", 302, "{D}.{base}/a?b", "D", 101},
	{"another alias, DOMAIN, P", "p-other.{base}", "/a?b", 302, "p-main.{base}/a?b", "P", 101},
	{"another alias, a custom domain", "other.example", "/a?b", 302, "custom.example/a?b", "C", 101},
	{"another alias, BASE_URL, none", "b-alias.{base}", "/a?b", 302, "{base}/instance/{B}/a?b", "", 0},
	{"another alias, BASE_URL, none, with its prefix", "b-alias.{base}", "/instance/{B}/a?b", 302, "{base}/instance/{B}/a?b", "B", 101},
	{"another alias, BASE_URL, P", "q-other.{base}", "/a?b", 302, "q-main.{base}/instance/{Q}/a?b", "", 0},
	{"another alias, BASE_URL, P, with its prefix", "q-other.{base}", "/instance/{Q}/a?b", 302, "q-main.{base}/instance/{Q}/a?b", "Q", 101},
	{"another alias, BASE_URL, P, its prefix alone", "q-other.{base}", "/instance/{Q}?b", 302, "q-main.{base}/instance/{Q}/?b", "", 0},
	{"alias host of a BASE_URL instance, X is DOMAIN without P", "b-alias.{base}", "/instance/{D}/a?b", 307, "{D}.{base}/a?b", "", 307},
	{"alias host of a BASE_URL instance, X is DOMAIN with P", "b-alias.{base}", "/instance/{P}/a?b", 307, "p-main.{base}/a?b", "", 307},
	{"alias host of a BASE_URL instance, X is BASE_URL with P", "b-alias.{base}", "/instance/{Q}/a?b", 307, "q-main.{base}/instance/{Q}/a?b", "", 307},
	{"primary alias host of a BASE_URL instance, X is BASE_URL without P", "q-main.{base}", "/instance/{B}/a?b", 307, "{base}/instance/{B}/a?b", "", 307},
	{"alias host of a BASE_URL instance, X without its slash", "q-main.{base}", "/instance/{B}?b", 307, "{base}/instance/{B}/?b", "", 307},
	{"alias host of a BASE_URL instance, X in capitals", "q-main.{base}", "/instance/{BB}/a", 307, "{base}/instance/{B}/a", "", 307},
	{"the same, X terminated", "q-main.{base}", "/instance/{X}/a", 404, "", "", 404},
	{"the same, X unknown", "b-alias.{base}", "/instance/{N}/a", 404, "", "", 404},
	{"alias that is unassigned", "free.{base}", "/a", 404, "", "", 404},
	{"alias whose instance is terminated", "gone.{base}", "/a", 404, "", "", 404},
	{"unknown ID", "{N}.{base}", "/a", 404, "", "", 404},
	{"unknown ID by path", "{base}", "/instance/{N}/a", 404, "", "", 404},
	{"unknown label", "nobody.{base}", "/a", 404, "", "", 404},
	{"terminated instance", "{X}.{base}", "/a", 404, "", "", 404},
	{"terminated instance by path", "{base}", "/instance/{X}/a", 404, "", "", 404},

	// rest is what follows its own prefix, at every name of a BASE_URL instance.
	{"own prefix at <ID>.<base>, added once", "{B}.{base}", "/instance/{B}/a?b", 307, "{base}/instance/{B}/a?b", "", 307},
	{"own prefix in capitals at <ID>.<base>", "{B}.{base}", "/instance/{BB}/a", 307, "{base}/instance/{B}/a", "", 307},
	{"own prefix alone at <ID>.<base>", "{B}.{base}", "/instance/{B}", 307, "{base}/instance/{B}/", "", 307},
	{"own prefix twice is rest the second time", "{B}.{base}", "/instance/{B}/instance/{B}/a", 307, "{base}/instance/{B}/instance/{B}/a", "", 307},
	{"another's prefix at <ID>.<base> is rest", "{B}.{base}", "/instance/{D}/a", 307, "{base}/instance/{B}/instance/{D}/a", "", 307},
	{"its path at a DOMAIN instance's other alias is rest", "d-alias.{base}", "/instance/{D}/a", 302, "{D}.{base}/instance/{D}/a", "D", 101},
	{"its path at a DOMAIN instance's ID is rest", "{P}.{base}", "/instance/{P}/a", 302, "p-main.{base}/instance/{P}/a", "P", 101},

	// Spelling never adds a hop.
	{"capitals in Host are lower-cased", "P-Main.{base}", "/a", 0, "", "P", 101},
	{"capitals in Host of another alias", "D-ALIAS.{base}", "/a", 302, "{D}.{base}/a", "D", 101},
	{"a trailing dot where no row redirects", "{D}.{base}.", "/a", 307, "{D}.{base}/a", "", 307},
	{"a trailing dot of P", "p-main.{base}.", "/a?b", 307, "p-main.{base}/a?b", "", 307},
	{"a trailing dot of a custom P", "custom.example.", "/a", 307, "custom.example/a", "", 307},
	{"a trailing dot of another alias", "p-other.{base}.", "/a", 302, "p-main.{base}/a", "", 0},
	{"a trailing dot at <ID>.<base> with P", "{P}.{base}.", "/a", 302, "p-main.{base}/a", "", 0},
	{"a trailing dot of the base domain", "{base}.", "/instance/{B}/a", 307, "{base}/instance/{B}/a", "", 307},
	{"a trailing dot and no slash", "{base}.", "/instance/{B}", 307, "{base}/instance/{B}/", "", 307},
	{"a trailing dot of the base domain with P", "{base}.", "/instance/{Q}/a", 302, "q-main.{base}/instance/{Q}/a", "", 0},
	{"an ID in capitals where no row redirects", "{base}", "/instance/{BB}/a?b", 307, "{base}/instance/{B}/a?b", "", 307},
	{"an ID in capitals at P", "q-main.{base}", "/instance/{QQ}/a", 307, "q-main.{base}/instance/{Q}/a", "", 307},
	{"an ID in capitals with P", "{base}", "/instance/{QQ}/a", 302, "q-main.{base}/instance/{Q}/a", "", 0},
	{"an ID in capitals, wrong mode", "{base}", "/instance/{DD}/a", 307, "{D}.{base}/a", "", 307},
	{"a trailing dot, capitals and no slash at once", "{base}.", "/instance/{BB}?c", 307, "{base}/instance/{B}/?c", "", 307},
}

// status is a row's for a method: 302 is for GET and HEAD, unless strict.
func (e *edge) status(row int, method string) int {
	if row == http.StatusFound && method != http.MethodGet && method != http.MethodHead && !e.strict {
		return http.StatusTemporaryRedirect
	}
	return row
}

func TestRedirects(t *testing.T) {
	w := setUp(t)
	for _, x := range redirects {
		w.both(t, x.row, func(t *testing.T, e *edge) {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
				t.Run(method, func(t *testing.T) {
					raw := request(method, x.host, x.target)
					if method == "POST" || method == "PUT" {
						raw = withBody(method, x.host, x.target, e.fill("GET /smuggled HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n"))
					}
					a, kept := e.talk(t, raw)
					if !kept {
						t.Error("the connection was closed")
					}
					switch {
					case x.status == 0 && method == "HEAD":
						wantStatus(t, a, 200)
					case x.status == 0:
						e.wantServed(t, a, x.by, x.target)
					default:
						e.wantRedirect(t, a, e.status(x.status, method), x.to)
					}
				})
			}
			t.Run("WebSocket", func(t *testing.T) {
				target := x.target
				if x.webSocket == 101 {
					path, query, _ := strings.Cut(target, "?")
					target = strings.TrimSuffix(path, "a") + "ws?" + query
				}
				a, _ := e.talk(t, request("GET", x.host, target, webSocket))
				switch x.webSocket {
				case http.StatusSwitchingProtocols:
					wantUpgrade(t, a, x.row)
				case 0:
					e.wantRedirect(t, a, x.status, x.to)
				default:
					e.wantRedirect(t, a, x.webSocket, x.to)
				}
			})
		})
	}
}

// wantUpgrade wants the app to have been reached: it takes WebSockets at /ws
// alone, and answers others with what they asked for.
func wantUpgrade(t *testing.T, a answer, row string) {
	t.Helper()
	if strings.Contains(row, "/instance/… is the app's") || strings.Contains(row, "is rest") {
		wantStatus(t, a, 200)
		return
	}
	wantStatus(t, a, http.StatusSwitchingProtocols)
}

func (e *edge) wantRedirect(t *testing.T, a answer, status int, to string) {
	t.Helper()
	wantStatus(t, a, status)
	if to != "" {
		to = e.url(to)
	}
	if a.location != to {
		t.Errorf("leads to %q, want %q", a.location, to)
	}
	if to != "" && len(a.body) > 0 {
		t.Errorf("it has a body: %.100q", a.body)
	}
}

// A WebSocket at another name is served in place for a PUBLIC instance, or with
// a bearer.
func TestWebSocketsOfAPrivateInstance(t *testing.T) {
	w := setUp(t)
	ticket, err := w.api.Ticket(t.Context(), w.ids["V"])
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, host string
		fields     []string
		status     int
	}{
		{"at its canonical URL", "{V}.{base}", nil, 401},
		{"at its canonical URL, with a bearer", "{V}.{base}", []string{"Authorization: Bearer " + ticket.Token}, 101},
		{"at another name", "v-alias.{base}", nil, 302},
		{"at another name, with a cookie", "v-alias.{base}", []string{"Cookie: a=b"}, 302},
		{"at another name, with a password", "v-alias.{base}", []string{"Authorization: Basic Zm9vOmJhcg=="}, 302},
		{"at another name, with an empty bearer", "v-alias.{base}", []string{"Authorization: Bearer "}, 302},
		{"at another name, with a bearer", "v-alias.{base}", []string{"Authorization: Bearer " + ticket.Token}, 101},
		{"at another name, with a bearer of the app's", "v-alias.{base}", []string{"Authorization: Bearer x"}, 401},
		{"at another name, with a bearer in small letters", "v-alias.{base}", []string{"Authorization: bearer " + ticket.Token}, 101},
	} {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			a, _ := e.talk(t, request("GET", x.host, "/ws", append(x.fields, webSocket)...))
			wantStatus(t, a, x.status)
		})
	}
}

// rests are carried byte for byte; climbs are those that leave a prefix.
var rests = []string{
	"//evil.example", "///evil.example/", `/\evil.example`, `/\\evil.example`, "/%5cevil.example", "/%2f%2fevil.example",
	"/%0d%0aSet-Cookie:%20a=b", "/%0d%0a%0d%0a<script>", "/@evil.example", "/:80", "/:@evil.example", "/.evil.example",
	"/http://evil.example/", "/%00", "/%ff%fe", "/\xc3\xa4\xff", "/a;b/c;d?e;f&g", "/a%2fb%2Fc", "/a//b/./c/", "/%2e/%252e%252e/x",
	"/.../..a/a..", "/a\"<>^`{|}b", "/a?b?c", "/?", "/??", "/?https://evil.example", "/?a=%0d%0ab", "/&a", "/;a", "/%", "/~user/*'()!$,+=",
}

var climbs = []string{"/..", "/../", "/a/../b", "/%2e%2e", "/%2e./x", "/.%2E/x", "/a%2f..%2fb", "/a%2f%2e%2e", "/..%2f", "/%2F..", "/..?a"}

// restNames are names at which the canonical URL is another, by what it is.
var restNames = []struct{ name, host, prefix, to string }{
	{"DOMAIN, by path", "{base}", "/instance/{D}", "{D}.{base}"},
	{"DOMAIN, by another alias", "p-other.{base}", "", "p-main.{base}"},
	{"DOMAIN, by its ID, custom P", "{C}.{base}", "", "custom.example"},
	{"BASE_URL, by its ID", "{B}.{base}", "", "{base}/instance/{B}"},
	{"BASE_URL, by its ID, with its prefix", "{B}.{base}", "/instance/{B}", "{base}/instance/{B}"},
	{"BASE_URL, by path with P", "{base}", "/instance/{Q}", "q-main.{base}/instance/{Q}"},
	{"BASE_URL, by another alias", "b-alias.{base}", "", "{base}/instance/{B}"},
	{"BASE_URL, by another path of P", "q-main.{base}", "", "q-main.{base}/instance/{Q}"},
	{"by another's alias", "q-main.{base}", "/instance/{D}", "{D}.{base}"},
	{"by another's alias, BASE_URL", "q-main.{base}", "/instance/{B}", "{base}/instance/{B}"},
}

func TestRestIsCarriedByteForByte(t *testing.T) {
	w := setUp(t)
	for _, x := range restNames {
		w.both(t, x.name, func(t *testing.T, e *edge) {
			to, prefix := e.fill(x.to), e.fill(x.prefix)
			host, path, _ := strings.Cut(to, "/")
			start := e.start + host + e.port + strings.TrimSuffix("/"+path, "/")
			send := func(rest string) answer {
				t.Helper()
				a, kept := e.talk(t, "GET "+prefix+rest+" HTTP/1.1\r\nHost: "+x.host+"\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n\r\n")
				if !kept && a.status < 400 {
					t.Errorf("%q: the connection was closed", rest)
				}
				return a
			}
			for _, rest := range rests {
				a := send(rest)
				want := start + rest
				if rest == "/%" { // no escape
					wantStatus(t, a, 400)
					want = ""
				}
				if a.location != want {
					t.Errorf("%q leads to %q, want %q", rest, a.location, want)
				}
				wantOwn(t, a)
			}
			for _, rest := range climbs {
				if a := send(rest); strings.HasPrefix(x.name, "BASE_URL") || strings.HasSuffix(x.name, "BASE_URL") {
					wantStatus(t, a, 400)
				} else if a.location != start+rest {
					t.Errorf("%q leads to %q", rest, a.location)
				}
			}
		})
	}
}

// Where the canonical URL has a prefix nothing climbs out of it, in place
// neither; at a DOMAIN instance dots are the app's.
func TestClimbsInPlace(t *testing.T) {
	w := setUp(t)
	for _, rest := range climbs {
		t.Run(rest, func(t *testing.T) {
			for _, host := range []string{"{base}", "q-main.{base}"} {
				letter := "{B}"
				if host != "{base}" {
					letter = "{Q}"
				}
				a, _ := w.up.talk(t, request("GET", host, "/instance/"+letter+rest))
				wantStatus(t, a, 400)
			}
			a, _ := w.up.talk(t, request("GET", "{D}.{base}", rest))
			w.up.wantServed(t, a, "D", rest)
		})
	}
}

// Nothing wakes by a redirect or a refusal, whatever the method.
func TestRedirectsWakeNobody(t *testing.T) {
	w := setUp(t)
	for _, x := range []struct {
		row, host, target string
		status            int
		to                string
	}{
		{"DOMAIN by path", "{base}", "/instance/{S}/a", 307, "{S}.{base}/a"},
		{"DOMAIN by an alias", "s-alias.{base}", "/a", 302, "{S}.{base}/a"},
		{"DOMAIN with a trailing dot", "{S}.{base}.", "/a", 307, "{S}.{base}/a"},
		{"BASE_URL by its ID", "{Z}.{base}", "/a", 307, "z-main.{base}/instance/{Z}/a"},
		{"BASE_URL by path", "{base}", "/instance/{Z}/a", 302, "z-main.{base}/instance/{Z}/a"},
		{"BASE_URL by another alias", "z-alias.{base}", "/a", 302, "z-main.{base}/instance/{Z}/a"},
		{"BASE_URL by another path of P", "z-main.{base}", "/a", 307, "z-main.{base}/instance/{Z}/a"},
		{"BASE_URL without its slash", "z-main.{base}", "/instance/{Z}", 307, "z-main.{base}/instance/{Z}/"},
		{"by another's alias", "q-main.{base}", "/instance/{S}/a", 307, "{S}.{base}/a"},
		{"a failed one by path", "{base}", "/instance/{F}/a", 307, "f-main.{base}/a"},
		{"a failed one by another alias", "f-alias.{base}", "/a", 302, "f-main.{base}/a"},
		{"a failed one by its ID", "{F}.{base}", "/a", 302, "f-main.{base}/a"},
		{"a starting one by its ID", "{G}.{base}", "/a", 307, "{base}/instance/{G}/a"},
		{"a starting one by an alias", "g-alias.{base}", "/a", 302, "{base}/instance/{G}/a"},
		{"a starting one's status", "{base}", "/instance/{G}/.slipway/status", 200, ""},
		{"400 where it climbs", "z-main.{base}", "/instance/{Z}/..", 400, ""},
		{"405 to TRACE", "{S}.{base}", "/", 405, ""},
		{"its status", "{S}.{base}", "/.slipway/status", 200, ""},
		{"its status under a prefix", "z-main.{base}", "/instance/{Z}/.slipway/status", 200, ""},
	} {
		w.both(t, x.row, func(t *testing.T, e *edge) {
			for _, method := range []string{"GET", "HEAD", "POST"} {
				status := e.status(x.status, method)
				switch {
				case strings.HasPrefix(x.row, "405"):
					method = "TRACE"
				case method == "POST" && x.status == 200:
					status = 405
				}
				a, _ := e.talk(t, request(method, x.host, x.target))
				e.wantRedirect(t, a, status, x.to)
			}
		})
	}
	// A wake that somebody had asked for would come before this one.
	a, _ := w.up.talk(t, request("GET", "{W}.{base}", "/woken"))
	w.up.wantServed(t, a, "W", "/woken")
	for letter, want := range map[string]string{"S": "SUSPENDED", "Z": "SUSPENDED", "F": "FAILED"} {
		if got := w.status(t, letter); got != want {
			t.Errorf("%s is %s", letter, got)
		}
	}
	if _, err := w.api.Suspend(t.Context(), w.ids["W"]); err != nil {
		t.Error(err)
	}
	w.await(t, "W", "SUSPENDED")
}
