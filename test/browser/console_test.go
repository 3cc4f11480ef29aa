package browser

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// deviceLogin runs the real `slipway login`, and returns the address that it
// prints, and its end.
func (w *world) deviceLogin(name string) (address, code string, command *slipwaytest.Process) {
	w.Helper()
	config := filepath.Join(w.dir, name+".toml")
	command = slipwaytest.Start(w, append(os.Environ(), "SLIPWAY_CONFIG="+config, "HOME="+w.dir, "SLIPWAY_TOKEN=", "SLIPWAY_ENDPOINT="),
		"login", w.console, "--no-browser", "--name", name)
	w.Cleanup(command.Kill)
	said := regexp.MustCompile(`(?s)(http\S+/device\?code=\S+).*the code  (\S+)`)
	eventually(w, "the command prints an address", func() bool {
		if found := said.FindStringSubmatch(command.Stderr.String() + command.Stdout.String()); found != nil {
			address, code = found[1], found[2]
		}
		return address != ""
	})
	return address, code, command
}

// TestSigningACommandLineIn: slipway login prints an address and a code, a
// person signs in and approves there, and the command ends with a token.
func TestSigningACommandLineIn(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	b := w.browser()
	tab := b.tab()
	address, code, command := w.deviceLogin("laptop")
	tab.Open(address)
	tab.signIn("victim")
	tab.Titled("Sign a command line in?")
	if text := tab.Text(); !strings.Contains(text, code) || !strings.Contains(text, "laptop") || !strings.Contains(text, "victim") {
		t.Errorf("the page with the code %s shows %s", code, text)
	}
	tab.Press("Approve")
	tab.Titled("Approved")
	command.Exits(t, cli.ExitDone)
	if me, err := slipwaytest.Client(t, filepath.Join(w.dir, "laptop.toml")).Me(t.Context()); err != nil || me.User != "victim" {
		t.Errorf("the command line is %+v, %v", me, err)
	}

	t.Log("the code typed, and denied")
	_, code, command = w.deviceLogin("other")
	tab.Open(w.console + "/device")
	tab.Titled("Sign a command line in")
	tab.Run(chromedp.SendKeys(chromedp.CSS("input[name=code]"), strings.ToLower(code)))
	tab.Press("Continue")
	tab.Titled("Sign a command line in?")
	tab.Press("Deny")
	tab.Titled("Denied")
	command.Exits(t, cli.ExitForbidden)
	tab.Quiet()
}

// TestTokensOfTheConsole: a token is made, shown once, works, and is revoked.
func TestTokensOfTheConsole(t *testing.T) {
	w := newWorld(t, setup{})
	tab := w.browser().signedIn("victim")
	tab.Click(`a[href="/tokens"]`)
	tab.Titled("Your tokens")
	tab.Run(chromedp.SendKeys(chromedp.CSS("input[name=name]"), "<b>mine</b>"))
	tab.Click("input[value=read]")
	tab.Press("Make")
	tab.Is("the token is shown", "document.querySelector('pre code')")
	secret := js[string](tab, "document.querySelector('pre code').textContent")
	api, err := client.New(client.Config{Endpoint: w.console, Token: secret, HTTP: w.visitor()})
	if err != nil {
		t.Fatal(err)
	}
	if me, err := api.Me(t.Context()); err != nil || me.User != "victim" || strings.Join(me.Scopes, " ") != "read" {
		t.Errorf("the token is %+v's, %v", me, err)
	}
	tab.Open(w.console + "/tokens")
	tab.Is("the token is in the list", "document.body.innerText.includes('<b>mine</b>') && !document.querySelector('pre')")
	if strings.Contains(js[string](tab, "document.documentElement.outerHTML"), secret) {
		t.Error("the token is shown twice")
	}
	tab.Press("Revoke")
	tab.Is("the token is gone", "document.body.innerText.includes('None.')")
	eventually(t, "the token is refused", func() bool { _, err := api.Me(t.Context()); return err != nil })
	tab.Quiet()
}

