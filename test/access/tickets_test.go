package access

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// askTickets asks what becomes of one-time tickets that are not used as they
// are meant to.
func (w *world) askTickets(t *testing.T) {
	in, other := w.things.instances["ALL_USERS DOMAIN ON_DEMAND"], w.things.instances["ALL_USERS DOMAIN MANAGED"]
	path, otherPath := w.things.instances["ALL_USERS BASE_URL ON_DEMAND"], w.things.instances["ALL_USERS BASE_URL MANAGED"]
	for _, e := range w.edges {
		second := w.edges[0]
		if e == second {
			second = w.edges[1]
		}
		signedIn := func(t *testing.T, name string) *browser {
			b := e.newBrowser(name)
			b.signIn(t)
			return b
		}
		refused := func(t *testing.T, b *browser, ticket string) {
			t.Helper()
			a := ask(t, b.Client, "GET "+ticket, "", "Accept: text/html")
			if a.StatusCode != http.StatusUnauthorized || strings.Contains(strings.Join(a.Header.Values("Set-Cookie"), " "), "slw_p_") {
				t.Errorf("%s %v", a, a.Header)
			}
		}
		// trades uses a ticket as it is meant to be used.
		trades := func(t *testing.T, b *browser, ticket string, in *v1.Instance) {
			t.Helper()
			a := ask(t, b.Client, "GET "+ticket, "", "Accept: text/html")
			if a.StatusCode != http.StatusFound || a.to().String() != in.URL || cookieOf(a, passCookie(in)) == "" {
				t.Errorf("%s %v", a, a.Header)
			}
		}
		for name, ask := range map[string]func(*testing.T){
			"a second time here": func(t *testing.T) {
				b := signedIn(t, "fiona")
				ticket := b.oneTimeTicket(t, in)
				kept := b.cookies(t, in.URL)
				trades(t, b, ticket, in)
				b.keep(t, in.URL, nonceCookie(in), kept[nonceCookie(in)])
				refused(t, b, ticket)
			},
			"a second time at another edge": func(t *testing.T) {
				b := signedIn(t, "fiona")
				ticket := b.oneTimeTicket(t, in)
				kept := b.cookies(t, in.URL)
				trades(t, b, ticket, in)
				b.keep(t, in.URL, nonceCookie(in), kept[nonceCookie(in)])
				refused(t, b.at(second), ticket)
			},
			"at another edge, once": func(t *testing.T) {
				b := signedIn(t, "fiona")
				trades(t, b.at(second), b.oneTimeTicket(t, in), in)
			},
			"without a nonce": func(t *testing.T) {
				refused(t, e.newBrowser("fiona"), signedIn(t, "fiona").oneTimeTicket(t, in))
			},
			"with the nonce of another browser": func(t *testing.T) {
				ours, theirs := signedIn(t, "fiona"), signedIn(t, "victor")
				ask(t, theirs.Client, "GET "+in.URL, "", "Accept: text/html") // gives a nonce
				if theirs.cookies(t, in.URL)[nonceCookie(in)] == "" {
					t.Fatal("there is no nonce")
				}
				ticket := ours.oneTimeTicket(t, in)
				refused(t, theirs, ticket)
				refused(t, ours, ticket) // what was tried is spent
			},
			"on the host of another instance": func(t *testing.T) {
				b := signedIn(t, "fiona")
				ask(t, b.Client, "GET "+other.URL, "", "Accept: text/html")
				ticket := b.oneTimeTicket(t, in)
				nonce := b.cookies(t, in.URL)[nonceCookie(in)]
				b.keep(t, other.URL, nonceCookie(other), nonce)
				refused(t, b, strings.Replace(ticket, in.ID, other.ID, 1))
			},
			"at the path of another instance": func(t *testing.T) {
				b := signedIn(t, "fiona")
				ticket := b.oneTimeTicket(t, path)
				b.keep(t, otherPath.URL, nonceCookie(otherPath), b.cookies(t, path.URL)[nonceCookie(path)])
				refused(t, b, strings.Replace(ticket, path.ID, otherPath.ID, 1))
			},
			"unknown": func(t *testing.T) {
				b := signedIn(t, "fiona")
				b.oneTimeTicket(t, in)
				refused(t, b, in.URL+".slipway/ticket?ticket=slw_o_"+strings.Repeat("a", 26)+"&rest=/")
			},
			"by POST": func(t *testing.T) {
				b := signedIn(t, "fiona")
				ticket := b.oneTimeTicket(t, in)
				if a := ask(t, b.Client, "POST "+ticket, ""); a.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s", a)
				}
				trades(t, b, ticket, in)
			},
			"of a session that has ended": func(t *testing.T) {
				b := signedIn(t, "fiona")
				ticket := b.oneTimeTicket(t, in)
				b.signOut(t, false)
				refused(t, b, ticket)
			},
			"by no navigation": func(t *testing.T) {
				b := signedIn(t, "fiona")
				a := ask(t, b.Client, "GET "+in.URL, "", "Accept: text/html")
				if a = ask(t, b.Client, "GET "+a.to().String(), "", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-site"); a.StatusCode != http.StatusForbidden {
					t.Errorf("%s", a)
				}
			},
		} {
			t.Run(e.name+"/"+name, ask)
		}
	}
}

