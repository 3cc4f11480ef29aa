package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// curious is an app that shows who it is told its visitor is.
func (w *world) curious(name, mode string) slipwaytest.App {
	w.Helper()
	raw, err := os.ReadFile(slipwaytest.Testapp)
	if err != nil {
		w.Fatal(err)
	}
	return slipwaytest.App{
		Name: name, Mode: mode, Files: map[string]string{"testapp*": string(raw)},
		Runtime: "AppMode = \"binary\"\nAppEntryPoint = [\"./testapp\"]\nEnableOIDC = true",
	}
}

// visitorOf is who a curious app thinks that it shows itself to.
const visitorOf = `(JSON.parse(document.body.innerText).header["X-Slipway-User"] || ["nobody"])[0]`

// ticketOf gets a ticket as a user does, and does not trade it: what an
// attacker has who signs in himself, or sees somebody's redirect.
func (w *world) ticketOf(user string, in *v1.Instance, nonce string) string {
	w.Helper()
	visitor := w.visitor()
	resp, err := visitor.Get(w.provider.SignIn(w, visitor, w.console+"/login", user).String())
	if err != nil {
		w.Fatal(err)
	}
	resp.Body.Close()
	visitor.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	sum := sha256.Sum256([]byte(nonce))
	if resp, err = visitor.Get(w.console + "/open/" + in.ID + "?rest=%2F&nonce=" + hex.EncodeToString(sum[:])); err != nil {
		w.Fatal(err)
	}
	resp.Body.Close()
	ticket := resp.Header.Get("Location")
	if !strings.Contains(ticket, "/.slipway/ticket?") {
		w.Fatalf("%s gets no ticket: %d %s", user, resp.StatusCode, ticket)
	}
	return ticket
}

// refused wants that a ticket's address leads to a refusal and gives no cookie.
func (t *tab) refused(ticket, id string) {
	t.Helper()
	before := t.pass(id)
	t.Open(ticket)
	t.Titled("Unauthorized")
	if got := t.pass(id); got != before {
		t.Errorf("%s changed the cookie from %q to %q", ticket, before, got)
	}
}

// TestATicketIsGoodOnce: the address of a ticket that was traded opens nothing
// any more, where it was traded or elsewhere, and takes nothing away.
func TestATicketIsGoodOnce(t *testing.T) {
	w := newWorld(t, setup{})
	in := w.run(w.api("victim"), slipwaytest.App{Name: "app"}, "PRIVATE")
	b := w.browser()
	tab := b.tab()
	tab.Open(in.URL + "page#part")
	tab.signIn("victim")
	tab.At(in.URL + "page#part")
	ticket := ""
	for _, address := range tab.Asked() {
		if strings.Contains(address, "/.slipway/ticket") {
			ticket = address
		}
	}
	if ticket == "" {
		t.Fatalf("no ticket was seen among %q", tab.Asked())
	}
	tab.refused(ticket, in.ID)
	b.another().tab().refused(ticket, in.ID)
	if b.pass(in.ID) == "" {
		t.Error("the one who had signed in is signed out by that")
	}
	tab.Open(in.URL)
	tab.At(in.URL)

	t.Log("a ticket that was stolen before it was traded")
	b.another().tab().refused(w.ticketOf("victim", in, "AAAAAAAAAAAAAAAAAAAAAAAAAA"), in.ID)
}

