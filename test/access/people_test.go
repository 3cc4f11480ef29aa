package access

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
)

// answer is one answer of an edge, read to its end.
type answer struct {
	*http.Response
	body []byte
}

func (a *answer) to() *url.URL {
	u, err := a.Location()
	if err != nil {
		return new(url.URL)
	}
	return u
}

func (a *answer) problem() (p v1.Problem) {
	_ = json.Unmarshal(a.body, &p) // what is none has no code
	return p
}

func (a *answer) String() string {
	return a.Status + " " + a.Header.Get("Location") + " " + string(a.body[:min(len(a.body), 600)])
}

// verdict is the answer as the tables spell it.
func (a *answer) verdict() string {
	switch {
	case a.StatusCode/100 == 2:
		return "✓"
	case a.StatusCode == http.StatusUnauthorized:
		return "login"
	case a.StatusCode == http.StatusForbidden, a.StatusCode == http.StatusNotFound:
		return strconv.Itoa(a.StatusCode)
	}
	return a.String()
}

// ask sends a request, a method and a URL, by a client that follows no redirect.
// Headers are lines, Name: value.
func ask(t *testing.T, c *http.Client, what, body string, headers ...string) *answer {
	t.Helper()
	resp := open(t, c, what, body, headers...)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return &answer{resp, text}
}

// open is ask for an answer that has no end yet.
func open(t *testing.T, c *http.Client, what, body string, headers ...string) *http.Response {
	t.Helper()
	method, address, _ := strings.Cut(what, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	client := *c
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// person is somebody whom the provider knows; without a name it is nobody.
type person struct {
	world    *world
	name     string
	token    string
	browsers map[*edge]*browser
}

// browser is one that keeps cookies and comes to one edge.
type browser struct {
	*http.Client
	edge *edge
	name string
}

func (w *world) person(name string, roles ...string) *person {
	p := w.people[name]
	if p == nil {
		p = &person{world: w, name: name}
		w.people[name] = p
	}
	if name != "" {
		w.idp.AddUser(oidctest.User{Username: name, Email: name + "@example.com", EmailVerified: true, Roles: roles})
	}
	p.browsers = map[*edge]*browser{}
	return p
}

// newBrowser has no cookies.
func (e *edge) newBrowser(name string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it has no options
	}
	return &browser{Client: &http.Client{Transport: e.transport, Jar: jar}, edge: e, name: name}
}

// at is the same browser, with the same cookies, at another edge.
func (b *browser) at(e *edge) *browser {
	return &browser{Client: &http.Client{Transport: e.transport, Jar: b.Jar}, edge: e, name: b.name}
}

// browser is the person's at an edge; somebody is signed in there.
func (p *person) browser(t *testing.T, e *edge) *browser {
	t.Helper()
	b := p.browsers[e]
	if b == nil {
		b = e.newBrowser(p.name)
		if p.name != "" {
			b.signIn(t)
		}
		p.browsers[e] = b
	}
	return b
}

// signIn signs in at the console.
func (b *browser) signIn(t *testing.T) {
	t.Helper()
	a := ask(t, b.Client, "GET "+b.edge.world.console("/login?next=%2Ftokens"), "")
	if a = b.pass(t, a); a.StatusCode != http.StatusFound || a.to().Path != "/tokens" {
		t.Fatalf("%s signs in at %s: %s", b.name, b.edge.name, a)
	}
}

// stayIn has those sign in again, once they are asked for, whose session has given way to their later ones:
// a user has a hundred at a time, and some parts sign in more often.
func (w *world) stayIn(t *testing.T) {
	t.Helper()
	for _, p := range w.people {
		for e, b := range p.browsers {
			if p.name != "" && ask(t, b.Client, "GET "+w.console("/api/v1/me"), "", "Sec-Fetch-Site: same-origin").StatusCode == http.StatusUnauthorized {
				delete(p.browsers, e)
			}
		}
	}
}

// pass goes through the provider that an answer leads to, and fetches the
// address that it comes back by.
func (b *browser) pass(t *testing.T, a *answer) *answer {
	t.Helper()
	if !strings.HasPrefix(a.to().String(), b.edge.world.idp.Issuer()) {
		t.Fatalf("this does not lead to the provider: %s", a)
	}
	back := b.edge.world.idp.SignIn(t, b.Client, a.to().String(), b.name)
	return ask(t, b.Client, "GET "+back.String(), "", "Sec-Fetch-Site: cross-site", "Accept: text/html")
}

// page loads a page as a browser does, and follows redirects among our hosts up
// to one that leads elsewhere.
func (b *browser) page(t *testing.T, address string, headers ...string) *answer {
	t.Helper()
	return b.follow(t, ask(t, b.Client, "GET "+address, "", append(headers, "Accept: text/html")...))
}

func (b *browser) follow(t *testing.T, a *answer) *answer {
	t.Helper()
	for range 10 {
		if a.Header.Get("Location") == "" || !b.edge.world.isOurs(a.to()) {
			return a
		}
		a = ask(t, b.Client, "GET "+a.to().String(), "", "Accept: text/html")
	}
	t.Fatalf("the redirects have no end: %s", a)
	return nil
}

// isOurs reports whether a URL is of the installation.
func (w *world) isOurs(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && u.Port() == w.port && (u.Hostname() == domain || strings.HasSuffix(u.Hostname(), "."+domain))
}

// visit is what comes of an instance's URL at a browser, as the tables spell it.
func (b *browser) visit(t *testing.T, in *v1.Instance) string {
	t.Helper()
	a := b.page(t, in.URL)
	switch {
	case strings.HasPrefix(a.to().String(), b.edge.world.idp.Issuer()):
		return "login"
	case a.StatusCode == http.StatusOK && a.echo().Instance != in.ID:
		return "not the app: " + a.String()
	}
	return a.verdict()
}

// enter opens an instance and fails the test if that does not work.
func (b *browser) enter(t *testing.T, in *v1.Instance) {
	t.Helper()
	if got := b.visit(t, in); got != "✓" {
		t.Fatalf("%s opens %s at %s: %s", b.name, in.URL, b.edge.name, got)
	}
}

// echo is what the app for tests says of a request.
type echo struct {
	URI      string      `json:"uri"`
	Header   http.Header `json:"header"`
	Instance string      `json:"instance"`
	Raw      []byte      `json:"raw"`
}

func (a *answer) echo() (e echo) {
	_ = json.Unmarshal(a.body, &e) // another page has no instance
	return e
}

// cookies are a browser's for an address.
func (b *browser) cookies(t *testing.T, address string) map[string]string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range b.Jar.Cookies(u) {
		found[c.Name] = c.Value
	}
	return found
}

