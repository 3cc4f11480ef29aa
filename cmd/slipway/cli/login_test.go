package cli

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// loginProgram is a program with nothing configured but a home folder.
func loginProgram(t *testing.T, f *fakeAPI, world IO) (p *program, endpoint, file string) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	home := t.TempDir()
	world.Dir = t.TempDir()
	world.Env = func(name string) string {
		if name == "HOME" {
			return home
		}
		return ""
	}
	return testProgram(world), s.URL, filepath.Join(home, ".slipway", "config.toml")
}

func TestInterruptedLogin(t *testing.T) {
	stderr := &syncBuffer{}
	p, endpoint, file := loginProgram(t, newFakeAPI(), IO{Err: stderr})
	ctx, cancel := context.WithCancel(t.Context())
	p.pause = func(ctx context.Context, _ time.Duration) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if code := p.run(ctx, []string{"login", endpoint}, nil); code != ExitInterrupted || !strings.HasSuffix(stderr.String(), "error: interrupted\n") {
		t.Errorf("code %d, %s", code, stderr)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("something was saved: %v", err)
	}
}

func TestASavedTokenIsNobodyElses(t *testing.T) {
	p, endpoint, file := loginProgram(t, newFakeAPI(), IO{})
	if code := p.run(t.Context(), []string{"login", endpoint}, nil); code != ExitDone {
		t.Fatalf("code %d", code)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	if dir, err := os.Stat(filepath.Dir(file)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode %v (%v)", dir.Mode(), err)
	}
}

func TestATokenThatWasReplacedEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		before       Context
		want, unsaid string // on stderr
		left         bool
	}{
		"made by login":            {Context{Token: "slw_user", Made: true}, "", "warning", false},
		"pasted, or slipway up's":  {Context{Token: "slw_user"}, "", "warning", true},
		"it has ended already":     {Context{Token: "slw_gone", Made: true}, "", "warning", true},
		"its server has gone away": {Context{Endpoint: "http://127.0.0.1:1", Token: "slw_user", Made: true}, "warning: the token that was saved before goes on", "slw_user", true},
	} {
		t.Run(name, func(t *testing.T) {
			f, stderr := newFakeAPI(), &syncBuffer{}
			p, endpoint, file := loginProgram(t, f, IO{Err: stderr})
			if tc.before.Endpoint == "" {
				tc.before.Endpoint = endpoint
			}
			if err := editContexts(file, func(c *contextFile) error { c.Contexts["it"] = tc.before; return nil }); err != nil {
				t.Fatal(err)
			}
			if code := p.run(t.Context(), []string{"login", endpoint, "--context", "it"}, nil); code != ExitDone {
				t.Fatalf("code %d, %s", code, stderr)
			}
			if _, left := f.access.tokens["slw_user"]; left != tc.left {
				t.Errorf("left: %t", left)
			}
			if said := stderr.String(); !strings.Contains(said, tc.want) || strings.Contains(said, tc.unsaid) {
				t.Errorf("it says %s", said)
			}
		})
	}
}

func TestLoginEndpoint(t *testing.T) {
	p := testProgram(IO{Env: func(string) string { return "" }})
	for given, want := range map[string]string{
		"console.example.com":       "https://console.example.com",
		"console.example.com:8443":  "https://console.example.com:8443",
		"http://apps.example.com":   "http://apps.example.com",
		"localhost:8080":            "http://localhost:8080",
		"console.localhost:8080":    "http://console.localhost:8080",
		"127.0.0.1:8080":            "http://127.0.0.1:8080",
		"[::1]:8080":                "http://[::1]:8080",
		"localhost.example.com":     "https://localhost.example.com",
		"https://console.localhost": "https://console.localhost",
	} {
		if got, err := p.loginEndpoint(p.login(), []string{given}); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", given, got, err, want)
		}
	}
	for endpoint, want := range map[string]bool{
		"http://apps.example.com": true, "https://apps.example.com": false, "http://localhost:8080": false, "http://127.0.0.1": false,
	} {
		if plainText(endpoint) != want {
			t.Errorf("%s: a warning is %v", endpoint, !want)
		}
	}
}

func TestOnlyWebAddressesAreOpened(t *testing.T) {
	for s, want := range map[string]bool{
		"https://a.example/device?code=B": true, "http://console.localhost:8080/device": true,
		"": false, "file:///etc/passwd": false, "javascript:alert(1)": false, "https://": false, "-a": false,
		"https://u:p@a.example/": false, "https://a.example/\x1b[2J": false, "https://a.example/\u202e": false,
	} {
		if webURL(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func TestABrowserOpensOnADesktopOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		tty  bool
		env  map[string]string
		want bool
	}{
		"a desktop":   {true, map[string]string{"DISPLAY": ":0"}, true},
		"Wayland":     {true, map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, true},
		"a console":   {true, nil, false},
		"no terminal": {false, map[string]string{"DISPLAY": ":0"}, false},
		"SSH":         {true, map[string]string{"DISPLAY": ":0", "SSH_TTY": "/dev/pts/1"}, false},
		"SSH with X":  {true, map[string]string{"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "a b c d"}, false},
	} {
		p := testProgram(IO{ErrTTY: tt.tty, Env: func(k string) string { return tt.env[k] }})
		if got := p.hasBrowser(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"token slw_ABC123 is bad":   "token slw_… is bad",
		`"slw_p_a.b-c_d",slw_o_x`:   `"slw_…",slw_…`,
		"/link?token=slw_l_X&a=b":   "/link?token=slw_…&a=b",
		"tokens begin with slw_":    "tokens begin with slw_",
		"nothing here":              "nothing here",
		"Bearer slw_A+/=~ and more": "Bearer slw_… and more",
	} {
		if got := redact(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestTheNameOfAContext(t *testing.T) {
	f := contextFile{Current: "b", Contexts: map[string]Context{
		"a": {Endpoint: "https://x"}, "b": {Endpoint: "https://x"}, "y:1": {Endpoint: "http://y:1"},
	}}
	for endpoint, want := range map[string]string{
		"https://x": "b", "http://y:1": "y:1", "https://z:8443": "z:8443", "https://y:1": "https://y:1",
	} {
		if got := f.contextFor(endpoint); got != want {
			t.Errorf("%s is called %q, want %q", endpoint, got, want)
		}
	}
}
