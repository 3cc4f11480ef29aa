package browser

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// stranger is a site of somebody else's, on another registrable domain.
func (w *world) stranger() (address string) {
	w.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		rw.Write([]byte("<!doctype html><title>evil</title>"))
	}))
	w.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		w.Fatal(err)
	}
	return "https://evil.example:" + u.Port() + "/"
}

// What Chromium tells the developer, never the page, of a handshake that ended
// with 403 and with 401.
const (
	handshake403 = "Error during WebSocket handshake: Unexpected response code: 403"
	handshake401 = "HTTP Authentication failed; no valid credentials available"
)

// socket opens a WebSocket and says what came of it: "open", or why it failed.
func (t *tab) socket(address string) (why string) {
	t.Helper()
	before := len(t.SocketFaults())
	how := js[string](t, `new Promise(done => {
		const ws = new WebSocket(`+quoted(address)+`)
		ws.onopen = () => { ws.close(); done("open") }
		ws.onclose = e => done("closed " + e.code)
	})`)
	if how == "open" {
		return how
	}
	if how != "closed 1006" {
		t.Errorf("the page of %s learns %q", t.Href(), how)
	}
	eventually(t, "the browser says why", func() bool {
		if faults := t.SocketFaults(); len(faults) > before {
			why = faults[before]
		}
		return why != ""
	})
	return why
}

// TestAWebSocketNeedsAPageOfTheAppItself: what other pages open with the
// victim's cookies is refused.
func TestAWebSocketNeedsAPageOfTheAppItself(t *testing.T) {
	w := newWorld(t, setup{})
	private := w.run(w.api("victim"), slipwaytest.App{Name: "app"}, "PRIVATE")
	bait := w.run(w.api("mallory"), slipwaytest.App{Name: "bait"}, "ALL_USERS")
	socket := strings.Replace(private.URL, "https", "wss", 1) + "ws"
	b := w.browser()
	tab := b.signedIn("victim")
	for _, c := range []struct{ name, page, want string }{
		{"the app's own page", private.URL, "open"},
		{"a sibling app", bait.URL, handshake403},
		{"another site, to which the browser gives no cookie", w.stranger(), handshake401},
	} {
		tab.Open(c.page)
		tab.At(c.page)
		if got := tab.socket(socket); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}

	// A sandboxed frame's origin is null, in a page of the app itself too.
	tab.Open(private.URL + html(`<iframe sandbox="allow-scripts" srcdoc='<script>
		const ws = new WebSocket(`+quoted(socket)+`)
		ws.onopen = () => parent.postMessage("open", "*")
		ws.onclose = e => parent.postMessage("closed " + e.code, "*")
	</script>'></iframe><script>onmessage = e => document.title = e.data</script>`))
	tab.Is("the frame's WebSocket is refused", "document.title === 'closed 1006'")
}

// attack is what a hostile page tries on the console and the API with the
// cookies of its visitor. It returns what it could read.
const attack = `(async origins => {
	const read = []
	const limit = (p, ms) => Promise.race([p, new Promise(ok => setTimeout(ok, ms))])
	const tries = []
	for (const origin of origins) {
		for (const path of ["/", "/tokens", "/device", "/api/v1/me", "/api/v1/tokens", "/api/v1/instances", "/api/v1/audit"]) {
			tries.push(["GET", origin + path, null, "cors"], ["GET", origin + path, null, "no-cors"])
		}
		const token = JSON.stringify({name: "stolen", scopes: ["read", "write", "open", "admin"]})
		for (const mode of ["cors", "no-cors"]) {
			tries.push(["POST", origin + "/api/v1/tokens", token, mode])
			tries.push(["POST", origin + "/api/v1/logout", '{"everywhere":true}', mode])
			tries.push(["POST", origin + "/logout", new URLSearchParams({everywhere: "1"}), mode])
			tries.push(["POST", origin + "/tokens", new URLSearchParams({name: "stolen", scope: "admin"}), mode])
		}
		tries.push(["DELETE", origin + "/api/v1/tokens/current", null, "cors"])
		tries.push(["PATCH", origin + "/api/v1/users/victim", '{"disabled":true}', "cors"])
	}
	await Promise.all(tries.map(async ([method, url, body, mode]) => {
		const headers = typeof body === "string" ? {"Content-Type": mode === "cors" ? "application/json" : "text/plain"} : {}
		try {
			const answer = await limit(fetch(url, {method, body, mode, headers, credentials: "include"}), 10000)
			if (!answer) { read.push(method + " " + url + ": no answer"); return }
			const text = await answer.text()
			if (answer.ok && text !== "") read.push(method + " " + url + ": " + text.slice(0, 60))
		} catch (e) {
			if (!(e instanceof TypeError)) read.push(method + " " + url + ": " + e)
		}
		if (mode !== "cors") return
		await limit(new Promise(done => {
			const x = new XMLHttpRequest()
			x.open(method, url)
			x.withCredentials = true
			for (const name in headers) x.setRequestHeader(name, headers[name])
			x.onload = () => { if (x.status < 300 && x.responseText) read.push("XHR " + method + " " + url + ": " + x.responseText.slice(0, 60)); done() }
			x.onerror = done
			x.send(body)
		}), 10000)
	}))
	// Forms are sent with cookies whatever the answer may be read by.
	for (const origin of origins) {
		for (const [path, fields] of [["/logout", {everywhere: "1"}], ["/tokens", {name: "stolen", scope: "admin", days: "30"}], ["/device", {code: "BCDF-GHJK", do: "approve"}],
				["/api/v1/logout", {everywhere: "true"}], ["/api/v1/tokens", {name: "stolen"}]]) {
			for (const enctype of ["application/x-www-form-urlencoded", "text/plain"]) {
				const frame = document.createElement("iframe")
				frame.name = "f" + Math.random()
				document.body.append(frame)
				const form = document.createElement("form")
				Object.assign(form, {method: "post", action: origin + path, enctype, target: frame.name})
				for (const name in fields) {
					const input = document.createElement("input")
					Object.assign(input, {name, value: fields[name]})
					form.append(input)
				}
				document.body.append(form)
				const loaded = new Promise(done => frame.onload = done)
				form.submit()
				await limit(loaded, 3000)
				try {
					const text = frame.contentDocument && frame.contentDocument.body.innerText
					if (text && !text.includes("401") && !text.includes("404") && !text.includes("not found")) read.push("form " + form.action + ": " + text.slice(0, 60))
				} catch (e) {}
			}
		}
	}
	return read
})`