// The names of the cookies on https.
const sessionCookie = "__Host-slipway-session"

func passCookie(in *v1.Instance) string  { return "__Host-slipway-i-" + in.ID }
func nonceCookie(in *v1.Instance) string { return "__Host-slipway-n-" + in.ID }

// api calls the API, a method and a path below /api/v1, by the person's token;
// nobody has none.
func (p *person) api(t *testing.T, e *edge, what, body string, headers ...string) *answer {
	t.Helper()
	if p.token != "" {
		headers = append(headers, "Authorization: Bearer "+p.token)
	}
	if body != "" && !strings.HasPrefix(body, "PK") {
		headers = append(headers, "Content-Type: application/json")
	}
	method, path, _ := strings.Cut(what, " ")
	return ask(t, &http.Client{Transport: e.transport}, method+" "+p.world.base("/api/v1"+path), body, headers...)
}

// must is api for what has to succeed, and reads its answer into out.
func (p *person) must(t *testing.T, method, path, body string, out any) {
	t.Helper()
	a := p.api(t, p.world.control(), method+" "+path, body)
	if a.StatusCode/100 != 2 {
		t.Fatalf("%s %s by %s: %s", method, path, p.name, a)
	}
	if out != nil {
		if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
}

// takeToken makes a personal token, by the session at the console.
func (p *person) takeToken(t *testing.T) {
	t.Helper()
	a := ask(t, p.browser(t, p.world.control()).Client, "POST "+p.world.console("/api/v1/tokens"),
		`{"name":"tests","scopes":["read","write","open","admin"]}`, "Content-Type: application/json", "Sec-Fetch-Site: same-origin")
	var made v1.NewToken
	if a.StatusCode/100 != 2 || json.Unmarshal(a.body, &made) != nil {
		t.Fatalf("token of %s: %s", p.name, a)
	}
	p.token = made.Secret
}

// become gives somebody other roles at the provider, and signs them in anew.
func (p *person) become(t *testing.T, roles ...string) {
	t.Helper()
	p.world.idp.SetRoles(p.name, roles...)
	p.browsers = map[*edge]*browser{}
	p.browser(t, p.world.control())
}

// ticket trades the token for a bearer of one instance.
func (p *person) ticket(t *testing.T, e *edge, in *v1.Instance) *answer {
	t.Helper()
	return p.api(t, e, "POST /instances/"+in.ID+"/ticket", "")
}

func bearerOf(t *testing.T, a *answer) string {
	t.Helper()
	var ticket v1.Ticket
	if err := json.Unmarshal(a.body, &ticket); err != nil || !strings.HasPrefix(ticket.Token, "slw_") {
		t.Fatalf("no bearer: %s", a)
	}
	return "Authorization: Bearer " + ticket.Token
}

// call asks an instance as a program does, by a ticket; the answer is as the
// tables spell it.
func (p *person) call(t *testing.T, e *edge, in *v1.Instance) string {
	t.Helper()
	var headers []string
	if p.token != "" {
		a := p.ticket(t, e, in)
		if a.StatusCode != http.StatusCreated {
			return a.verdict()
		}
		headers = []string{bearerOf(t, a)}
	}
	a := ask(t, &http.Client{Transport: e.transport}, "GET "+in.URL, "", headers...)
	if a.StatusCode == http.StatusOK && a.echo().Instance != in.ID {
		return "not the app: " + a.String()
	}
	return a.verdict()
}