// TestNobodyIsSignedInAsSomebodyElse: tickets, callbacks and cookies that an
// attacker plants do not make the victim act as the attacker (login CSRF).
func TestNobodyIsSignedInAsSomebodyElse(t *testing.T) {
	w := newWorld(t, setup{})
	in := w.run(w.api("mallory"), w.curious("bait", ""), "ALL_USERS")
	b := w.browser()

	t.Log("a ticket of the attacker's, in a browser that never was there")
	tab := b.tab()
	tab.refused(w.ticketOf("mallory", in, "AAAAAAAAAAAAAAAAAAAAAAAAAA"), in.ID)

	t.Log("the same in the middle of a sign-in")
	tab.Open(in.URL)
	tab.Is("the provider's form is shown", "location.origin === "+quoted(w.provider.Issuer()))
	planted := b.tab()
	planted.refused(w.ticketOf("mallory", in, "AAAAAAAAAAAAAAAAAAAAAAAAAA"), in.ID)
	tab.Open(in.URL)
	tab.signIn("victim")
	tab.At(in.URL)
	if who := js[string](tab, visitorOf); who != "victim" {
		t.Errorf("the app sees %s", who)
	}

	t.Log("the same where the victim is signed in")
	planted.refused(w.ticketOf("mallory", in, "AAAAAAAAAAAAAAAAAAAAAAAAAA"), in.ID)
	tab.Open(in.URL)
	tab.At(in.URL)
	if who := js[string](tab, visitorOf); who != "victim" {
		t.Errorf("the app sees %s", who)
	}

	t.Log("an answer of the provider for the attacker")
	stranger := b.another()
	tab = stranger.tab()
	tab.Open(w.provider.SignIn(t, w.visitor(), w.console+"/login", "mallory").String())
	tab.Titled("Not signed in")
	if cookies := stranger.cookies(); strings.Contains(cookies, "session") {
		t.Errorf("the victim has %s", cookies)
	}
}

// TestASignInLeadsNowhereElse: what the addresses of a sign-in are told to lead
// to ends on our hosts, however a browser reads it.
func TestASignInLeadsNowhereElse(t *testing.T) {
	w := newWorld(t, setup{})
	in := w.run(w.api("victim"), slipwaytest.App{Name: "app"}, "PRIVATE")
	ours := map[string]bool{hostOf(w.console): true, hostOf(in.URL): true, hostOf(w.provider.Issuer()): true}
	only := func(tab *tab) {
		t.Helper()
		for _, address := range append(tab.Asked(), tab.Href()) {
			if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || !ours[u.Hostname()] {
				t.Errorf("the browser went to %q", address)
			}
		}
	}
	b := w.browser()
	signedIn := b.signedIn("victim")
	nonce := strings.Repeat("0", 64)
	for _, next := range []string{
		"//evil.example/", "///evil.example/", `/\evil.example/`, `\\evil.example/`, "https:evil.example", "https:/evil.example", "https://evil.example/",
		"javascript:alert(document.domain)", " javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x", "/\t/evil.example/", "/\n/evil.example/", "\t//evil.example",
		"/\r\nLocation: https://evil.example/", "/%0d%0aLocation:%20https://evil.example/", "/.//evil.example", "/..//evil.example", "/%2f/evil.example/",
		"@evil.example/", "/@evil.example/", ".evil.example/", "/open/" + in.ID + "/..//evil.example", "/tokens\\@evil.example", "/%5cevil.example", "/／evil.example/",
	} {
		signedIn.Open(w.console + "/login?next=" + url.QueryEscape(next))
		signedIn.Is("a page of the console is shown for "+quoted(next), "location.origin === "+quoted(w.console)+" && location.pathname !== '/login'")
		signedIn.Open(w.console + "/login?next=%2F&fragment=" + url.QueryEscape(next))
		signedIn.Is("a page of the console is shown for the fragment "+quoted(next), "location.origin === "+quoted(w.console)+" && location.pathname === '/'")
		signedIn.Open(w.console + "/open/" + in.ID + "?nonce=" + nonce + "&rest=" + url.QueryEscape(next))
		signedIn.Is("a page of ours is shown for the rest "+quoted(next), "["+quoted(w.console)+","+quoted(strings.TrimSuffix(in.URL, "/"))+"].includes(location.origin)")
	}
	only(signedIn)

	t.Log("through the whole of a sign-in")
	for _, next := range []string{"//evil.example/", `/\evil.example/`, "https:evil.example", "javascript:alert(1)"} {
		tab := b.another().tab()
		tab.Open(w.console + "/login?next=" + url.QueryEscape(next) + "#//evil.example/")
		tab.signIn("victim")
		tab.Is("the console is shown for "+quoted(next), "location.origin + location.pathname === "+quoted(w.console+"/"))
		only(tab)
	}
	for _, rest := range []string{"/evil.example/x", "//evil.example", `%5C%5Cevil.example`, "@evil.example"} {
		tab := b.another().tab()
		tab.Open(in.URL + rest)
		tab.signIn("victim")
		tab.At(in.URL + rest)
		only(tab)
	}
}
