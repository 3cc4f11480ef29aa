package upstreamtest

import (
	"net/http"
	"strings"
)

func targetCases() (cases []testCase) {
	cases = append(cases, testCase{name: "a request line for a method", run: func(f *fixture) {
		f.start(answering(ok))
		s := f.stream([2]string{":method", "GET /evil HTTP/1.1"}, [2]string{":scheme", "http"}, [2]string{":path", "/"}, [2]string{":authority", Host})
		if frame, err := s.ReadFrame(); err != nil || frame == nil {
			return
		}
		if status := s.status(); status[0] == '2' {
			f.errorf("the app answers %s", status)
		}
		equal(f, "connections of the app", f.app.conns.Load(), 0)
	}})
	for name, target := range map[string]string{
		"target with escapes":           "/a%2f..%2fb;c/%2e%2e/d?x=%00;y",
		"target with semicolons":        "/?a;b=1&c",
		"target with an empty query":    "/x?",
		"target with double slashes":    "//evil.example/a//b/./../c",
		"target with escapes' case":     "/%c3%A4%7e",
		"target with query order":       "/?b=2&a=1&b=+%20%2B",
		"target with reserved bytes":    "/a!$&'()*+,;=:@b?/?",
		"target with a question's mark": "/a%3Fb?c?d",
	} {
		cases = append(cases, testCase{name: name, run: func(f *fixture) {
			lines := make(chan string, 1)
			f.start(func(c *appConn) {
				if head, err := c.head(); err == nil {
					line, _, _ := strings.Cut(head, "\r\n")
					lines <- line
					c.send(ok)
				}
			})
			v := f.visit()
			v.get(target)
			v.whole("GET")
			equal(f, "the request line", await(f, "the request", lines), "GET "+target+" HTTP/1.1")
		}})
	}
	return cases
}

// ourToken is formed as a personal token of Slipway's is.
const ourToken = "slw_ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ"

// headerCases are what of a request's header reaches the app: each field of
// want is there, or is not if its value is empty.
func headerCases() (cases []testCase) {
	for _, c := range []struct{ name, header, want string }{
		{"host as received", "", "Host: " + Host},
		{"nothing is added", "", "User-Agent:;Accept-Encoding:;Via:;Connection:;Te:;Content-Length:"},
		{"forwarded headers are ours", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\n",
			"X-Forwarded-For: 127.0.0.1;X-Forwarded-Host: " + Host + ";X-Forwarded-Proto: http"},
		{"forwarded headers survive Connection", "Connection: X-Forwarded-For, close\r\n", "X-Forwarded-For: 127.0.0.1"},
		{"headers of the origin go", "Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX-Original-URL: /\r\nX-Rewrite-URL: /\r\nX-Forwarded-Prefix: /\r\nProxy: x\r\n",
			"Forwarded:;X-Real-Ip:;X-Original-Url:;X-Rewrite-Url:;X-Forwarded-Prefix:;Proxy:"},
		{"identity goes in any spelling", "x-slipway-USER: root\r\nX-Slipway-Email: a@b\r\nX-SLIPWAY-ROLES: admin\r\nX_Slipway_User: root\r\nX.Slipway.User: root\r\n",
			"X-Slipway-User:;X-Slipway-Email:;X-Slipway-Roles:;X_slipway_user:;X.slipway.user:"},
		{"hop-by-hop headers go", "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nProxy-Connection: x\r\nTE: gzip\r\n",
			"X-Hop:;Keep-Alive:;Proxy-Authorization:;Proxy-Connection:;Te:;Connection:"},
		{"trailers are announced as wanted", "TE: trailers, deflate\r\nConnection: TE\r\n", "Connection:"},
		{"the app's own stay", "Authorization: Basic eDp5\r\nCookie: a=b; c=d\r\nAccept-Encoding: br\r\nUser-Agent: x\r\n",
			"Authorization: Basic eDp5;Cookie: a=b; c=d;Accept-Encoding: br;User-Agent: x"},
		{"our cookies go", "Cookie: a=b; slipway-session=x; __Host-slipway-ticket=y; c=d\r\n", "Cookie: a=b; c=d"},
		{"our cookies go in any case", "Cookie: __HOST-Slipway-x=y\r\n", "Cookie:"},
		{"our tokens go", "Authorization: bearer slw_abc\r\n", "Authorization:"},
		{"our tokens go in any spelling", "Authorization: token=slw_abc\r\nX-Auth-Token: " + ourToken + "\r\nX-Api-Key: \"" + ourToken + "\"\r\nX-A: Bearer," + ourToken +
			"\r\nX-B: \xc2\xa0" + ourToken + "\r\nReferer: http://a/?access_token=" + ourToken + "&b\r\nX-Forwarded-Authorization: Bearer " + ourToken + "\r\n",
			"Authorization:;X-Auth-Token:;X-Api-Key:;X-A:;X-B:;Referer:;X-Forwarded-Authorization:"},
		{"a quoted token goes", "Authorization: Bearer \"" + ourToken + "\"\r\n", "Authorization:"},
		{"our tokens go from among cookies", "Cookie: a=b; token=" + ourToken + "; t=%22" + ourToken + "%22; c=d\r\n", "Cookie: a=b; c=d"},
		{"our tokens go from among protocols", "Sec-WebSocket-Protocol: chat, bearer." + ourToken + ",v2\r\n", "Sec-Websocket-Protocol: chat, v2"},
		{"our token as the only protocol", "Sec-WebSocket-Protocol: " + ourToken + "\r\n", "Sec-Websocket-Protocol:"},
		{"what is none of our tokens stays", "X-A: slw_abc\r\nX-B: my" + ourToken + "\r\nX-C: SLW\r\nAuthorization: Bearer xslw_abc\r\nSec-WebSocket-Protocol: a,b\r\n",
			"X-A: slw_abc;X-B: my" + ourToken + ";X-C: SLW;Authorization: Bearer xslw_abc;Sec-Websocket-Protocol: a,b"},
		{"h2c is no upgrade", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n",
			"Upgrade:;Connection:;Http2-Settings:"},
		{"two values stay two", "X-A: 1\r\nX-A: 2\r\n", "X-A: 1|2"},
	} {
		cases = append(cases, testCase{name: c.name, run: func(f *fixture) {
			seen := make(chan *received, 1)
			f.start(func(conn *appConn) {
				if r, err := conn.request(); err == nil {
					r.Header.Set("Host", r.Host)
					if _, has := r.Header["Connection"]; !has && r.Close {
						r.Header.Set("Connection", "close") // the parser took it out
					}
					seen <- r
					conn.send(ok)
				}
			})
			v := f.visit()
			v.send("GET / HTTP/1.1\r\nHost: " + Host + "\r\n" + c.header + "\r\n")
			v.whole("GET")
			r := await(f, "the request", seen)
			for field := range strings.SplitSeq(c.want, ";") {
				if !strings.Contains(field, ":") {
					continue
				}
				checkRaw(f, r.Header, c.want, field)
			}
		}})
	}
	return cases
}

