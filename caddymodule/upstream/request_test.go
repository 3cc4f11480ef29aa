package upstream

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What is written is one request, whatever is in it.
func FuzzAppendRequest(f *testing.F) {
	f.Add("/a?b", "shop.test", "v", "for")
	f.Add("/ HTTP/1.1\r\nX: y\r\n\r\nGET /evil", "a\r\nB: c", "v\r\n\r\nGET /evil HTTP/1.1\r\n\r\n", "x\ny")
	f.Add("/\x00\x7f\xff#", "", "\r", "\x00")
	f.Fuzz(func(t *testing.T, target, host, value, forwarded string) {
		if !strings.HasPrefix(target, "/") {
			target = "/" + target // every target is in origin form
		}
		r := &Request{Target: target, Forwarded: Forwarded{For: forwarded, Host: host, Proto: value},
			Request: &http.Request{Method: "POST", Host: host, ContentLength: 3, Body: io.NopCloser(strings.NewReader("abc")),
				Header: http.Header{"X-Value": {value, value}, "Cookie": {value}, "Connection": {value}, "Te": {value}}}}
		raw := string(appendRequest(nil, r))
		if strings.Count(raw, "\r\n\r\n") != 1 || !strings.HasSuffix(raw, "\r\n\r\n") {
			t.Fatalf("more than one head: %q", raw)
		}
		lines := strings.Split(strings.TrimSuffix(raw, "\r\n\r\n"), "\r\n")
		if strings.Count(lines[0], " ") != 2 {
			t.Fatalf("the request line is %q", lines[0])
		}
		for _, line := range lines {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("a line holds a line's end: %q", line)
			}
		}
		in := bufio.NewReader(strings.NewReader(raw + "abc"))
		got, err := http.ReadRequest(in)
		if err != nil {
			return // a server refuses it, say for its host
		}
		if body, err := io.ReadAll(got.Body); err != nil || string(body) != "abc" || in.Buffered() > 0 {
			t.Fatalf("body %q, %v, %d bytes behind it", body, err, in.Buffered())
		}
	})
}

func TestTargetsAreWrittenAsTheyAre(t *testing.T) {
	for target, want := range map[string]string{
		"/a%2f..%2fb;c?x=%00;y": "", "/?a;b=1&c": "", "//x//y/./..": "", "/%zz": "", "/a b": "/a%20b", "/\r\n": "/%0D%0A", "/ä\x7f": "/%C3%A4%7F",
	} {
		if want == "" {
			want = target
		}
		if got := string(appendTarget(nil, target)); got != want {
			t.Errorf("%q is written as %q, want %q", target, got, want)
		}
	}
}

func TestOurTokensAreKnownWhateverTheScheme(t *testing.T) {
	for value, want := range map[string]bool{
		"Bearer slw_a": true, "bearer   slw_a": true, "Bearer\tslw_a": true, "Token slw_a": true, "slw_a": true,
		"Bearer a": false, "Bearer aslw_": false, "Basic c2x3X2E=": false, "": false, "Bearer SLW_a": false,
	} {
		if _, pass := forApp("Authorization", value); pass == want {
			t.Errorf("%q passes: %t", value, pass)
		}
	}
}

func TestAHeaderWithoutOurTokensIsReadWithoutAllocation(t *testing.T) {
	r := &Request{Request: &http.Request{Header: http.Header{
		"Cookie": {"a=b; c=d"}, "Authorization": {"Bearer x"}, "Sec-Websocket-Protocol": {"a, b"}, "X-A": {"slw_", "aslw_b", strings.Repeat("slw", 99)},
	}}}
	passed := 0
	if allocs := testing.AllocsPerRun(100, func() {
		forEachHeader(r, func(_, value string) { passed += len(value) })
	}); allocs > 0 || passed == 0 {
		t.Errorf("%.1f allocations, %d bytes passed", allocs, passed)
	}
}

func FuzzCookies(f *testing.F) {
	f.Add("a=b; slipway-session=x; c=d", "a=b; Domain=apps.test; Path=/")
	f.Add("__Host-slipway-x=1", "=slipway-x=1; path = /instance/")
	f.Add(";;", "a; DOMAIN=.Apps.Test;domain=x;Path=/instance/other/")
	const prefix = "/instance/me/"
	f.Fuzz(func(t *testing.T, sent, set string) {
		for cookie := range strings.SplitSeq(without(sent, ";", isOurCookieOrToken), ";") {
			if isOurCookie(strings.Trim(cookie, " \t")) {
				t.Errorf("%q passes in %q", cookie, sent)
			}
		}
		r := &Request{Request: &http.Request{Host: "shop.apps.test:8080"}, Prefix: prefix}
		value, pass := r.cookie(set)
		if !pass {
			return
		}
		for i, part := range strings.Split(value, ";") {
			name, text, _ := strings.Cut(part, "=")
			text = strings.Trim(text, " \t")
			switch name = strings.ToLower(strings.Trim(name, " \t")); {
			case i == 0 && isOurCookie(name):
				t.Errorf("%q passes", value)
			case i > 0 && name == "domain" && above("shop.apps.test", text):
				t.Errorf("%q has a domain above", value)
			case i > 0 && name == "path" && !strings.HasPrefix(text, prefix):
				t.Errorf("%q has a path outside", value)
			}
		}
	})
}
