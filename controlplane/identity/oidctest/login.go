package oidctest

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page is every page of the provider. Forms go to the address of their page.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<h1>{{.Title}}</h1>
{{with .Fault}}<p id="fault" role="alert">{{.}}</p>{{end}}
{{if .Button}}<form method="post">
<p><label>User name <input id="username" name="username" value="{{.Username}}" autocomplete="username" required autofocus></label></p>
<p><button id="continue" type="submit">{{.Button}}</button></p>
</form>{{end}}
</html>
`))

type content struct{ Title, Button, Fault, Username string }

func show(w http.ResponseWriter, status int, c content) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = page.Execute(w, c) // the browser is gone
}

// cookieName has the port: cookies do not, and a browser may know two
// providers on one host.
func (p *Provider) cookieName() string {
	return "oidctest_" + p.address[strings.LastIndexByte(p.address, ':')+1:]
}

// cookie is the value of the browser's cookie, empty without any.
func (p *Provider) cookie(r *http.Request) string {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

func (p *Provider) setCookie(w http.ResponseWriter, s *session) {
	http.SetCookie(w, &http.Cookie{Name: p.cookieName(), Value: s.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// request is what a client has sent a browser for (OpenID Connect Core 1.0
// §3.1.2.1).
type request struct {
	form  url.Values
	asked time.Time
	hint  string // subject of the id_token_hint
}

// authorize has the engine check what a client asks for, and sends the browser
// on to the form.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	asked := &request{form: r.Form, asked: time.Now()}
	if p.pass(w, question{Do: "check", Form: asked.form.Encode()}) {
		return
	}
	asked.hint, _ = p.readHint(asked.form.Get("id_token_hint"))["sub"].(string)
	id := rand.Text()
	p.mu.Lock()
	p.requests[id] = asked
	p.mu.Unlock()
	http.Redirect(w, r, loginPath+"?"+url.Values{"request": {id}}.Encode(), http.StatusSeeOther)
}

const answered = "This sign-in has been answered, or was never asked for."

// showLogin answers a request at once where the browser's session may, and
// shows the form otherwise, unless that is forbidden.
func (p *Provider) showLogin(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("request")
	p.mu.Lock()
	asked, ok := p.requests[id]
	if !ok {
		p.mu.Unlock()
		show(w, http.StatusBadRequest, content{Title: "Sign in", Fault: answered})
		return
	}
	s := p.sessions[p.cookie(r)]
	silent := s != nil && s.alive() && asked.accepts(s)
	forbidden := !silent && asked.prompt("none")
	if silent || forbidden {
		delete(p.requests, id)
	}
	p.mu.Unlock()
	switch {
	case silent:
		p.grant(w, asked, s)
	case forbidden:
		p.pass(w, question{Do: "refuse", Form: asked.form.Encode()})
	default:
		show(w, http.StatusOK, content{Title: "Sign in", Button: "Sign in", Username: asked.form.Get("login_hint")})
	}
}

// prompt reports whether the client asks for this prompt.
func (r *request) prompt(value string) bool {
	return slices.Contains(strings.Fields(r.form.Get("prompt")), value)
}

// accepts reports whether a session may answer the request without the user.
func (r *request) accepts(s *session) bool {
	maxAge, err := strconv.Atoi(r.form.Get("max_age"))
	return !r.prompt("login") && !r.prompt("select_account") &&
		(err != nil || time.Since(s.authTime) <= time.Duration(maxAge)*time.Second) &&
		(r.hint == "" || r.hint == s.user.Subject)
}

// takeLogin signs in who the form names.
func (p *Provider) takeLogin(w http.ResponseWriter, r *http.Request) {
	id, username := r.URL.Query().Get("request"), r.PostFormValue("username")
	p.mu.Lock()
	asked, ok := p.requests[id]
	u, status, fault := p.mayEnter(username)
	if !ok {
		status, fault = http.StatusBadRequest, answered
	}
	if fault != "" {
		p.mu.Unlock()
		show(w, status, content{Title: "Sign in", Button: "Sign in", Username: username, Fault: fault})
		return
	}
	delete(p.requests, id)
	s := p.begin(u, p.cookie(r))
	p.mu.Unlock()
	p.setCookie(w, s)
	p.grant(w, asked, s)
}

// grant sends the browser back to the client, with a code.
func (p *Provider) grant(w http.ResponseWriter, asked *request, s *session) {
	p.pass(w, question{Do: "grant", Form: asked.form.Encode(), Asked: asked.asked, Session: s.id})
}

// mayEnter looks a user up, and says why one may not sign in. It needs p.mu.
func (p *Provider) mayEnter(username string) (u *user, status int, fault string) {
	u, ok := p.users[username]
	switch {
	case !ok:
		return nil, http.StatusUnauthorized, "There is no such user."
	case u.disabled:
		return nil, http.StatusForbidden, "This account is disabled."
	}
	return u, 0, ""
}

func showGoodbye(w http.ResponseWriter, _ *http.Request) {
	show(w, http.StatusOK, content{Title: "Signed out"})
}
