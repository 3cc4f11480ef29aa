package access

import (
	"bytes"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

var oneTimeLink = regexp.MustCompile(`http://console\.localhost:\d+/link\?token=(slw_[A-Za-z0-9_-]+)`)

// Without a provider a one-time link signs the local admin in, on a development
// host, whose cookies have neither the prefix nor Secure.
func TestWithoutAProvider(t *testing.T) {
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "")
	if err != nil {
		t.Fatal(err)
	}
	data, port := filepath.Join(t.TempDir(), "data"), slipwaytest.FreePort(t)
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
	up := slipwaytest.Start(t, env, "up", "--no-sample", "--listen", "127.0.0.1:"+port, "--data", data)
	t.Cleanup(func() {
		up.Kill()
		slipwaytest.KillApps(data)
	})
	said := strings.Join(up.AwaitReady(t), "\n")
	config := filepath.Join(data, "cli.toml")
	printed := func(text string) (link, token string) {
		found := oneTimeLink.FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("there is no link in:\n%s", text)
		}
		return found[0], found[1]
	}
	link, token := printed(said)
	another := exec.CommandContext(t.Context(), slipwaytest.Binary, "login", "--link")
	another.Env = append(env, "SLIPWAY_CONFIG="+config)
	text, err := another.CombinedOutput()
	if err != nil {
		t.Fatalf("login --link: %v\n%s", err, text)
	}
	second, _ := printed(string(text))

	console := "http://console.localhost:" + port
	newBrowser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Transport: client.LoopbackTransport(), Jar: jar}
	}
	form, from := "Content-Type: application/x-www-form-urlencoded", "Origin: "+console
	use := func(b *http.Client, link string, headers ...string) *answer {
		t.Helper()
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		return ask(t, b, "POST "+console+"/link", u.RawQuery, append(headers, form)...)
	}
	b := newBrowser()
	for range 3 { // by a program that looks at links, say
		a := ask(t, newBrowser(), "GET "+link, "", "Accept: text/html")
		if a.StatusCode != http.StatusOK || len(a.Header["Set-Cookie"]) > 0 || !strings.Contains(html.UnescapeString(string(a.body)), token) {
			t.Errorf("GET: %s", a)
		}
	}
	for _, foreign := range []string{"X-None: ", "Origin: http://evil.localhost:" + port, "Sec-Fetch-Site: same-site"} {
		if a := use(b, link, foreign); a.StatusCode != http.StatusForbidden {
			t.Errorf("a form of another host, %s: %s", foreign, a)
		}
	}
	a := use(b, link, from)
	line, name := "", "slipway-session-"+port
	if line = cookieOf(a, name); a.StatusCode != http.StatusFound || !strings.Contains(line, "; HttpOnly; SameSite=Lax") || !strings.Contains(line, "; Path=/;") ||
		strings.Contains(line, "Secure") || strings.Contains(strings.ToLower(line), "domain") {
		t.Fatalf("the link: %s %v", a, a.Header)
	}
	if a := ask(t, b, "GET "+console+"/api/v1/me", "", "Sec-Fetch-Site: same-origin"); a.StatusCode != http.StatusOK || !strings.Contains(string(a.body), `"user":"admin"`) {
		t.Errorf("me: %s", a)
	}
	for what, link := range map[string]string{"a second time": link, "unknown": strings.Replace(link, token, "slw_l_"+strings.Repeat("a", 26), 1), "empty": console + "/link?token="} {
		if a := use(newBrowser(), link, from); a.StatusCode != http.StatusUnauthorized || cookieOf(a, name) != "" && strings.Contains(cookieOf(a, name), "slw_s_") {
			t.Errorf("%s: %s", what, a)
		}
	}
	if a := use(newBrowser(), second, from); a.StatusCode != http.StatusFound {
		t.Errorf("the link of login --link: %s", a)
	}

	// An instance of a development host.
	api := slipwaytest.Client(t, config)
	archive := serving("local", "DOMAIN", "ON_DEMAND", "").Bundle(t)
	app, err := api.ImportBundle(t.Context(), client.Import{Archive: bytes.NewReader(archive), Size: int64(len(archive))})
	if err != nil {
		t.Fatal(err)
	}
	in, err := api.Run(t.Context(), v1.RunRequest{AppID: app.ID})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	deep := func() *answer { return ask(t, b, "GET "+in.URL+"deep?x=1", "", "Accept: text/html") }
	known := time.Now().Add(time.Minute) // at the edge
	for a = deep(); a.StatusCode == http.StatusNotFound && time.Now().Before(known); a = deep() {
		time.Sleep(time.Millisecond)
	}
	for range 4 {
		for _, line := range a.Header.Values("Set-Cookie") {
			name, _, _ := strings.Cut(line, "=")
			names[name] = true
			if strings.Contains(line, "Secure") || !strings.Contains(line, "; HttpOnly; SameSite=Lax") {
				t.Errorf("cookie %s", line)
			}
		}
		if a.StatusCode != http.StatusFound {
			break
		}
		a = ask(t, b, "GET "+a.to().String(), "", "Accept: text/html")
	}
	if got := a.echo(); got.URI != "/deep?x=1" || got.Instance != in.ID || !names["slipway-i-"+in.ID+"-"+port] || !names["slipway-n-"+in.ID+"-"+port] {
		t.Errorf("%s, cookies %v", a, names)
	}
	up.Stop(t)
}
