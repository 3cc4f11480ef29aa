package blackbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// evil is what a case hides behind a disputed end: no app may get it.
const evil = "GET /evil HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n"

// heads are requests about whose end two programs could disagree. They are for
// D; whatever is refused closes the connection, so that what follows is lost.
var heads = []struct {
	name, raw string
	status    int
	body      string // what the app gets, where it gets it
	kept      bool
}{
	{"length and coding", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"coding and length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"length 0 and coding", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"coding over HTTP/1.0", "POST /a HTTP/1.0\r\nHost: {D}.{base}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"two lengths", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\n" + evil, 400, "", false},
	{"the same length twice", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400, "", false},
	{"a list of lengths", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 0, 0\r\n\r\n", 400, "", false},
	{"a signed length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: +0\r\n\r\n", 400, "", false},
	{"a negative length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: -1\r\n\r\n", 400, "", false},
	{"a hexadecimal length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 0x0\r\n\r\n", 400, "", false},
	{"a length with a space inside", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 1 0\r\n\r\n", 400, "", false},
	{"an empty length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length:\r\n\r\n", 400, "", false},
	{"a length over 63 bits", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 18446744073709551616\r\n\r\n", 400, "", false},
	{"a length with a space before the colon", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length : 4\r\n\r\nbody", 400, "", false},
	{"a folded length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length:\r\n 4\r\n\r\nbody", 400, "", false},
	{"a folded field", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nX-Own: 1\r\n 2\r\n\r\n", 400, "", false},
	{"a folded coding", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n", 400, "", false},
	{"an unknown coding", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "", false},
	{"identity", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: identity\r\n\r\n", 501, "", false},
	{"a list of codings", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "", false},
	{"chunked that is not last", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501, "", false},
	{"chunked in two fields", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "", false},
	{"chunked and another in two fields", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + evil, 501, "", false},
	{"xchunked", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + evil, 501, "", false},
	{"chunked in quotes", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + evil, 501, "", false},
	{"chunked behind a vertical tab", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"coding with a space before the colon", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"coding with an underscore is no coding", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 200, "0\r\n\r\n", true},
	{"coding behind a line feed", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nX: x\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"coding behind a carriage return", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nX: x\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 400, "", false},
	{"a trailer that frames", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "", false},

	{"a line feed ends the request line", "GET /a HTTP/1.1\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"a line feed ends a field", "GET /a HTTP/1.1\r\nHost: {D}.{base}\n\r\n", 400, "", false},
	{"a line feed ends the head", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\n\n", 400, "", false},
	{"a carriage return in a field", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nX-Own: a\rb\r\n\r\n", 400, "", false},
	{"a zero in a field", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nX-Own: a\x00b\r\n\r\n", 400, "", false},
	{"a control character in a field", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nX-Own: a\x01b\r\n\r\n", 400, "", false},
	{"a field without a colon", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nX-Own\r\n\r\n", 400, "", false},
	{"a field without a name", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\n: 1\r\n\r\n", 400, "", false},
	{"a space in a name", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nX Own: 1\r\n\r\n", 400, "", false},
	{"a space before the first field", "GET /a HTTP/1.1\r\n Host: {D}.{base}\r\n\r\n", 400, "", false},
	{"a space before the method", " GET /a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"two spaces in the request line", "GET  /a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"a tab in the request line", "GET\t/a\tHTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"no version", "GET /a\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"one empty line before", "\r\nGET /a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 200, "", true},
	{"two empty lines before", "\r\n\r\nGET /a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"a line feed before", "\nGET /a HTTP/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"HTTP/0.9", "GET /a HTTP/0.9\r\nHost: {D}.{base}\r\n\r\n", 505, "", false},
	{"HTTP/1.2", "GET /a HTTP/1.2\r\nHost: {D}.{base}\r\n\r\n", 505, "", false},
	{"HTTP/2.0", "GET /a HTTP/2.0\r\nHost: {D}.{base}\r\n\r\n", 505, "", false},
	{"HTTP/3.0", "GET /a HTTP/3.0\r\nHost: {D}.{base}\r\n\r\n", 505, "", false},
	{"HTTP/1", "GET /a HTTP/1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"HTTP/01.1", "GET /a HTTP/01.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"http/1.1", "GET /a http/1.1\r\nHost: {D}.{base}\r\n\r\n", 400, "", false},
	{"another expectation", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nExpect: 200-maybe\r\nContent-Length: 4\r\n\r\nbody", 417, "", false},
	{"a body to GET", "GET /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 4\r\n\r\nbody", 200, "body", true},
	{"a body to HEAD", "HEAD /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 49\r\n\r\nGET /evil HTTP/1.1\r\nHost: evil.localhost:8080\r\n\r\n", 200, "", true},
	{"a body to OPTIONS", "OPTIONS /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 4\r\n\r\nbody", 200, "body", true},
	{"leading zeros in a length", "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nContent-Length: 0004\r\n\r\nbody", 200, "body", true},
	{"an upgrade that is refused, and more behind it", "GET /a HTTP/1.1\r\nHost: d-alias.{base}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 302, "", true},
	{"Connection: close to a refusal", "GET /a HTTP/1.1\r\nHost: nobody.{base}\r\nConnection: close\r\n\r\n", 404, "", false},
}

func TestDisputedHeads(t *testing.T) {
	w := setUp(t)
	for _, x := range heads {
		for _, host := range []string{"{D}.{base}", "{V}.{base}", "d-alias.{base}", "nobody.{base}"} {
			// What is wrong with a request is so whoever it is for.
			if good := x.status < 400 || x.status == 404; good && host != "{D}.{base}" {
				continue
			}
			t.Run(x.name+" "+host, func(t *testing.T) {
				raw := strings.Replace(x.raw, "Host: {D}.{base}", "Host: "+host, 1)
				a, kept := w.up.talk(t, raw)
				wantStatus(t, a, x.status)
				if kept != x.kept {
					t.Errorf("kept is %v", kept)
				}
				if x.status == http.StatusOK && !strings.HasPrefix(raw, "HEAD") {
					w.up.wantBody(t, a, x.body)
				}
				if !kept && a.header.Get("Connection") != "close" {
					t.Errorf("it ends, and Connection is %q", a.header["Connection"])
				}
			})
		}
	}
}

// wantBody wants the app to have got one request with this body.
func (e *edge) wantBody(t *testing.T, a answer, body string) {
	t.Helper()
	got := e.wantServed(t, a, "D", "/a")
	sum := sha256.Sum256([]byte(body))
	if got.Body != hex.EncodeToString(sum[:]) || bytes.Contains(got.Raw, []byte("/evil")) {
		t.Errorf("the app read %q", got.Raw)
	}
}

// chunks are bodies in chunks; those that are malformed are refused, or break
// off what the app gets, and are the last of their connection.
var chunks = []struct {
	name, body string
	good       bool
}{
	{"one chunk", "4\r\nbody\r\n0\r\n\r\n", true},
	{"a size in capitals, with zeros", "0004\r\nbody\r\n000\r\n\r\n", true},
	{"an extension", "4;a=\"b\"\r\nbody\r\n0\r\n\r\n", true},
	{"an extension of 256 bytes", "4;" + long(255) + "\r\nbody\r\n0\r\n\r\n", true},
	{"trailers", "4\r\nbody\r\n0\r\nX-End: 1\r\n\r\n", true},
	{"an extension of 257 bytes", "4;" + long(256) + "\r\nbody\r\n0\r\n\r\n", false},
	{"a line feed in an extension", "4;a\nbody\r\n0\r\n\r\n" + evil, false},
	{"a carriage return in an extension", "4;\rx\r\nbody\r\n0\r\n\r\n", false},
	{"no size", "\r\nbody\r\n0\r\n\r\n", false},
	{"a size with a prefix", "0x4\r\nbody\r\n0\r\n\r\n", false},
	{"a signed size", "+4\r\nbody\r\n0\r\n\r\n", false},
	{"a negative size", "-1\r\nbody\r\n0\r\n\r\n", false},
	{"a size with an underscore", "0_4\r\nbody\r\n0\r\n\r\n", false},
	{"a space before a size", " 4\r\nbody\r\n0\r\n\r\n", false},
	{"a space behind a size", "4 \r\nbody\r\n0\r\n\r\n", false},
	{"a size that wraps", "10000000000000004\r\nbody\r\n0\r\n\r\n", false},
	{"a size over 63 bits", "ffffffffffffffff\r\nbody\r\n0\r\n\r\n", false},
	{"a line feed behind a size", "4\nbody\r\n0\r\n\r\n" + evil, false},
	{"a line feed behind data", "4\r\nbody\n0\r\n\r\n" + evil, false},
	{"no line end behind data", "4\r\nbodyx0\r\n\r\n" + evil, false},
	{"more data than its size", "3\r\nbody\r\n0\r\n\r\n" + evil, false},
	{"a line feed at the end", "4\r\nbody\r\n0\r\n\n" + evil, false},
	{"a trailer with a line feed", "4\r\nbody\r\n0\r\nX: 1\n\r\n" + evil, false},
	{"a folded trailer", "4\r\nbody\r\n0\r\nX: 1\r\n 2\r\n\r\n" + evil, false},
	{"a trailer without a colon", "4\r\nbody\r\n0\r\nX\r\n\r\n" + evil, false},
	{"201 trailers", "4\r\nbody\r\n0\r\n" + strings.Repeat("X: 1\r\n", 201) + "\r\n", false},
}

func TestDisputedChunks(t *testing.T) {
	w := setUp(t)
	for _, x := range chunks {
		t.Run(x.name, func(t *testing.T) {
			a, kept := w.up.talk(t, "POST /a HTTP/1.1\r\nHost: {D}.{base}\r\nTransfer-Encoding: chunked\r\n\r\n"+x.body)
			if x.good {
				w.up.wantBody(t, a, "body")
			} else {
				wantStatus(t, a, 400)
			}
			if kept != x.good {
				t.Errorf("kept is %v", kept)
			}
		})
		// Nobody reads the body of what is redirected or refused: what follows
		// must not be taken for a request all the same.
		for host, status := range map[string]int{"d-alias.{base}": 307, "nobody.{base}": 404} {
			t.Run(fmt.Sprint(x.name, " ", status), func(t *testing.T) {
				a, kept := w.up.talk(t, "POST /a HTTP/1.1\r\nHost: "+host+"\r\nTransfer-Encoding: chunked\r\n\r\n"+x.body)
				wantStatus(t, a, status)
				if kept != x.good {
					t.Errorf("kept is %v", kept)
				}
			})
		}
	}
}

// Requests that are sent ahead are answered in order, each by whom it is for.
func TestRequestsInARow(t *testing.T) {
	w := setUp(t)
	answers, err := w.up.answers(strings.Join([]string{
		request("GET", "{D}.{base}", "/1"), withBody("POST", "p-main.{base}", "/2", "body"), request("GET", "d-alias.{base}", "/3"),
		request("GET", "{base}", "/instance/{B}/4"), request("GET", "nobody.{base}", "/5"), request("OPTIONS", "{base}", "*"),
		request("GET", "{D}.{base}", "/7", "Connection: close"), evil,
	}, ""), "GET")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range answers {
		who := a.location
		if a.status == 200 && len(a.body) > 0 {
			who = a.echo(t).URI
		}
		got = append(got, fmt.Sprint(a.status, " ", who))
	}
	want := fmt.Sprint([]string{"200 /1", "200 /2", "302 " + w.up.url("{D}.{base}/3"), "200 /instance/" + w.ids["B"] + "/4", "404 ", "200 ", "200 /7"})
	if fmt.Sprint(got) != want {
		t.Errorf("%v\nwant %v", got, want)
	}
}
