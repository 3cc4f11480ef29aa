package blackbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// precedence is §4: of two things that are wrong with a request, the earlier
// one is answered.
var precedence = []struct {
	name, raw string
	status    int
}{
	{"parse before known: a malformed host", request("GET", "a_b.{base}", "/"), 400},
	{"parse before known: a malformed target", request("GET", "nobody.{base}", "/%zz"), 400},
	{"parse before known: a malformed query", request("GET", "nobody.{base}", "/?%zz"), 400},
	{"parse before canonical: a malformed target", request("GET", "d-alias.{base}", "/%zz"), 400},
	{"parse before canonical: a number sign", request("GET", "d-alias.{base}", "/a#b"), 400},
	{"parse before running: a malformed target", request("GET", "{S}.{base}", "/%zz"), 400},
	{"framing before method", request("TRACE", "{D}.{base}", "/", "Content-Length: 1", "Content-Length: 1"), 400},
	{"method before the host is looked at", request("TRACE", "a_b.{base}", "/"), 405},
	{"method before the host is looked at: CONNECT", request("CONNECT", "[::1]", "evil.example:443"), 405},
	{"method before known", request("TRACE", "nobody.{base}", "/"), 405},
	{"method before canonical", request("TRACE", "d-alias.{base}", "/"), 405},
	{"method before running", request("TRACE", "{S}.{base}", "/"), 405},
	{"known before canonical", request("GET", "b-alias.{base}", "/instance/{X}/"), 404},
	{"known before canonical: a trailing dot", request("GET", "nobody.{base}.", "/"), 404},
	{"climbing before canonical", request("GET", "{B}.{base}", "/.."), 400},
	{"known before climbing", request("GET", "{base}", "/instance/{X}/.."), 404},
	{"canonical before running", request("GET", "s-alias.{base}", "/"), 302},
	{"canonical before running: a POST", withBody("POST", "s-alias.{base}", "/", "body"), 307},
	{"canonical before running: a WebSocket in the wrong mode", request("GET", "{base}", "/instance/{S}/ws", webSocket), 307},
	{"running: a failed one is the last thing that is looked at", request("GET", "f-main.{base}", "/"), 503},
	{"running: a failed one, posted to", withBody("POST", "f-main.{base}", "/", "body"), 503},
	{"running: a failed one, by a WebSocket", request("GET", "f-main.{base}", "/ws", webSocket), 503},
	{"limits before known", request("GET", "nobody.{base}", "/"+long(33<<10)), 414},
}

func TestOrder(t *testing.T) {
	w := setUp(t)
	for _, x := range precedence {
		t.Run(x.name, func(t *testing.T) {
			a, _ := w.up.talk(t, x.raw)
			if wantStatus(t, a, x.status); x.status == 503 && a.header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
	if got := w.status(t, "S"); got != "SUSPENDED" {
		t.Errorf("S is %s", got)
	}
}

// unknown are the names that lead nowhere, by why. Nobody may tell them apart.
var unknown = []struct{ why, host, target string }{
	{"an unknown label", "nobody.{base}", "/a"},
	{"an unassigned alias", "free.{base}", "/a"},
	{"an alias whose instance is terminated", "gone.{base}", "/a"},
	{"a terminated instance", "{X}.{base}", "/a"},
	{"an unknown ID", "{N}.{base}", "/a"},
	{"a terminated instance by path", "{base}", "/instance/{X}/a"},
	{"an unknown ID by path", "{base}", "/instance/{N}/a"},
	{"a terminated instance at another's alias", "b-alias.{base}", "/instance/{X}/a"},
	{"an unknown ID at another's alias", "b-alias.{base}", "/instance/{N}/a"},
	{"two labels", "a.nobody.{base}", "/a"},
	{"a foreign host", "evil.example", "/a"},
	{"own paths of an unknown label", "nobody.{base}", "/.slipway/status"},
}

func TestThe404sAreAlike(t *testing.T) {
	w := setUp(t)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for _, fields := range [][]string{{"Accept: text/html"}, {"Accept: */*"}, {"Sec-Fetch-Mode: navigate"}, {"Accept: text/html", "Sec-Fetch-Mode: cors"}} {
			first := map[*edge]answer{} // pages link to their edge's console
			for i, x := range unknown {
				w.both(t, method+" "+fields[0]+" "+x.why, func(t *testing.T, e *edge) {
					a, kept := e.talk(t, request(method, x.host, x.target, append(fields, "Content-Length: 0")...))
					if delete(a.header, "Date"); !kept {
						t.Error("the connection was closed")
					}
					wantStatus(t, a, 404)
					if i == 0 {
						first[e] = a
					}
					if diff := cmp.Diff(first[e].header, a.header); diff != "" || len(a.body) != len(first[e].body) {
						t.Errorf("%d bytes, the first has %d; headers (-first +this):\n%s", len(a.body), len(first[e].body), diff)
					}
				})
			}
		}
	}
}
