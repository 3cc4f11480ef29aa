package access

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// askOrigins asks what pages of other origins reach: apps are siblings of the
// console, and siblings are hostile.
func (w *world) askOrigins(t *testing.T) {
	fiona, in := w.people["fiona"], w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]
	app := "Origin: " + strings.TrimSuffix(in.URL, "/")
	for _, e := range w.edges {
		plain := &http.Client{Transport: e.transport}
		b := fiona.browser(t, e)
		cookie := "Cookie: " + sessionCookie + "=" + b.cookies(t, w.console("/"))[sessionCookie]
		const token = `{"name":"stolen"}`
		for _, c := range []struct {
			method, address, body string
			headers               []string
			status                int
		}{
			// The console's own pages, and what has no page.
			{"GET", w.console("/api/v1/me"), "", []string{"Sec-Fetch-Site: same-origin"}, 200},
			{"GET", w.console("/api/v1/me"), "", []string{"Sec-Fetch-Site: none"}, 200},
			{"GET", w.console("/api/v1/me"), "", nil, 200},
			{"GET", w.console("/api/v1/me"), "", []string{"Origin: " + w.console("")}, 200},
			{"POST", w.console("/api/v1/explain"), `{}`, []string{"Sec-Fetch-Site: same-origin"}, 422},
			// Pages of apps, and of others.
			{"GET", w.console("/api/v1/me"), "", []string{"Sec-Fetch-Site: same-site"}, 401},
			{"GET", w.console("/api/v1/me"), "", []string{"Sec-Fetch-Site: cross-site"}, 401},
			{"GET", w.console("/api/v1/me"), "", []string{app}, 401},
			{"GET", w.console("/api/v1/me"), "", []string{"Origin: null"}, 401},
			{"GET", w.console("/api/v1/me"), "", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: same-site"}, 401},
			{"POST", w.console("/api/v1/tokens"), token, []string{"Sec-Fetch-Site: same-site"}, 403},
			{"POST", w.console("/api/v1/tokens"), token, []string{"Sec-Fetch-Site: cross-site"}, 403},
			{"POST", w.console("/api/v1/tokens"), token, []string{app}, 403},
			{"POST", w.console("/api/v1/tokens"), token, []string{"Sec-Fetch-Site: same-origin", app}, 403},
			{"POST", w.console("/api/v1/tokens"), token, []string{"Origin: null"}, 403},
			{"POST", w.console("/api/v1/tokens"), token, nil, 403},
			{"POST", w.console("/api/v1/logout"), `{"everywhere":true}`, []string{"Sec-Fetch-Site: same-site"}, 403},
			{"DELETE", w.console("/api/v1/instances/" + in.ID), "", []string{"Sec-Fetch-Site: same-site"}, 403},
			{"POST", w.console("/logout"), "everywhere=1", []string{"Sec-Fetch-Site: same-site"}, 403},
			{"POST", w.console("/logout"), "everywhere=1", []string{app}, 403},
			{"POST", w.console("/tokens"), "name=stolen", []string{"Sec-Fetch-Site: cross-site"}, 403},
			{"POST", w.console("/device"), "code=BCDF-GHJK", []string{"Sec-Fetch-Site: same-site"}, 403},
			// The base domain takes no cookies, from nobody.
			{"GET", w.base("/api/v1/me"), "", []string{"Sec-Fetch-Site: same-origin"}, 401},
			{"POST", w.base("/api/v1/tokens"), token, []string{"Sec-Fetch-Site: same-origin"}, 401},
		} {
			t.Run(fmt.Sprintf("%s/%s %s %v", e.name, c.method, strings.ReplaceAll(c.address, w.port, ""), c.headers), func(t *testing.T) {
				kind := "Content-Type: application/json"
				if strings.Contains(c.body, "=") {
					kind = "Content-Type: application/x-www-form-urlencoded"
				}
				a := ask(t, plain, c.method+" "+c.address, c.body, append(c.headers, cookie, kind)...)
				if want := c.status; a.StatusCode != want && (want != 422 || a.StatusCode != 403) {
					t.Errorf("%s", a)
				}
				w.isClosed(t, a)
			})
		}
		t.Run(e.name+"/CORS", func(t *testing.T) {
			bearer := "Authorization: Bearer " + fiona.token
			for _, origin := range []string{app, "Origin: https://evil.example", "Origin: " + w.console(""), "Origin: null"} {
				for _, address := range []string{w.base("/api/v1/me"), w.console("/api/v1/me"), w.base("/api/openapi.json"), w.base("/api/v1/login"), w.base("/api/v1/nothing"), w.console("/"), w.base("/"), w.base("/readyz")} {
					w.isClosed(t, ask(t, plain, "GET "+address, "", origin, bearer))
					w.isClosed(t, ask(t, plain, "GET "+address, "", origin))
					for _, method := range []string{"GET", "POST", "DELETE"} {
						a := ask(t, plain, "OPTIONS "+address, "", origin, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: authorization")
						if w.isClosed(t, a); a.StatusCode/100 == 2 && address != w.base("/readyz") {
							t.Errorf("a preflight of %s is answered: %s", address, a)
						}
					}
				}
			}
		})
		t.Run(e.name+"/GET changes nothing", func(t *testing.T) {
			bearer := "Authorization: Bearer " + w.people["ann"].token
			for _, path := range []string{"/instances/" + in.ID + "/suspend", "/instances/" + in.ID + "/resume", "/instances/" + in.ID + "/ticket", "/logout", "/edge/ticket", "/edge/renew", "/login/device", "/bundles"} {
				for _, method := range []string{"GET", "HEAD"} {
					if a := ask(t, plain, method+" "+w.base("/api/v1"+path), "", bearer); a.StatusCode != http.StatusMethodNotAllowed {
						t.Errorf("%s %s: %s", method, path, a)
					}
				}
			}
			a := ask(t, b.Client, "GET "+w.console("/logout?everywhere=1"), "")
			if a.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("logout: %s", a)
			}
			if a := ask(t, b.Client, "GET "+w.console("/api/v1/me"), ""); a.StatusCode != http.StatusOK {
				t.Errorf("signed out: %s", a)
			}
		})
	}
}

// isClosed wants that no other origin reads an answer.
func (w *world) isClosed(t *testing.T, a *answer) {
	t.Helper()
	for name := range a.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s %s: %s: %s", a.Request.Method, a.Request.URL, name, a.Header.Get(name))
		}
	}
}
