package realapps

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/chromium"
)

const isDocs = `document.querySelectorAll('.opblock').length === 5`

// TestFastAPI has the tutorials of FastAPI's source distribution: one with an
// event stream, one with a WebSocket.
func TestFastAPI(t *testing.T) {
	w := newWorld(t)
	p := w.person()
	python := w.venv("python3")
	files := w.tutorials(python, framework(t, "FastAPI"))
	for _, mode := range []string{"DOMAIN", "BASE_URL"} {
		in := w.begin(w.pack(inMode(files, mode)))
		p.Open(in.URL + "docs")
		p.IsWithin(installing, "its documentation is shown", isDocs)
		p.asksByDocs()
		p.hears()
		p.chats()
		p.picture("fastapi-" + mode)
		w.redirects(in)
		p.QuietBut("503") // of the waiting page
		p.leaves()
		w.sleep(in)
		p.wakes(in, in.URL+"docs?a=%2F&b#/default/sse_items_items_stream_get", "its documentation is shown", isDocs)
		p.hears()
		p.chats()
		p.leaves()
		if mode == "BASE_URL" {
			w.installedNothing(in)
		}
	}
	p.idles(w.begin(w.pack(with(files, map[string]string{
		"app.toml": strings.NewReplacer("[Runtime]", "InstanceTimeout = \"4s\"\n\n[Runtime]", "-tutorial", "-idle").Replace(files["app.toml"]),
	}))))
}

// asksByDocs sends a request from the page of documentation, which has its
// addresses from the app.
func (p *person) asksByDocs() {
	p.Helper()
	p.Click("#operations-default-sse_items_items_stream_get .opblock-summary-control")
	p.Press("Try it out")
	p.Press("Execute")
	p.Is("the answer is shown", `document.querySelector('.live-responses-table')?.innerText.includes('Plumbus')`)
}

// hears wants three events of the stream, from the page that is shown.
func (p *person) hears() {
	p.Helper()
	got := chromium.JS[string](p.Tab, `new Promise(done => {
		const names = [], source = new EventSource(new URL("items/stream", location.href))
		source.onmessage = e => {
			names.push(JSON.parse(e.data).name)
			if (names.length === 3) { source.close(); done(names.join()) }
		}
		source.onerror = () => { source.close(); done("it failed after " + names) }
	})`)
	if got != "Plumbus,Portal Gun,Meeseeks Box" {
		p.Errorf("events: %s", got)
	}
}

// chats wants an answer by a WebSocket, from the page that is shown.
func (p *person) chats() {
	p.Helper()
	got := chromium.JS[string](p.Tab, `new Promise(done => {
		const address = new URL("ws/7", location.href)
		address.protocol = address.protocol.replace("http", "ws")
		window.chat = new WebSocket(address)
		chat.onopen = () => chat.send("hello")
		chat.onmessage = e => done(e.data)
		chat.onclose = e => done("closed with " + e.code)
	})`)
	if got != "You wrote: hello" {
		p.Errorf("the WebSocket says: %s", got)
	}
}

// redirects wants that the app, which redirects to whole addresses, knows its own:
// host, prefix, and that the visitor came by TLS where a proxy says so.
func (w *world) redirects(in *v1.Instance) {
	w.Helper()
	by := &http.Client{Transport: client.LoopbackTransport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer by.CloseIdleConnections()
	for _, scheme := range []string{"http", "https"} {
		r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, in.URL+"items/stream/", nil)
		if err != nil {
			w.Fatal(err)
		}
		r.Header.Set("X-Forwarded-Proto", scheme)
		resp, err := by.Do(r)
		if err != nil {
			w.Fatal(err)
		}
		resp.Body.Close()
		want := scheme + strings.TrimPrefix(in.URL, "http") + "items/stream"
		if at := resp.Header.Get("Location"); resp.StatusCode != http.StatusTemporaryRedirect || at != want {
			w.Errorf("it redirects by %d to %s, not to %s", resp.StatusCode, at, want)
		}
	}
}

// idles wants that an app of a timeout of 4 s is awake for as long as its WebSocket is in use, goes
// to sleep by itself after that, and wakes by a visit.
func (p *person) idles(in *v1.Instance) {
	p.Helper()
	p.Open(in.URL + "docs")
	p.IsWithin(installing, "its documentation is shown", isDocs)
	p.chats()
	answers := chromium.JS[int](p.Tab, `new Promise(done => {
		let answers = 0
		chat.onmessage = e => answers += e.data.startsWith("You wrote: ") ? 1 : 0
		setInterval(() => chat.send("still here"), 500)
		setTimeout(() => done(chat.readyState === WebSocket.OPEN ? answers : -1), 12000)
	})`)
	if answers < 10 {
		p.Errorf("in use for thrice its timeout, it has answered %d times", answers)
	}
	p.leaves()
	p.becomes(in, "SUSPENDED", starting)
	p.wakes(in, in.URL+"docs", "its documentation is shown", isDocs)
	p.chats()
}

// venv makes a virtual environment, and returns its interpreter.
func (w *world) venv(python string) string {
	w.Helper()
	dir := filepath.Join(w.TempDir(), "venv")
	w.execute(python, "-m", "venv", dir)
	return filepath.Join(dir, "bin", "python")
}

func (w *world) execute(program string, args ...string) {
	w.Helper()
	if out, err := exec.CommandContext(w.ctx, program, args...).CombinedOutput(); err != nil {
		w.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

// tutorials adds those of FastAPI's source distribution to an app's files.
func (w *world) tutorials(python string, files map[string]string) map[string]string {
	w.Helper()
	release, _, _ := strings.Cut(files["requirements.txt"], "\n")
	dir := w.TempDir()
	w.execute(python, "-m", "pip", "download", "--no-deps", "--no-binary=:all:", "--dest", dir, release)
	found, err := filepath.Glob(filepath.Join(dir, "*.tar.gz"))
	if err != nil || len(found) != 1 {
		w.Fatalf("pip has downloaded %v, %v", found, err)
	}
	archive, err := os.Open(found[0])
	if err != nil {
		w.Fatal(err)
	}
	defer archive.Close()
	packed, err := gzip.NewReader(archive)
	if err != nil {
		w.Fatal(err)
	}
	all := with(files, nil)
	for r := tar.NewReader(packed); ; {
		entry, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			w.Fatal(err)
		}
		_, name, _ := strings.Cut(entry.Name, "/")
		for _, tutorial := range []string{"docs_src/server_sent_events/", "docs_src/websockets_/"} {
			if !strings.HasPrefix(name, tutorial) || entry.Typeflag != tar.TypeReg {
				continue
			}
			text, err := io.ReadAll(r)
			if err != nil {
				w.Fatal(err)
			}
			all[name] = string(text)
		}
	}
}
