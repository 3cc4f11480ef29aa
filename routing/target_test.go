package routing

import "testing"

// TestMethodsAndTargets is §4's first two steps and §5's request target.
func TestMethodsAndTargets(t *testing.T) {
	const host = dom + ".apps.example.com"
	for _, tc := range []struct {
		name string
		r    Request
		want string
	}{
		{"TRACE", Request{Method: "TRACE", Host: host, Target: "/"}, "405"},
		{"TRACE before the host", Request{Method: "TRACE", Target: "/"}, "405"},
		{"CONNECT", Request{Method: "CONNECT", Host: host, Target: "example.com:443"}, "405"},
		{"CONNECT before the host", Request{Method: "CONNECT", Host: "[::1]", Target: "/"}, "405"},
		{"extended CONNECT", Request{Method: "CONNECT", Protocol: "websocket", Host: host, Target: "/s"}, "serve /s"},
		{"extended CONNECT, else", Request{Method: "CONNECT", Protocol: "connect-udp", Host: host, Target: "/"}, "501"},
		{"OPTIONS *", Request{Method: "OPTIONS", Host: host, Target: "*"}, "200"},
		{"OPTIONS * to an unknown host", Request{Method: "OPTIONS", Host: "example.net", Target: "*"}, "200"},
		{"OPTIONS of a path", Request{Method: "OPTIONS", Host: host, Target: "/a"}, "serve /a"},
		{"GET *", Request{Method: "GET", Host: host, Target: "*"}, "400"},
		{"any other method", Request{Method: "PROPFIND", Host: host, Target: "/a"}, "serve /a"},

		{"absolute form", Request{Method: "GET", Host: "nobody.invalid", Target: "http://" + host + "/a?b"}, "serve /a"},
		{"absolute form over a broken Host", Request{Method: "GET", Host: "[::1]", Target: "http://" + host + "/a"}, "serve /a"},
		{"absolute form, upper case", Request{Method: "GET", Host: host, Target: "HTTPS://" + host + ":1/a"}, "serve /a"},
		{"absolute form, no path", Request{Method: "GET", Host: host, Target: "http://" + host}, "serve /"},
		{"absolute form, only a query", Request{Method: "GET", Host: host, Target: "http://" + host + "?a"}, "serve /"},
		{"absolute form, no host", Request{Method: "GET", Host: host, Target: "http:///a"}, "400"},
		{"absolute form, userinfo", Request{Method: "GET", Host: host, Target: "http://u@" + host + "/a"}, "400"},
		{"absolute form, another scheme", Request{Method: "GET", Host: host, Target: "ftp://" + host + "/a"}, "400"},
		{"absolute form, backslash", Request{Method: "GET", Host: host, Target: `http://` + host + `\a`}, "400"},
		{"absolute form, unknown host", Request{Method: "GET", Host: host, Target: "http://example.net/a"}, "404"},
		{"no slash", Request{Method: "GET", Host: host, Target: "a"}, "400"},
		{"only a query", Request{Method: "GET", Host: host, Target: "?a"}, "400"},
		{"empty", Request{Method: "GET", Host: host}, "400"},
		{"fragment", Request{Method: "GET", Host: host, Target: "/a#b"}, "400"},
		{"fragment after the authority", Request{Method: "GET", Host: host, Target: "http://" + host + "#b"}, "400"},
		{"control character", Request{Method: "GET", Host: host, Target: "/a\nb"}, "400"},
		{"control character in the query", Request{Method: "GET", Host: host, Target: "/?a\x00"}, "400"},
		{"DEL", Request{Method: "GET", Host: host, Target: "/a\x7f"}, "400"},
		{"half an escape", Request{Method: "GET", Host: host, Target: "/a%2"}, "400"},
		{"bare percent sign", Request{Method: "GET", Host: host, Target: "/a%"}, "400"},
		{"escape without digits", Request{Method: "GET", Host: host, Target: "/a%zz"}, "400"},
		{"invalid escape in the query", Request{Method: "GET", Host: host, Target: "/a?100%"}, "400"},
		{"escaped control characters", Request{Method: "GET", Host: host, Target: "/a%00%0d%0a"}, "serve /a%00%0d%0a"},
		{"all that a URI may not hold", Request{Method: "GET", Host: host, Target: "/\"<>\\^`{|} \x80"}, "serve /\"<>\\^`{|} \x80"},
		{"as received", Request{Method: "GET", Host: host, Target: "/a%2f..%2fb;c/%2e%2e/d?x=%00;y"}, "serve /a%2f..%2fb;c/%2e%2e/d"},
		{"two slashes", Request{Method: "GET", Host: host, Target: "//evil.example/a"}, "serve //evil.example/a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := short(testTable(t).Decide(testSite(t, false), tc.r)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
