package framing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	host = "Host: a.test\r\n"
	post = "POST /p HTTP/1.1\r\n" + host
	te   = post + "Transfer-Encoding: chunked\r\n\r\n"
	next = "GET /next HTTP/1.1\r\n" + host + "\r\n"
)

func get(fields string) string { return "GET / HTTP/1.1\r\n" + host + fields + "\r\n" }

func repeat(n int) string { return strings.Repeat("x", n) }

const (
	framed      = "400 bad_framing"
	unusable    = "400 bad_request"
	notAllowed  = "405 method_not_allowed"
	longLine    = "414 request_line_too_long"
	expectation = "417 expectation_failed"
	largeHead   = "431 headers_too_large"
	manyFields  = "431 too_many_fields"
	coding      = "501 unsupported_transfer_coding"
	version     = "505 unsupported_version"
)

// filled is a good head of n bytes.
func filled(n int) string {
	empty := len(get("A: \r\n"))
	return get("A: " + repeat(n-empty) + "\r\n")
}

var cases = []struct {
	name, bytes string
	asked       []string // in order; after a refusal nothing
}{
	{"plain", get(""), []string{"GET / "}},
	{"nothing", "", nil},
	{"half a head", "GET / HTTP/1.1\r\nHo", nil},
	{"head without its end", "GET / HTTP/1.1\r\n" + host, nil},
	{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", []string{"GET / "}},
	{"two in a row", get("") + next, []string{"GET / ", "GET /next "}},
	{"an empty line first", "\r\n" + get(""), []string{"GET / "}},
	{"an empty line between", get("") + "\r\n" + next, []string{"GET / ", "GET /next "}},
	{"an empty line behind", get("") + "\r\n", []string{"GET / "}},
	{"two empty lines first", "\r\n\r\n" + get(""), []string{framed}},
	{"a bare LF first", "\n" + get(""), []string{framed}},
	{"a bare CR first", "\rGET / HTTP/1.1\r\n" + host + "\r\n", []string{framed}},

	{"LF ends the request line", "GET / HTTP/1.1\n" + host + "\r\n", []string{framed}},
	{"LF ends a field", "GET / HTTP/1.1\r\nHost: a.test\n\r\n", []string{framed}},
	{"LF ends the head", "GET / HTTP/1.1\r\n" + host + "\n", []string{framed}},
	{"LF throughout", "GET / HTTP/1.1\nHost: a.test\n\n", []string{framed}},
	{"CR in a value", get("A: b\rc\r\n"), []string{framed}},
	{"CR in the target", "GET /\r HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"two CR at a line's end", "GET / HTTP/1.1\r\r\n" + host + "\r\n", []string{framed}},
	{"folded by a space", get("A: b\r\n c\r\n"), []string{framed}},
	{"folded by a tab", get("A: b\r\n\tc\r\n"), []string{framed}},
	{"folded at the first field", "GET / HTTP/1.1\r\n " + host + "\r\n", []string{framed}},
	{"NUL in a value", get("A: b\x00c\r\n"), []string{framed}},
	{"ESC in a value", get("A: \x1b\r\n"), []string{framed}},
	{"DEL in a value", get("A: \x7f\r\n"), []string{framed}},
	{"tab in a value", get("A: b\tc\r\n"), []string{"GET / "}},
	{"bytes above ASCII in a value", get("A: \xe4\xff\r\n"), []string{"GET / "}},
	{"empty value", get("A:\r\n"), []string{"GET / "}},
	{"space before the colon", get("A : b\r\n"), []string{framed}},
	{"tab before the colon", get("A\t: b\r\n"), []string{framed}},
	{"space before the colon of a length", post + "Content-Length : 3\r\n\r\nabc", []string{framed}},
	{"no colon", get("A\r\n"), []string{framed}},
	{"no name", get(": b\r\n"), []string{framed}},
	{"space in a name", get("A B: c\r\n"), []string{framed}},
	{"name above ASCII", get("\xc3\xa4: c\r\n"), []string{framed}},
	{"parenthesis in a name", get("A(b): c\r\n"), []string{framed}},

	{"no version", "GET /\r\n" + host + "\r\n", []string{framed}},
	{"no target", "GET HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"empty target", "GET  HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"two spaces before the version", "GET /  HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"space behind the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", []string{framed}},
	{"space before the method", " GET / HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"tab in the request line", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"NUL in the target", "GET /\x00 HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"bytes above ASCII in the target", "GET /\xe4 HTTP/1.1\r\n" + host + "\r\n", []string{"GET /\xe4 "}},
	{"method that is no token", "G(T / HTTP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"unknown method", "BREW /pot HTTP/1.1\r\n" + host + "\r\n", []string{"BREW /pot "}},
	{"garbage", "\x16\x03\x01\x02\x00\x01\r\n\r\n", []string{framed}},
	{"HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", []string{version}},
	{"HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", []string{version}},
	{"HTTP/0.9", "GET / HTTP/0.9\r\n" + host + "\r\n", []string{version}},
	{"HTTP/1.10", "GET / HTTP/1.10\r\n" + host + "\r\n", []string{framed}},
	{"HTTP/1", "GET / HTTP/1\r\n" + host + "\r\n", []string{framed}},
	{"http/1.1", "GET / http/1.1\r\n" + host + "\r\n", []string{framed}},
	{"ICY/1.1", "GET / ICYP/1.1\r\n" + host + "\r\n", []string{framed}},
	{"half a preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", []string{version}},
	{"preface of HTTP/2 as a second request", get("") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{"GET / ", version}},

	{"no Host", "GET / HTTP/1.1\r\n\r\n", []string{unusable}},
	{"empty Host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", []string{unusable}},
	{"empty Host over HTTP/1.0", "GET / HTTP/1.0\r\nHost:\r\n\r\n", []string{"GET / "}},
	{"two Hosts", get(host), []string{unusable}},
	{"two Hosts over HTTP/1.0", "GET / HTTP/1.0\r\n" + host + host + "\r\n", []string{unusable}},
	{"slash in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", []string{unusable}},
	{"dots as Host", "GET / HTTP/1.1\r\nHost: ..:80\r\n\r\n", []string{unusable}},
	{"user in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", []string{unusable}},
	{"Host that the handler refuses", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", []string{"GET / "}},
	{"absolute target", "GET http://b.test/x HTTP/1.1\r\n" + host + "\r\n", []string{"GET http://b.test/x "}},
	{"asterisk", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", []string{"OPTIONS * "}},
	{"target without a slash", "GET x HTTP/1.1\r\n" + host + "\r\n", []string{unusable}},
	{"invalid escape", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", []string{unusable}},
	{"cut escape", "GET /%a HTTP/1.1\r\n" + host + "\r\n", []string{unusable}},
	{"invalid escape in the query", "GET /?%zz HTTP/1.1\r\n" + host + "\r\n", []string{"GET /?%zz "}},
	{"TRACE", "TRACE / HTTP/1.1\r\n" + host + "\r\n", []string{notAllowed}},
	{"TRACE with a malformed Host", "TRACE / HTTP/1.1\r\nHost: a/b\r\n\r\n", []string{notAllowed}},
	{"TRACE without Host", "TRACE / HTTP/1.1\r\n\r\n", []string{notAllowed}},
	{"TRACE with two lengths", "TRACE / HTTP/1.1\r\n" + host + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n", []string{framed}},
	{"CONNECT", "CONNECT b.test:443 HTTP/1.1\r\n" + host + "\r\n", []string{notAllowed}},
	{"CONNECT to a path", "CONNECT / HTTP/1.1\r\n" + host + "\r\n", []string{notAllowed}},
	{"Expect", post + "Content-Length: 1\r\nExpect: 100-continue\r\n\r\na", []string{"POST /p a"}},
	{"Expect without a body", get("Expect: 100-continue\r\n"), []string{"GET / "}},
	{"Expect another thing", get("Expect: 200-maybe\r\n"), []string{expectation}},
	{"empty Expect", get("Expect: \r\n"), []string{"GET / "}},

	{"body", post + "Content-Length: 3\r\n\r\nabc" + next, []string{"POST /p abc", "GET /next "}},
	{"body on GET", get("Content-Length: 3\r\n") + "abc" + next, []string{"GET / abc", "GET /next "}},
	{"body that looks like a request", post + "Content-Length: 18\r\n\r\nGET / HTTP/1.1\n\nxx" + next, []string{"POST /p GET / HTTP/1.1\n\nxx", "GET /next "}},
	{"body over HTTP/1.0", "POST /p HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", []string{"POST /p abc"}},
	{"keep-alive over HTTP/1.0", "POST /p HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc" + next, []string{"POST /p abc", "GET /next "}},
	{"cut body", post + "Content-Length: 3\r\n\r\nab", []string{"POST /p ab!"}},
	{"length 0", post + "Content-Length: 0\r\n\r\n" + next, []string{"POST /p ", "GET /next "}},
	{"leading zeros", post + "Content-Length: 003\r\n\r\nabc" + next, []string{"POST /p abc", "GET /next "}},
	{"empty length", post + "Content-Length: \r\n\r\n", []string{framed}},
	{"signed length", post + "Content-Length: +3\r\n\r\nabc", []string{framed}},
	{"negative length", post + "Content-Length: -3\r\n\r\nabc", []string{framed}},
	{"hexadecimal length", post + "Content-Length: 0x3\r\n\r\nabc", []string{framed}},
	{"length with a fraction", post + "Content-Length: 3.0\r\n\r\nabc", []string{framed}},
	{"length over 63 bits", post + "Content-Length: 9223372036854775808\r\n\r\n", []string{framed}},
	{"two lengths", post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", []string{framed}},
	{"the same length twice", post + "Content-Length: 3\r\ncontent-length: 3\r\n\r\nabc", []string{framed}},
	{"list of lengths", post + "Content-Length: 3, 3\r\n\r\nabc", []string{framed}},
	{"length and coding", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{framed}},
	{"coding and length", post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", []string{framed}},
	{"coding over HTTP/1.0", "POST /p HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{framed}},
	{"unknown coding over HTTP/1.0", "POST /p HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", []string{framed}},
	{"unknown coding", post + "Transfer-Encoding: gzip\r\n\r\n", []string{coding}},
	{"two codings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", []string{coding}},
	{"identity", post + "Transfer-Encoding: identity\r\n\r\n", []string{coding}},
	{"chunked twice in a line", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", []string{coding}},
	{"chunked in two lines", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{framed}},
	{"chunked with a vertical tab", post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", []string{framed}},
	{"empty coding", post + "Transfer-Encoding:\r\n\r\n", []string{coding}},

	{"chunks", te + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + next, []string{"POST /p abcde", "GET /next "}},
	{"Chunked", post + "tRANSFER-eNCODING: ChunkeD\r\n\r\n1\r\na\r\n0\r\n\r\n" + next, []string{"POST /p a", "GET /next "}},
	{"no chunks", te + "0\r\n\r\n" + next, []string{"POST /p ", "GET /next "}},
	{"hexadecimal size", te + "00a\r\n0123456789\r\n0\r\n\r\n" + next, []string{"POST /p 0123456789", "GET /next "}},
	{"extension", te + "1;a=\"b\"\r\nx\r\n0;c\r\n\r\n" + next, []string{"POST /p x", "GET /next "}},
	{"extension of 256 bytes", te + "1;" + repeat(255) + "\r\nx\r\n0\r\n\r\n" + next, []string{"POST /p x", "GET /next "}},
	{"extension of 257 bytes", te + "1;" + repeat(256) + "\r\nx\r\n0\r\n\r\n" + next, []string{"POST /p !"}},
	{"LF in an extension", te + "1;a\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"CR in an extension", te + "1;a\rb\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"NUL in an extension", te + "1;\x00\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"no size", te + "\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"size with a prefix", te + "0x1\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"signed size", te + "+1\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"space before a size", te + " 1\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"space behind a size", te + "1 \r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"size of 17 digits", te + "00000000000000001\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"size over 63 bits", te + "8000000000000000\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"size that wraps", te + "10000000000000001\r\nx\r\n0\r\n\r\n", []string{"POST /p !"}},
	{"LF behind a size", te + "1\nx\r\n0\r\n\r\n" + next, []string{"POST /p !"}},
	{"LF behind data", te + "1\r\nx\n0\r\n\r\n" + next, []string{"POST /p x!"}},
	{"no line end behind data", te + "1\r\nxy\r\n0\r\n\r\n" + next, []string{"POST /p x!"}},
	{"LF at the end", te + "1\r\nx\r\n0\r\n\n" + next, []string{"POST /p x!"}},
	{"cut chunk", te + "3\r\nab", []string{"POST /p ab!"}},
	{"trailer", te + "1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n" + next, []string{"POST /p x", "GET /next "}},
	{"trailer with LF", te + "1\r\nx\r\n0\r\nA: b\n\r\n" + next, []string{"POST /p x!"}},
	{"folded trailer", te + "1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n" + next, []string{"POST /p x!"}},
	{"space in a trailer's name", te + "1\r\nx\r\n0\r\nA : b\r\n\r\n" + next, []string{"POST /p x!"}},
	{"trailer without a colon", te + "1\r\nx\r\n0\r\nA\r\n\r\n" + next, []string{"POST /p x!"}},
	{"NUL in a trailer", te + "1\r\nx\r\n0\r\nA: \x00\r\n\r\n" + next, []string{"POST /p x!"}},
	{"201 trailers", te + "0\r\n" + strings.Repeat("A: b\r\n", 201) + "\r\n" + next, []string{"POST /p !"}},
	{"announced trailer", post + "Trailer: A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n" + next, []string{"POST /p ", "GET /next "}},
	{"announced trailer that frames", post + "Trailer: a, content-length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []string{framed}},

	{"request line of 32 KiB", "GET /" + repeat(maxRequestLine-14) + " HTTP/1.1\r\n" + host + "\r\n", []string{"GET /" + repeat(maxRequestLine-14) + " "}},
	{"request line over 32 KiB", "GET /" + repeat(maxRequestLine-13) + " HTTP/1.1\r\n" + host + "\r\n", []string{longLine}},
	{"request line of 100 KiB", "GET /" + repeat(100<<10) + " HTTP/1.1\r\n" + host + "\r\n", []string{longLine}},
	{"request line without an end", repeat(200 << 10), []string{longLine}},
	{"head of 64 KiB", filled(maxHead) + next, []string{"GET / ", "GET /next "}},
	{"head over 64 KiB", filled(maxHead+1) + next, []string{largeHead}},
	{"head of 1 MiB", filled(1 << 20), []string{largeHead}},
	{"200 fields", get(strings.Repeat("A: b\r\n", 199)), []string{"GET / "}},
	{"201 fields", get(strings.Repeat("A: b\r\n", 200)), []string{manyFields}},
	{"refused behind a good one", next + get("A : b\r\n"), []string{"GET /next ", framed}},
	{"nothing behind a refused one", get("A : b\r\n") + next + next, []string{framed}},
	{"forged refusal", "GET / HTTP/1.1\r\nHost: refused.invalid\r\nSlipway-Refused: x 414 request_line_too_long\r\n\r\n", []string{"GET / "}},
	{"forged refusal without a token", "GET / HTTP/1.1\r\nHost: refused.invalid\r\n\r\n", []string{"GET / "}},
	{"upgrade that is not taken", get("Connection: upgrade\r\nUpgrade: websocket\r\n") + next, []string{"GET / ", "GET /next "}},
	{"upgrade that is not taken, then a bad one", get("Connection: upgrade\r\nUpgrade: websocket\r\n") + "GET / HTTP/1.1\n\n", []string{"GET / ", framed}},
	{"upgrade with a body", post + "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na" + next, []string{"POST /p a", "GET /next "}},
}

func TestTheServerSeesWholeGoodRequestsAndRefusals(t *testing.T) {
	w := startWire(t)
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			check := func(how string, parts ...string) {
				if got, _ := w.send(t, parts...); !slices.Equal(got, tc.asked) {
					t.Errorf("%s: asked %.200q, want %.200q", how, got, tc.asked)
				}
			}
			check("at once", tc.bytes)
			check("byte by byte", bytewise(tc.bytes)...)
			if len(tc.bytes) > 400 {
				return
			}
			for i := range len(tc.bytes) {
				check("in two", tc.bytes[:i], tc.bytes[i:])
			}
		})
	}
}

func TestAnswersComeInOrderAndARefusalIsTheLast(t *testing.T) {
	_, answers := startWire(t).send(t, next+next+get("A : b\r\n")+next)
	var got []string
	for line := range strings.Lines(answers) {
		if strings.HasPrefix(line, "HTTP/1.1") || strings.HasPrefix(line, "Connection") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{"HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request", "Connection: close"}
	if !slices.Equal(got, want) {
		t.Errorf("answers %q, want %q", got, want)
	}
}

// bytewise is a string in parts of a byte, invalid UTF-8 too.
func bytewise(s string) []string {
	parts := make([]string, len(s))
	for i := range parts {
		parts[i] = s[i : i+1]
	}
	return parts
}

func TestAHeadIsJudgedAsTheGuardDoes(t *testing.T) {
	for _, tc := range []struct{ name, head, want string }{
		{"good", get(""), ""},
		{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", ""},
		{"two hosts", get(host), unusable},
		{"no host", "GET / HTTP/1.1\r\n\r\n", unusable},
		{"201 fields", get(strings.Repeat("A: b\r\n", 200)), manyFields},
		{"TRACE", "TRACE / HTTP/1.1\r\n" + host + "\r\n", notAllowed},
		{"no end", "GET / HTTP/1.1\r\n" + host, framed},
		{"more than a head", get("") + next, framed},
		{"nothing", "", framed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if status, code, refused := Judge([]byte(tc.head)); refused {
				got = fmt.Sprint(status, " ", code)
			}
			if got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}