// keep puts a cookie into the browser, as the host of an address would, or
// removes it where it is empty.
func (b *browser) keep(t *testing.T, address, name, value string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	cookie := http.Cookie{Name: name, Value: value, Path: "/", Secure: true}
	if value == "" {
		cookie.MaxAge = -1
	}
	b.Jar.SetCookies(u, []*http.Cookie{&cookie})
}

// signOut sends the console's form.
func (b *browser) signOut(t *testing.T, everywhere bool) {
	t.Helper()
	form := ""
	if everywhere {
		form = "everywhere=1"
	}
	a := ask(t, b.Client, "POST "+b.edge.world.console("/logout"), form, "Content-Type: application/x-www-form-urlencoded",
		"Origin: "+b.edge.world.console(""), "Sec-Fetch-Site: same-origin")
	if a.StatusCode != http.StatusOK || !isCleared(a, sessionCookie) {
		t.Fatalf("sign out: %s %v", a, a.Header)
	}
}

// askWaysBack asks where a sign-in leads to: to the very URL, and never to a
// host that is not ours.
func (w *world) askWaysBack(t *testing.T) {
	in, path := w.things.instances["ALL_USERS DOMAIN ON_DEMAND"], w.things.instances["ALL_USERS BASE_URL ON_DEMAND"]
	rests := map[string]string{
		"nothing": "", "slashes": "a//b///c", "leading slash": "/evil.example/x", "escaped slash": "%2f%2Fe/%2e", "ampersands": "a?x=1&y=%26&&z",
		"pluses": "a+b?c+d=%2B", "semicolons": "p;v=1?a;b=2;c", "question marks": "a?b?c", "a lone question mark": "a?", "escapes": "%C3%A4?q=%C3%A4%22%3C",
		"looks like ours": "login?next=//evil.example&rest=x&nonce=y&ticket=z", "a percent": "%25?%2525", "10 KB": "x?q=" + strings.Repeat("a%20b;c&d+", 1000),
	}
	for _, e := range w.edges {
		signedIn := e.newBrowser("fiona")
		signedIn.signIn(t)
		for name, rest := range rests {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				for _, in := range []*v1.Instance{in, path} {
					_, after, _ := strings.Cut(strings.TrimPrefix(in.URL, "https://"), "/")
					want := "/" + after + rest
					nobody := e.newBrowser("fiona")
					a := nobody.page(t, in.URL+rest)
					a = nobody.follow(t, nobody.pass(t, a))
					if got := a.echo().URI; got != want {
						t.Errorf("%s by way of the provider: %.200q, want %.200q", in.RoutingMode, got, want)
					}
					signedIn.keep(t, in.URL, passCookie(in), "") // as if it had never been there
					if got := signedIn.page(t, in.URL+rest).echo().URI; got != want {
						t.Errorf("%s: %.200q, want %.200q", in.RoutingMode, got, want)
					}
				}
			})
		}
		for _, next := range []string{
			"//e", "//evil.example/open/", `/\e`, `\\e`, "https:e", "https://evil.example", "https:///evil.example", "%2f%2fe", "/%2f%2fe", "/%5ce", "\t//e", "/\t/e",
			"/\r\n//e", "/\r\nLocation: https://e", "@e", "/@e", "//@e", "/.//e", "/..//e", "/open/../..//e", "javascript:alert(1)", "data:,x", " //e", "/ /e", "/\x00/e",
			"http://" + domain + "@evil.example/", w.console("/tokens"), w.console("") + "@e/", "/login?next=//e", "/callback", "/logout", "/tokens#//e", "/tokens/../..//e",
			"/open/" + in.ID + "/..//e", "／／e", "/open/" + in.ID + "?rest=//e&nonce=" + strings.Repeat("0", 64),
		} {
			t.Run(e.name+"/login next="+url.QueryEscape(next), func(t *testing.T) {
				address := w.console("/login?next=" + url.QueryEscape(next))
				a := ask(t, signedIn.Client, "GET "+address, "", "Accept: text/html")
				if a.StatusCode != http.StatusFound || !w.isOurs(a.to()) || a.to().Host != "console."+domain+":"+w.port {
					t.Errorf("who is signed in: %s", a)
				}
				nobody := e.newBrowser("fiona")
				a = nobody.pass(t, ask(t, nobody.Client, "GET "+address, ""))
				if a.StatusCode != http.StatusFound || !w.isOurs(a.to()) || a.to().Host != "console."+domain+":"+w.port || len(a.Header.Values("Location")) != 1 {
					t.Errorf("by way of the provider: %s", a)
				}
			})
		}
		for _, rest := range []string{"//e", `/\e`, "https:e", "https://evil.example", "%2f%2fe", "/%2f%2fe", "/\te", "\t//e", "/\r\nLocation: https://e", "@e", "/@e", ".evil.example/", ":1/", "", " /e", "/..//e", "/../../e"} {
			t.Run(e.name+"/open rest="+url.QueryEscape(rest), func(t *testing.T) {
				for _, in := range []*v1.Instance{in, path} {
					host := strings.SplitN(strings.TrimPrefix(in.URL, "https://"), "/", 2)[0]
					signedIn.keep(t, in.URL, passCookie(in), "")
					a := ask(t, signedIn.Client, "GET "+in.URL, "", "Accept: text/html")
					if a.StatusCode != http.StatusFound {
						t.Fatalf("%s", a)
					}
					nonce := a.to().Query().Get("nonce")
					a = ask(t, signedIn.Client, "GET "+w.console("/open/"+in.ID+"?nonce="+nonce+"&rest="+url.QueryEscape(rest)), "", "Accept: text/html")
					if a.StatusCode/100 == 4 {
						a = ask(t, signedIn.Client, "GET "+signedIn.oneTimeTicket(t, in)+"&rest=x", "", "Accept: text/html")
					} else if a.to().Host == host {
						a = ask(t, signedIn.Client, "GET "+a.to().String(), "", "Accept: text/html")
					}
					if a.StatusCode != http.StatusFound || a.to().Scheme != "https" || a.to().Host != host || a.to().User != nil {
						t.Errorf("%s: %s", in.RoutingMode, a)
					}
					// The edge believes no console either.
					ticket := signedIn.ticketAgain(t, in)
					u, err := url.Parse(ticket)
					if err != nil {
						t.Fatal(err)
					}
					u.RawQuery = url.Values{"ticket": {u.Query().Get("ticket")}, "rest": {rest}}.Encode()
					a = ask(t, signedIn.Client, "GET "+u.String(), "", "Accept: text/html")
					if a.StatusCode != http.StatusFound || a.to().Scheme != "https" || a.to().Host != host || a.to().User != nil || !strings.HasPrefix(a.to().String(), in.URL) {
						t.Errorf("%s, at the edge: %s", in.RoutingMode, a)
					}
				}
			})
		}
	}
}

// ticketAgain is oneTimeTicket for who has been there.
func (b *browser) ticketAgain(t *testing.T, in *v1.Instance) string {
	t.Helper()
	b.keep(t, in.URL, passCookie(in), "")
	return b.oneTimeTicket(t, in)
}
