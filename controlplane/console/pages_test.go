package console_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func TestALinkSignsInOnce(t *testing.T) {
	b := newDesk(t, options{}).browser()
	a := b.send("POST", "/api/v1/login/link", nil, "Authorization: Bearer "+b.admin)
	var link v1.LoginLink
	if err := json.Unmarshal([]byte(a.body), &link); err != nil || !strings.HasPrefix(link.URL, "http://console.localhost:8080/link?token=slw_l_") ||
		time.Until(link.ExpiresAt) > time.Minute {
		t.Fatalf("link %s, %v", a.body, err)
	}
	path := strings.TrimPrefix(link.URL, "http://console.localhost:8080")
	token := strings.TrimPrefix(path, "/link?token=")
	for range 2 { // a program that looks at links does not use them up
		if page := b.get(path); page.StatusCode != 200 || hidden(t, page.body, "token") != token || b.signedIn() {
			t.Fatalf("the page answers %d\n%s", page.StatusCode, page.body)
		}
	}
	if a := b.post("/link", url.Values{"token": {token}}); a.StatusCode != http.StatusFound || a.to().String() != "http://console.localhost:8080/" {
		t.Errorf("the form answers %d %s", a.StatusCode, a.to())
	}
	if !b.signedIn() {
		t.Error("not signed in")
	}
	other := b.browser()
	for _, used := range []string{token, "", "slw_l_x", b.admin} {
		if a := other.post("/link", url.Values{"token": {used}}); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "slipway login --link") || other.signedIn() {
			t.Errorf("%q: %d\n%s", used, a.StatusCode, a.body)
		}
	}
}