// TestTheLinkOfUp: what slipway up prints signs in by a button, once.
func TestTheLinkOfUp(t *testing.T) {
	w := emptyWorld(t)
	data := filepath.Join(w.dir, "data")
	t.Cleanup(w.end)
	w.process = slipwaytest.Start(t, append(os.Environ(), "XDG_RUNTIME_DIR="+w.dir, "HOME="+w.dir), "up", "--listen", "127.0.0.1:"+w.port, "--data", data)
	link, sample := "", ""
	for _, line := range w.process.AwaitReady(t) {
		for _, word := range strings.Fields(line) {
			if strings.Contains(word, "/link?token=") {
				link = word
			} else if strings.Contains(line, "Sample app") && strings.HasPrefix(word, "http") {
				sample = word
			}
		}
	}
	w.console = "http://console.localhost:" + w.port
	if !strings.HasPrefix(link, w.console) || sample == "" {
		t.Fatalf("up prints %s", w.process.Stdout)
	}
	b := w.browser()
	tab := b.tab()
	tab.Open(link)
	tab.Titled("Sign in")
	tab.Open(link) // a look does not use it up
	tab.Titled("Sign in")
	tab.Press("Sign in")
	tab.At(w.console + "/")
	if who := js[string](tab, "document.querySelector('.who').textContent"); !strings.HasPrefix(who, "admin") {
		t.Errorf("%s is signed in", who)
	}
	tab.Open(sample + "#part")
	tab.At(sample + "#part")
	tab.Quiet()
	other := b.another().tab()
	other.Open(link)
	other.Titled("Sign in")
	other.Press("Sign in")
	other.Titled("Not signed in")
	tab.Open(w.console + "/")
	tab.Titled("Your installation")

	t.Log("a command line")
	address, _, command := w.deviceLogin("laptop")
	tab.Open(address)
	tab.Titled("Sign a command line in?")
	tab.Press("Approve")
	tab.Titled("Approved")
	command.Exits(t, cli.ExitDone)

	tab.Press("Sign out")
	tab.Titled("Signed out")
	tab.Quiet()
	api := slipwaytest.Client(t, filepath.Join(data, "cli.toml"))
	again, err := api.LoginLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tab.Open(again.URL)
	tab.Press("Sign in")
	tab.At(w.console + "/")
}

// TestHowTheConsoleLooks makes a picture of each page, light and dark, for
// those who want to look. No page complains, or is wider than the window.
func TestHowTheConsoleLooks(t *testing.T) {
	w := newWorld(t, setup{plain: true})
	b := w.browser()
	tab := b.tab()
	picture := func(name string) {
		t.Helper()
		tab.pictures(name)
		tab.Quiet()
	}
	tab.Open(w.console + "/")
	tab.Titled("Welcome")
	picture("signed-out")
	w.provider.Down(oidctest.Unavailable) // before slipway has found it
	tab.Click(`a[href$="/login"]`)
	tab.Titled("Not possible right now")
	tab.Forget() // the answer is an error
	picture("provider-down")
	w.provider.Up()
	time.Sleep(2100 * time.Millisecond) // a failed discovery stands for two seconds
	api := w.api("ada")
	w.run(api, slipwaytest.App{Name: "sales-forecast"}, "PRIVATE")
	in := w.run(api, slipwaytest.App{Name: "hr", Mode: "BASE_URL"}, "PRIVATE")
	tab.Open(w.console + "/login")
	tab.signIn("ada")
	tab.Titled("Your installation")
	picture("list")
	address, _, _ := w.deviceLogin("laptop")
	tab.Open(w.console + "/device")
	tab.Titled("Sign a command line in")
	picture("device-code")
	tab.Open(address)
	tab.Titled("Sign a command line in?")
	picture("device")
	tab.Open(w.console + "/tokens")
	tab.Titled("Your tokens")
	picture("tokens-none")
	tab.Run(chromedp.SendKeys(chromedp.CSS("input[name=name]"), "deploys of the sales forecast"))
	tab.Press("Make")
	tab.Is("the token is shown", "document.querySelector('pre code')")
	picture("tokens")
	stranger := b.another()
	stranger.signedIn("victim")
	tab = stranger.tab()
	tab.Open(w.console + "/nowhere")
	tab.Titled("Not found")
	tab.Forget()
	picture("not-found")
	tab.Open(in.URL)
	tab.Titled("Not found")
	tab.Forget()
	picture("not-theirs")
}
