package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// openSocket opens a WebSocket to the page's own host; closed is the promise of
// its end.
const openSocket = `new Promise((ok, no) => {
	const ws = new WebSocket(location.origin.replace("http", "ws") + "/ws")
	window.closed_ = new Promise(end => ws.onclose = e => end(e.code))
	ws.onopen = () => ws.send("hello")
	ws.onmessage = e => ok(e.data)
	window.closed_.then(code => no(Error("closed with " + code)))
})`

// TestSigningOut: the console's button ends the session here and at the
// provider; that for everywhere ends the sessions of other browsers too, and
// what they have opened.
func TestSigningOut(t *testing.T) {
	w := newWorld(t, setup{})
	in := w.run(w.api("victim"), slipwaytest.App{Name: "app"}, "PRIVATE")
	here := w.browser()
	there := here.another()

	t.Log("here alone")
	console := here.signedIn("victim")
	app := here.tab()
	app.Open(in.URL)
	app.At(in.URL)
	console.Press("Sign out")
	console.Is("the provider leads back", "location.href.startsWith("+quoted(w.console+"/?state=")+")")
	console.Titled("Welcome")
	console.Quiet()
	app.Open(in.URL)
	app.Is("somebody has to sign in", "location.origin === "+quoted(w.provider.Issuer()))

	t.Log("everywhere")
	app.signIn("victim")
	app.At(in.URL)
	other := there.signedIn("victim")
	far := there.tab()
	far.Open(in.URL)
	far.At(in.URL)
	if got := js[string](far, openSocket); got != "hello" {
		t.Fatalf("the WebSocket says %q", got)
	}
	console.Open(w.console + "/")
	console.Titled("Your installation")
	began := time.Now()
	console.Press("Sign out everywhere")
	if code := js[int](far, "window.closed_"); code != 1008 {
		t.Errorf("the WebSocket was closed with %d", code)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the WebSocket lasted for %s", took)
	}
	console.Titled("Welcome")
	other.Open(w.console + "/")
	other.Titled("Welcome")
	if cookies := there.cookies(); strings.Contains(cookies, "__Host-slipway-session") {
		t.Errorf("the other browser still has %s", cookies)
	}
	asked := w.provider.Counts().Authorize
	far.Open(in.URL) // its provider's session goes on, which it asks
	far.At(in.URL)
	if got := w.provider.Counts().Authorize; got == asked {
		t.Error("the app was opened again without a sign-in")
	}
	console.Quiet()
}