// attacked runs the attack in a page, and wants that it reads and changes
// nothing.
func (t *tab) attacked(audit func() []string) {
	t.Helper()
	before := audit()
	read := js[[]string](t, attack+"(["+quoted(t.console)+","+quoted(t.origin(""))+"])")
	for _, what := range read {
		t.Errorf("a page of %s reads %s", t.Href(), what)
	}
	if diff := cmp.Diff(before, audit()); diff != "" {
		t.Errorf("a page of %s changed something: %s", t.Href(), diff)
	}
}

// unreachable wants that a page can neither frame the console nor hold a window
// of it.
func (t *tab) unreachable() {
	t.Helper()
	t.Forget()
	for _, path := range []string{"/", "/tokens", "/login"} {
		js[bool](t, `new Promise(done => {
			const frame = document.createElement("iframe")
			frame.onload = () => done(true)
			frame.src = `+quoted(t.console+path)+`
			document.body.append(frame)
		})`)
		eventually(t, "the browser refuses to frame "+path, func() bool {
			return slices.ContainsFunc(t.Faults(), func(fault string) bool {
				return strings.Contains(fault, "frame-ancestors") && strings.Contains(fault, hostOf(t.console))
			})
		})
		t.Forget()
	}
	// Its opener loses a window that shows the console.
	js[bool](t, `(() => { window.held = window.open(`+quoted(t.console+"/")+`, "held"); return true })()`)
	t.Is("the window is out of reach", "window.held === null || window.held.closed")
	t.closeOthers()
}

// TestASiblingAppIsAStranger: an app beside the console, and a site of somebody
// else's, do nothing there with the cookies of a visitor.
func TestASiblingAppIsAStranger(t *testing.T) {
	for name, with := range map[string]setup{
		"console beside the apps":               {},
		"console on another registrable domain": {console: "console.other.test"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, with)
			admin := w.api("ada")
			bait := w.run(w.api("mallory"), slipwaytest.App{Name: "bait"}, "ALL_USERS")
			b := w.browser()
			victim := b.signedIn("victim")
			hostile := b.tab()
			hostile.Open(bait.URL + html("<body>"))
			hostile.Is("the bait is there", "document.title === 'app'")
			stranger := b.tab()
			stranger.Open(w.stranger())
			stranger.Is("the stranger is there", "document.title === 'evil'")
			for _, page := range []*tab{hostile, stranger} {
				page.attacked(func() []string { return w.audited(admin) })
				page.unreachable()
			}
			victim.Open(w.console + "/tokens")
			victim.Titled("Your tokens")
			if text := victim.Text(); !strings.Contains(text, "None.") || strings.Contains(text, "stolen") {
				t.Errorf("the victim's tokens: %s", text)
			}
			victim.Quiet()

			t.Log("Clear-Site-Data of an app")
			js[string](hostile, `fetch(`+quoted("/"+answer("Clear-Site-Data: \"cookies\", \"*\"\r\nClear-Site-Data: \"*\"\r\nContent-Type: text/html\r\n", "x"))+`).then(r => r.text())`)
			hostile.Open(bait.URL + answer("Clear-Site-Data: \"*\"\r\nContent-Type: text/html\r\n", "<title>cleared</title>"))
			hostile.Is("the page is there", "document.title === 'cleared'")
			victim.Open(w.console + "/")
			victim.Titled("Your installation")
			if b.pass(bait.ID) == "" {
				t.Error("the cookie of the app's own host is gone")
			}
		})
	}
}

// closeOthers closes the windows that pages have opened.
func (t *tab) closeOthers() {
	t.Helper()
	ctx := t.Target
	targets, err := chromedp.Targets(ctx)
	if err != nil {
		t.Fatal(err)
	}
	own := chromedp.FromContext(ctx).Target.TargetID
	for _, target := range targets {
		if target.OpenerID == own {
			window, cancel := chromedp.NewContext(ctx, chromedp.WithTargetID(target.TargetID))
			if err := chromedp.Do(window); err != nil {
				t.Error(err)
			}
			cancel()
		}
	}
}