// checkRaw is checkField for a list that is split at semicolons: a value with
// one is looked for as a whole.
func checkRaw(f *fixture, h http.Header, all, field string) {
	name, _, _ := strings.Cut(field, ":")
	if name == "Cookie" {
		_, value, _ := strings.Cut(all, "Cookie:")
		value, _, _ = strings.Cut(value, ";Accept")
		checkValues(f, h, name, strings.TrimSpace(value))
		return
	}
	_, value, _ := strings.Cut(field, ":")
	checkValues(f, h, name, strings.TrimSpace(value))
}

func checkValues(f *fixture, h http.Header, name, want string) {
	if got := strings.Join(h[http.CanonicalHeaderKey(name)], "|"); got != want {
		f.errorf("the app's %s is %q, want %q", name, got, want)
	}
}

// prefix is that of an app in BASE_URL mode.
const prefix = "/instance/0000aaaa-0000-4000-8000-00000000abcd/"

// visitorHeaderCases are what of an answer's header reaches the visitor.
func visitorHeaderCases() (cases []testCase) {
	const other = "/instance/0000bbbb-0000-4000-8000-00000000abcd/"
	for _, c := range []struct{ name, prefix, sent, want string }{
		{"cookie of the host", "", "Set-Cookie: a=b; Path=/x; HttpOnly", "Set-Cookie: a=b; Path=/x; HttpOnly"},
		{"cookie with the app's own domain", "", "Set-Cookie: a=b; Domain=" + Host, "Set-Cookie: a=b; Domain=" + Host},
		{"cookie for the domain above", "", "Set-Cookie: a=b; Domain=.Apps.test; Secure", "Set-Cookie: a=b; Secure"},
		{"cookie of our name", "", "Set-Cookie: slipway-session=x", "Set-Cookie:"},
		{"cookie of our name with the host prefix", "", "Set-Cookie: __host-Slipway-x=y; Path=/; Secure", "Set-Cookie:"},
		{"cookie without a name", "", "Set-Cookie: =slipway-session=x", "Set-Cookie:"},
		{"cookie held inside", prefix, "Set-Cookie: a=b; Path=/", "Set-Cookie: a=b; Path=" + prefix},
		{"cookie with a path inside", prefix, "Set-Cookie: a=b; path=" + prefix + "x", "Set-Cookie: a=b; Path=" + prefix + "x"},
		{"cookie for another instance", prefix, "Set-Cookie: a=b; Path=" + other, "Set-Cookie:"},
		{"service worker at a host", "", "Service-Worker-Allowed: /", "Service-Worker-Allowed: /"},
		{"service worker inside", prefix, "Service-Worker-Allowed: " + prefix, "Service-Worker-Allowed: " + prefix},
		{"service worker beyond", prefix, "Service-Worker-Allowed: /", "Service-Worker-Allowed:"},
		{"service worker with hidden dots", prefix, "Service-Worker-Allowed: " + prefix + ".\t./", "Service-Worker-Allowed:"},
		{"clearing caches", "", `Clear-Site-Data: "cache", "storage"`, `Clear-Site-Data: "cache", "storage"`},
		{"clearing cookies", "", `Clear-Site-Data: "cache", "cookies"`, "Clear-Site-Data:"},
		{"clearing all", "", `Clear-Site-Data: "*"`, "Clear-Site-Data:"},
		{"clearing others' storage", prefix, `Clear-Site-Data: "storage"`, "Clear-Site-Data:"},
		{"NEL", "", `NEL: {"report_to":"x"}`, "Nel:"},
		{"Report-To", "", `Report-To: {}`, "Report-To:"},
		{"Alt-Svc", "", `Alt-Svc: h3=":443"`, "Alt-Svc:"},
		{"Strict-Transport-Security", "", "Strict-Transport-Security: max-age=9", "Strict-Transport-Security:"},
		{"hop-by-hop headers of the answer", "", "Connection: X-Hop\r\nX-Hop: 1", "X-Hop:"},
		{"location as it is", "", "Location: //else.example/%2f", "Location: //else.example/%2f"},
	} {
		cases = append(cases, testCase{name: c.name, run: func(f *fixture) {
			f.startAt(c.prefix, answering("HTTP/1.1 200 OK\r\n"+c.sent+"\r\nContent-Length: 2\r\n\r\nok"))
			v := f.visit()
			v.get(c.prefix + "/")
			resp, _ := v.whole("GET")
			checkField(f, resp.Header, c.want)
		}})
	}
	return cases
}