func TestTokensAreMadeShownOnceAndRevoked(t *testing.T) {
	b := newDesk(t, options{}).browser()
	if a := b.get("/tokens"); a.StatusCode != 302 || a.to().Path != "/login" || a.to().Query().Get("next") != "/tokens" {
		t.Errorf("signed out: %d %s", a.StatusCode, a.to())
	}
	b.signIn()
	made := b.post("/tokens", url.Values{"name": {"<b>ci</b>"}, "scope": {"write"}, "days": {"7"}}).body
	at := strings.Index(made, "slw_")
	if at < 0 || !strings.Contains(made, "&lt;b&gt;ci&lt;/b&gt;") || !strings.Contains(made, "read; change") {
		t.Fatalf("made:\n%s", made)
	}
	secret := made[at : at+4+52]
	if again := b.get("/tokens").body; strings.Contains(again, "slw_") || !strings.Contains(again, "ci") {
		t.Errorf("listed:\n%s", again)
	}
	me := func() int {
		return b.browser().send("GET", "/api/v1/me", nil, "Authorization: Bearer "+secret).StatusCode
	}
	if me() != 200 {
		t.Error("the token is not good")
	}
	actor := controlplane.Actor{User: controlplane.LocalAdmin}
	tokens, err := b.service.Tokens(t.Context(), actor, controlplane.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens.Items {
		if token.Name != "" {
			b.post("/tokens", url.Values{"revoke": {token.ID}})
		}
	}
	if me() != 401 {
		t.Error("the token is good after its end")
	}
	for name, form := range map[string]url.Values{"no such scope": {"name": {"x"}, "scope": {"root"}}, "too long": {"name": {"x"}, "days": {"366"}}, "no days": {"name": {"x"}, "days": {"x"}}} {
		if a := b.post("/tokens", form); a.StatusCode != 400 {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
}

func TestACommandLineIsApprovedInTheBrowser(t *testing.T) {
	d := newDesk(t, options{})
	for name, approve := range map[string]bool{"approved": true, "denied": false} {
		t.Run(name, func(t *testing.T) {
			code, device := identity.NewUserCode(), identity.NewDeviceCode()
			err := d.service.BeginDevice(t.Context(), controlplane.NewDevice{
				Code: identity.HashToken(device), UserCode: code, Name: "<i>laptop</i>", Scopes: []controlplane.Scope{controlplane.ScopeOpen}, Address: "198.51.100.4",
			})
			if err != nil {
				t.Fatal(err)
			}
			take := func() error {
				_, err := d.service.TakeDeviceToken(t.Context(), identity.HashToken(device), controlplane.NewToken{ID: identity.NewID(), Hash: identity.HashToken(identity.NewToken())})
				return err
			}
			if err := take(); controlplane.CodeOf(err) != controlplane.CodePending {
				t.Errorf("before: %v", err)
			}
			b := d.browser()
			shown := identity.ShownUserCode(code)
			if a := b.get("/device?code=" + shown); a.StatusCode != 302 || a.to().Query().Get("next") != "/device?code="+code {
				t.Fatalf("signed out: %d %s", a.StatusCode, a.to())
			}
			b.signIn()
			page := b.get("/device?code=" + strings.ToLower(shown))
			for _, want := range []string{shown, "admin", "&lt;i&gt;laptop", "open instances", "198.51.100.4"} {
				if !strings.Contains(page.body, want) {
					t.Errorf("the page lacks %s:\n%s", want, page.body)
				}
			}
			form := url.Values{"code": {hidden(t, page.body, "code")}, "do": {"deny"}}
			want := controlplane.CodeDenied
			if approve {
				form.Set("do", "approve")
				want = ""
			}
			if a := b.post("/device", form); a.StatusCode != 200 {
				t.Fatalf("the form answers %d\n%s", a.StatusCode, a.body)
			}
			if a := b.post("/device", url.Values{"code": {code}, "do": {"approve"}}); a.StatusCode != 404 {
				t.Errorf("a second decision: %d", a.StatusCode)
			}
			if err := take(); err != nil && controlplane.CodeOf(err) != want || err == nil && want != "" {
				t.Errorf("after: %v, want %q", err, want)
			}
			if err := take(); approve && controlplane.CodeOf(err) != controlplane.CodeExpired {
				t.Errorf("a second token: %v", err)
			}
		})
	}
}

func TestThePageOfAnInstanceIsForWhoReadsItsLog(t *testing.T) {
	d := newDesk(t, options{})
	in := d.run(controlplane.LocalAdmin, controlplane.Private)
	in.Status, in.Reason = controlplane.Failed, &controlplane.Reason{Code: controlplane.Crashed, Text: "it said <b>no</b>"}
	d.put(in)
	path := "/instances/" + in.ID
	b := d.browser()
	if a := b.get(path); a.StatusCode != 302 || a.to().Path != "/login" || a.to().Query().Get("next") != path {
		t.Errorf("signed out: %d %s", a.StatusCode, a.to())
	}
	b.signIn()
	a := b.get(path)
	for _, want := range []string{"FAILED", "its start failed", "crashed: it said &lt;b&gt;no&lt;/b&gt;", `data-id="` + in.ID + `"`, "/api/v1/instances/" + in.ID + "/logs"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %s:\n%s", want, a.body)
		}
	}
	_, script, _ := strings.Cut(a.body, "<script>")
	script, _, _ = strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	if policy := a.Header.Get("Content-Security-Policy"); script == "" || !strings.Contains(policy, "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
		!strings.Contains(policy, "connect-src 'self'") {
		t.Errorf("the policy is %s", policy)
	}
	if list := b.get("/"); !strings.Contains(list.body, `href="`+path+`"`) {
		t.Errorf("the list does not lead to it:\n%s", list.body)
	}
	for _, no := range []string{"/instances/", "/instances/x", "/instances/" + strings.ToUpper(in.ID), path + "/", "/instances/" + uuid.NewString()} {
		if a := b.get(no); a.StatusCode != 404 {
			t.Errorf("%s: %d", no, a.StatusCode)
		}
	}
	if a := b.post(path, nil); a.StatusCode != 405 {
		t.Errorf("POST: %d", a.StatusCode)
	}
}

func TestAnInstanceIsOpenedByATicket(t *testing.T) {
	d := newDesk(t, options{})
	in := d.run(controlplane.LocalAdmin, controlplane.Private)
	foreign := d.run("ada", controlplane.Private)
	b := d.browser()
	const secret = "what the browser's cookie holds"
	nonce := identity.HashToken(secret)
	path := func(id, rest string) string {
		return "/open/" + id + "?" + url.Values{"rest": {rest}, "nonce": {nonce}}.Encode()
	}
	rest := "/deep/link?x=%2F&y=ü " + strings.Repeat("z", 10<<10)
	a := b.get(path(in.ID, rest))
	if a.StatusCode != 302 || a.to().Path != "/login" {
		t.Fatalf("signed out: %d %s", a.StatusCode, a.to())
	}
	next := a.to().Query().Get("next")
	if back := safe(t, b, a); back != "" {
		t.Errorf("login answers %s", back)
	}
	b.signIn()
	// Signed in, the login leads on, with the fragment.
	a = b.get("/login?" + url.Values{"next": {next}, "fragment": {"part"}}.Encode())
	if a.StatusCode != 302 || a.to().Fragment != "part" {
		t.Fatalf("login: %d %.100s", a.StatusCode, a.to())
	}
	a = b.get(a.to().RequestURI())
	to := a.to()
	if a.StatusCode != 302 || to.Host != in.ID+".localhost:8080" || to.Path != "/.slipway/ticket" || to.Query().Get("rest") != rest || to.Fragment != "" {
		t.Fatalf("open: %d %.200s", a.StatusCode, to)
	}
	trade := v1.TicketTrade{Ticket: to.Query().Get("ticket"), Nonce: secret, Instance: in.ID, Host: to.Host}
	status, pass := b.trade(trade)
	if status != 200 || pass.Pass == "" {
		t.Fatalf("trade: %d", status)
	}
	p, err := d.keys.Read(pass.Pass)
	if err != nil || p.User != "admin" || p.Instance != in.ID || p.Use != identity.PassCookie || p.Credential != identity.SessionID(b.cookies["slipway-session-8080"]) {
		t.Errorf("pass %+v, %v", p, err)
	}
	if status, _ := b.trade(trade); status != 401 {
		t.Errorf("a second trade: %d", status)
	}
	for name, spoil := range map[string]func(*v1.TicketTrade){
		"another browser":  func(r *v1.TicketTrade) { r.Nonce = "x" },
		"the hash":         func(r *v1.TicketTrade) { r.Nonce = nonce },
		"another instance": func(r *v1.TicketTrade) { r.Instance = foreign.ID },
		"another host":     func(r *v1.TicketTrade) { r.Host = "evil.localhost:8080" },
		"no ticket":        func(r *v1.TicketTrade) { r.Ticket = "" },
		"signed out": func(*v1.TicketTrade) {
			if _, err := d.service.SignOut(t.Context(), controlplane.Actor{User: "admin"}, true); err != nil {
				t.Error(err)
			}
		},
	} {
		b := d.browser()
		b.signIn()
		r := trade
		r.Ticket = b.get(path(in.ID, "/")).to().Query().Get("ticket")
		spoil(&r)
		if status, _ := b.trade(r); status != 401 {
			t.Errorf("%s: %d", name, status)
		}
	}
	b.signIn()
	const mode = "Sec-Fetch-Mode: navigate"
	for name, c := range map[string]struct {
		target string
		header string
		status int
	}{
		"somebody else's":      {path(foreign.ID, "/"), mode, 403},
		"nobody's":             {path("0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01", "/"), mode, 404},
		"no ID":                {path("demo", "/"), mode, 400},
		"no slash":             {path(in.ID, "x"), mode, 400},
		"a line break":         {path(in.ID, "/\r\nX: y"), mode, 400},
		"another host":         {path(in.ID, "https://evil.example/"), mode, 400},
		"no nonce":             {"/open/" + in.ID + "?rest=/", mode, 400},
		"a script of a page":   {path(in.ID, "/"), "Sec-Fetch-Mode: cors", 403},
		"an image of a page":   {path(in.ID, "/"), "Sec-Fetch-Mode: no-cors", 403},
		"two slashes are path": {path(in.ID, "//evil.example/"), mode, 302},
	} {
		if a := b.get(c.target, c.header); a.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, a.StatusCode, c.status)
		}
	}
}

// safe follows to the login without a provider, which leads nowhere.
func safe(t *testing.T, b *browser, a answer) string {
	t.Helper()
	return b.get(a.to().RequestURI()).Header.Get("Location")
}

// trade is what an edge sends.
func (b *browser) trade(r v1.TicketTrade) (int, v1.Pass) {
	b.Helper()
	return b.edge("/api/v1/edge/ticket", r)
}

func (b *browser) edge(path string, body any) (status int, out v1.Pass) {
	b.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	a := b.desk.browser().json(path, string(raw))
	if a.StatusCode == 200 {
		if err := json.Unmarshal([]byte(a.body), &out); err != nil {
			b.Fatal(err)
		}
	}
	return a.StatusCode, out
}
