package access

import (
	"net/http"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// cookieOf is the line of an answer that sets a cookie.
func cookieOf(a *answer, name string) string {
	for _, line := range a.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, name+"=") {
			return line
		}
	}
	return ""
}

// isHostCookie reports whether the line is as spec access.md §6 has it.
func isHostCookie(line string) bool {
	for _, part := range []string{"; Path=/;", "; HttpOnly;", "; Secure;", "; SameSite=Lax;"} {
		if !strings.Contains(line+";", part) {
			return false
		}
	}
	return strings.HasPrefix(line, "__Host-slipway-") && !strings.Contains(strings.ToLower(line), "domain=")
}

func isCleared(a *answer, name string) bool {
	line := cookieOf(a, name)
	return isHostCookie(line) && strings.HasPrefix(line, name+"=;") && strings.Contains(line, "Max-Age=0")
}

// askCookies asks what cookies are set, and what comes of those that are good
// for nothing.
func (w *world) askCookies(t *testing.T) {
	fiona := w.people["fiona"]
	in, other := w.things.instances["ALL_USERS DOMAIN ON_DEMAND"], w.things.instances["ALL_USERS DOMAIN MANAGED"]
	path, otherPath := w.things.instances["ALL_USERS BASE_URL ON_DEMAND"], w.things.instances["ALL_USERS BASE_URL MANAGED"]
	public := w.things.instances["PUBLIC DOMAIN ON_DEMAND"]
	for _, e := range w.edges {
		plain := &http.Client{Transport: e.transport} // without a jar
		t.Run(e.name+"/attributes", func(t *testing.T) {
			b := e.newBrowser("fiona")
			a := b.pass(t, ask(t, b.Client, "GET "+w.console("/login?next=/"), ""))
			if line := cookieOf(a, sessionCookie); !isHostCookie(line) {
				t.Errorf("the console's: %q", line)
			}
			for _, in := range []*v1.Instance{in, path} {
				a = ask(t, b.Client, "GET "+in.URL, "", "Accept: text/html")
				if line := cookieOf(a, nonceCookie(in)); !isHostCookie(line) {
					t.Errorf("the nonce of %s: %q", in.RoutingMode, line)
				}
				a = ask(t, b.Client, "GET "+b.oneTimeTicket(t, in), "", "Accept: text/html")
				if line := cookieOf(a, passCookie(in)); !isHostCookie(line) || !maxAgeIs(line, 14*60, 15*60) {
					t.Errorf("the pass of %s: %q", in.RoutingMode, line)
				}
				if !isCleared(a, nonceCookie(in)) {
					t.Errorf("the nonce stays: %v", a.Header)
				}
			}
		})
		b := e.newBrowser("fiona")
		b.signIn(t)
		for _, in := range []*v1.Instance{in, other, path, otherPath} {
			b.enter(t, in)
		}
		pass := b.cookies(t, in.URL)[passCookie(in)]
		session := b.cookies(t, w.console("/"))[sessionCookie]
		program := fiona.ticket(t, e, in)
		otherProgram := bearerOf(t, fiona.ticket(t, e, other))
		if pass == "" || session == "" {
			t.Fatal("there are no cookies")
		}
		for name, c := range map[string]struct {
			in     *v1.Instance
			cookie string
		}{
			"of another instance":               {other, passCookie(other) + "=" + pass},
			"of another instance, by path":      {otherPath, passCookie(otherPath) + "=" + b.cookies(t, path.URL)[passCookie(path)]},
			"twice":                             {in, passCookie(in) + "=" + pass + "; " + passCookie(in) + "=" + pass},
			"twice, once empty":                 {in, passCookie(in) + "=; " + passCookie(in) + "=" + pass},
			"unreadable":                        {in, passCookie(in) + "=slw_p_e30.e30.e30"},
			"the session's":                     {in, passCookie(in) + "=" + session},
			"a program's ticket":                {in, passCookie(in) + "=" + strings.TrimPrefix(bearerOf(t, program), "Authorization: Bearer ")},
			"a personal token":                  {in, passCookie(in) + "=" + fiona.token},
			"with a signature of another pass":  {in, passCookie(in) + "=" + pass[:strings.LastIndexByte(pass, '.')] + b.cookies(t, other.URL)[passCookie(other)][strings.LastIndexByte(b.cookies(t, other.URL)[passCookie(other)], '.'):]},
			"with the payload of another pass":  {other, passCookie(other) + "=" + pass},
			"of the right name on another host": {otherPath, passCookie(in) + "=" + pass},
		} {
			t.Run(e.name+"/pass "+name, func(t *testing.T) {
				ours := strings.HasPrefix(c.cookie, passCookie(c.in))
				a := ask(t, plain, "GET "+c.in.URL, "", "Accept: text/html", "Cookie: "+c.cookie)
				if a.StatusCode != http.StatusFound || !strings.HasPrefix(a.to().String(), w.console("/open/")) || ours != isCleared(a, passCookie(c.in)) {
					t.Errorf("a page: %s %v", a, a.Header)
				}
				bare := ask(t, plain, "GET "+c.in.URL, "")
				a = ask(t, plain, "GET "+c.in.URL, "", "Cookie: "+c.cookie)
				if a.StatusCode != http.StatusUnauthorized || string(a.body) != string(bare.body) {
					t.Errorf("a program: %s; without a cookie: %s", a, bare)
				}
			})
		}
		for name, authorization := range map[string]string{
			"a ticket of another instance": otherProgram, "a personal token": "Authorization: Bearer " + fiona.token,
			"a pass of a cookie": "Authorization: Bearer " + pass, "a session": "Authorization: Bearer " + session,
		} {
			t.Run(e.name+"/bearer "+name, func(t *testing.T) {
				a := ask(t, plain, "GET "+in.URL, "", authorization)
				if a.StatusCode != http.StatusUnauthorized || a.problem().Code != "invalid_token" || !strings.Contains(a.Header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s %v", a, a.Header)
				}
			})
		}
		for name, cookie := range map[string]string{
			"twice": sessionCookie + "=" + session + "; " + sessionCookie + "=" + session, "unknown": sessionCookie + "=slw_s_" + strings.Repeat("a", 26),
			"of an instance": sessionCookie + "=" + pass, "empty": sessionCookie + "=",
		} {
			t.Run(e.name+"/session "+name, func(t *testing.T) {
				a := ask(t, plain, "GET "+w.console("/tokens"), "", "Accept: text/html", "Cookie: "+cookie)
				if a.StatusCode != http.StatusFound || a.to().Path != "/login" || !isCleared(a, sessionCookie) {
					t.Errorf("a page: %s %v", a, a.Header)
				}
				a = ask(t, plain, "GET "+w.console("/api/v1/me"), "", "Sec-Fetch-Site: same-origin", "Cookie: "+cookie)
				if a.StatusCode != http.StatusUnauthorized {
					t.Errorf("the API: %s", a)
				}
			})
		}
		t.Run(e.name+"/apps see none", func(t *testing.T) {
			for _, in := range []*v1.Instance{in, public} {
				a := ask(t, plain, "GET "+in.URL, "", bearerOf(t, fiona.ticket(t, e, in)), "X-Token: slw_x",
					"Cookie: a=1; "+sessionCookie+"="+session+"; "+passCookie(in)+"="+pass+"; b=2; "+nonceCookie(in)+"=N; slipway-x="+fiona.token)
				got := a.echo()
				if got.Header.Get("Authorization") != "" || strings.Contains(strings.ReplaceAll(string(got.Raw), "X-Token: slw_x", ""), "slw_") ||
					got.Header.Get("Cookie") != "a=1; b=2" {
					t.Errorf("%s", got.Raw)
				}
				a = ask(t, plain, "GET "+public.URL, "", "Authorization: Basic YTpi")
				if got := a.echo().Header.Get("Authorization"); got != "Basic YTpi" {
					t.Errorf("an app's own credentials: %q", got)
				}
			}
		})
		t.Run(e.name+"/WebSocket", func(t *testing.T) {
			origin := strings.TrimSuffix(in.URL, "/")
			for header, want := range map[string]int{
				"Origin: " + origin: 101, "Origin: " + strings.TrimSuffix(other.URL, "/"): 403, "Origin: ": 403, "Origin: null": 403,
				"Origin: " + w.base(""): 403, "Origin: " + w.console(""): 403, "Origin: https://evil.example": 403,
				"Origin: " + strings.Replace(origin, "https:", "http:", 1): 403,
			} {
				_, resp, err := b.trySocket(t, in.URL, header)
				if resp == nil || resp.StatusCode != want {
					t.Errorf("%s: %v %v, want %d", header, resp, err, want)
				}
			}
			if _, resp, err := e.newBrowser("").trySocket(t, in.URL, "Origin: ", bearerOf(t, program)); err != nil {
				t.Errorf("a program's: %v %v", resp, err)
			}
			if _, resp, _ := e.newBrowser("").trySocket(t, in.URL); resp == nil || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("nobody's: %v", resp)
			}
		})
	}
}

// maxAgeIs reports whether the life of a cookie lies between two seconds.
func maxAgeIs(line string, from, to int) bool {
	cookie, err := http.ParseSetCookie(line)
	return err == nil && cookie.MaxAge >= from && cookie.MaxAge <= to
}
