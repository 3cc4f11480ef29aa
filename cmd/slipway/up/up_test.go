package up

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// told is all that a user reads of an error.
func told(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*controlplane.Error](err)
	if !ok {
		t.Fatalf("error is %v (%T), want one that users may read", err, err)
	}
	if e.Hint == "" {
		t.Errorf("%q does not say how to mend it", e.What)
	}
	return e.What + "\n" + e.Hint
}

func TestCheckListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, free, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, taken, _ := net.SplitHostPort(busy.Addr().String())
	for listen, want := range map[string]string{
		"127.0.0.1:FREE": "", "127.1.2.3:FREE": "", "localhost:FREE": "", "LOCALHOST.:FREE": "", "[::1]:FREE": "",
		"0.0.0.0:BUSY":   "choose another port",
		":BUSY":          "choose another port",
		"192.0.2.1:FREE": "an address of this machine",
		"8080":           "not an address and a port",
		"127.0.0.1":      "not an address and a port",
		"":               "not an address and a port",
		"127.0.0.1:http": "no port between 1 and 65535",
		"0.0.0.0:70000":  "no port between 1 and 65535",
		"127.0.0.1:0":    "no port between 1 and 65535",
		"localhost:":     "no port between 1 and 65535",
	} {
		t.Run(listen, func(t *testing.T) {
			err := checkListen(strings.NewReplacer("FREE", free, "BUSY", taken).Replace(listen))
			if want == "" {
				if err != nil && !(listen == "[::1]:FREE" && noIPv6()) && !strings.HasPrefix(listen, "LOCALHOST") {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it is taken")
			}
			if got := told(t, err); !strings.Contains(got, want) {
				t.Errorf("got %q, want one with %q", got, want)
			}
		})
	}
}

func TestReach(t *testing.T) {
	for _, tc := range []struct {
		listen, base string
		refused      bool
		warned       bool
	}{
		{"127.0.0.1:8080", "http://localhost:8080", false, false},
		{"[::1]:8080", "http://localhost:8080", false, false},
		{"localhost:8080", "http://apps.example.com", false, false},
		{"0.0.0.0:8080", "http://localhost:8080", false, true},
		{":8080", "http://localhost:8080", false, true},
		{"[::]:8080", "http://apps.example.com:8080", false, true},
		{"[::ffff:0.0.0.0]:8080", "https://apps.example.com", false, false},
		{"192.0.2.1:8080", "http://localhost:8080", true, true},
		{"192.0.2.1:8080", "http://apps.example.com:8080", false, true},
		{"192.0.2.1:8080", "https://apps.example.com", false, false},
		{"host.example.com:8080", "https://apps.localhost", true, false},
	} {
		t.Run(tc.listen+" as "+tc.base, func(t *testing.T) {
			site, err := routing.NewSite(routing.SiteConfig{BaseURL: tc.base})
			if err != nil {
				t.Fatal(err)
			}
			if err := checkReach(tc.listen, site); (err != nil) != tc.refused {
				t.Errorf("error %v", err)
			} else if err != nil && !strings.Contains(told(t, err), "--base-url") {
				t.Errorf("error %v", err)
			}
			if got := exposed(tc.listen, site); (got != "") != tc.warned || tc.warned && !strings.Contains(got, "--base-url https://") {
				t.Errorf("warning %q", got)
			}
		})
	}
}

func noIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return true
	}
	l.Close()
	return false
}

func TestABusyPortNamesTheFlag(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = checkListen(l.Addr().String())
	if err == nil {
		t.Fatal("a busy port is taken")
	}
	if got := told(t, err); !strings.Contains(got, "--listen") || !strings.Contains(got, l.Addr().String()) {
		t.Errorf("got %q", got)
	}
}

// Many clients take localhost for ::1: a program there would get what is meant
// for this one.
func TestAPortThatIsBusyOnTheOtherLoopbackIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6 loopback: %v", err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	err = checkListen("127.0.0.1:" + port)
	if err == nil {
		t.Fatal("it is taken")
	}
	if got := told(t, err); !strings.Contains(got, "--listen") || !strings.Contains(got, l.Addr().String()) {
		t.Errorf("got %q", got)
	}
}

func TestBaseURL(t *testing.T) {
	for _, tc := range []struct{ name, flag, file, listen, want string }{
		{"default", "", "", "127.0.0.1:8080", "http://localhost:8080"},
		{"default with IPv6", "", "", "[::1]:9000", "http://localhost:9000"},
		{"file", "", "http://a.test", "127.0.0.1:8080", "http://a.test"},
		{"flag before file", "http://b.test", "http://a.test", "127.0.0.1:8080", "http://b.test"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := baseURL(tc.flag, tc.file, tc.listen); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestControlPlaneIsCompletedNotReplaced(t *testing.T) {
	for _, tc := range []struct{ name, given, want string }{
		{"nothing given", ``, `{"blobs":"/d/bundles","secret_keys":"/d/secret-keys.json","launchers":{
			"manual":{"allow":["127.0.0.0/8","::1/128"]},"process":{"data":"/d/processes","stop_on_exit":true,"hide":["/d","/s"]}}}`},
		{"blobs", `{"blobs":"/b"}`, `{"blobs":"/b","secret_keys":"/d/secret-keys.json","launchers":{
			"manual":{"allow":["127.0.0.0/8","::1/128"]},"process":{"data":"/d/processes","stop_on_exit":true,"hide":["/d","/s"]}}}`},
		{"one launcher's setting", `{"launchers":{"process":{"data":"/p"},"manual":{"allow":["10.0.0.0/8"]}}}`, `{"blobs":"/d/bundles","secret_keys":"/d/secret-keys.json","launchers":{
			"manual":{"allow":["10.0.0.0/8"]},"process":{"data":"/p","stop_on_exit":true,"hide":["/d","/s"]}}}`},
		{"other keys", `{"secret_keys":"/k"}`, `{"blobs":"/d/bundles","secret_keys":"/k","launchers":{
			"manual":{"allow":["127.0.0.0/8","::1/128"]},"process":{"data":"/d/processes","stop_on_exit":true,"hide":["/d","/s"]}}}`},
		{"more to hide", `{"launchers":{"process":{"hide":["/h"]}}}`, `{"blobs":"/d/bundles","secret_keys":"/d/secret-keys.json","launchers":{
			"manual":{"allow":["127.0.0.0/8","::1/128"]},"process":{"data":"/d/processes","stop_on_exit":true,"hide":["/h","/d","/s"]}}}`},
		{"pods beside processes", `{"launchers":{"kubernetes":{}}}`, `{"blobs":"/d/bundles","secret_keys":"/d/secret-keys.json","launchers":{"kubernetes":{},
			"manual":{"allow":["127.0.0.0/8","::1/128"]},"process":{"data":"/d/processes","stop_on_exit":true,"hide":["/d","/s"]}}}`},
		{"pods in the place of processes", `{"launchers":{"kubernetes":{"image":"a:1"}}}`, `{"blobs":"/d/bundles","secret_keys":"/d/secret-keys.json","launchers":{
			"kubernetes":{"image":"a:1"},"manual":{"allow":["127.0.0.0/8","::1/128"]}}}`},
		{"an empty launcher", `{"launchers":{"process":{}}}`, `{"blobs":"/d/bundles","secret_keys":"/d/secret-keys.json","launchers":{
			"manual":{"allow":["127.0.0.0/8","::1/128"]},"process":{"data":"/d/processes","stop_on_exit":true,"hide":["/d","/s"]}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var given json.RawMessage
			if tc.given != "" {
				given = json.RawMessage(tc.given)
			}
			got, err := controlPlane(given, paths{data: "/d", sockets: "/s"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decode(t, tc.want), decode(t, string(got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := controlPlane(json.RawMessage(`{"launchers":{"process":[]}}`), paths{data: "/d"}); err == nil {
		t.Error("settings that are a list are taken")
	}
}

func decode(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"a block", "slipway {\n\thold 30s\n\tlauncher manual {\n\t\tallow 10.0.0.0/8\n\t}\n\tblobs /b\n}\n", ""},
		{"an empty block", "slipway {\n}\n", ""},
		{"nothing", "", "does not begin with a block slipway"},
		{"a whole Caddyfile", "{\n\tslipway {\n\t}\n}\n", "does not begin with a block slipway"},
		{"two blocks", "slipway {\n}\nslipway {\n}\n", `unexpected "slipway" after the block`},
		{"unknown", "slipway {\n\tlisten :80\n}\n", `slipway has no setting "listen"`},
		{"twice", "slipway {\n\thold 1s\n\thold 1s\n}\n", "hold is given twice"},
		{"etcd", "slipway {\n\tetcd http://127.0.0.1:2379\n}\n", "names an etcd, and slipway up runs its own"},
		{"not closed", "slipway {\n\thold 1s\n", ""},
		{"unquoted", "slipway {\n\thold \"1s\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "slipway.conf")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			app, err := readSettings(path)
			if tc.want == "" {
				if (err == nil) != (app != nil) {
					t.Errorf("app %v, error %v", app, err)
				}
				if err != nil && strings.HasPrefix(tc.name, "a") {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("it is taken")
			}
			if got := told(t, err); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want one with %q", got, tc.want)
			}
			if controlplane.CodeOf(err) != controlplane.CodeInvalid {
				t.Errorf("code is %v, want wrong usage", controlplane.CodeOf(err))
			}
		})
	}
	if _, err := readSettings(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(told(t, err), "--config") {
		t.Errorf("a missing file gives %v", err)
	}
	on := true
	if app, err := readSettings(""); err != nil || cmp.Diff(caddymodule.Settings{BaseURLSharing: &on}, app.Settings) != "" {
		t.Errorf("no file gives %v, %v", app, err)
	}
}

func TestSharingIsOnUnlessTheFileSaysOtherwise(t *testing.T) {
	const oidc = "\toidc https://auth.example.com slipway\n"
	for text, want := range map[string]bool{
		"slipway {\n}\n": true, "slipway {\n\tbase_url_sharing\n}\n": true, "slipway {\n\tbase_url_sharing off\n}\n": false,
		"slipway {\n" + oidc + "}\n": false, "slipway {\n" + oidc + "\tbase_url_sharing\n}\n": true,
	} {
		path := filepath.Join(t.TempDir(), "slipway.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if app, err := readSettings(path); err != nil || *app.BaseURLSharing != want {
			t.Errorf("%q gives %+v, %v", text, app, err)
		}
	}
}

func TestSettingsOfABlockArrive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slipway.conf")
	text := "slipway {\n\talias_redirect strict\n\tmax_upload 5\n\tlauncher manual {\n\t\tallow 10.0.0.0/8\n\t}\n}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	app, err := readSettings(path)
	if err != nil {
		t.Fatal(err)
	}
	if app.AliasRedirect != "strict" || app.MaxUpload != 5 || !strings.Contains(string(app.ControlPlaneRaw), "10.0.0.0/8") {
		t.Errorf("got %+v, %s", app.Settings, app.ControlPlaneRaw)
	}
}

func TestPrepareChecksBeforeItTakesTheFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for name, o := range map[string]Options{
		"listen":   {Data: data, Listen: "0.0.0.0:0"},
		"base URL": {Data: data, Listen: "127.0.0.1:0", BaseURL: "ftp://x"},
		"config":   {Data: data, Listen: "127.0.0.1:0", Config: filepath.Join(data, "none")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := prepare(o); err == nil {
				t.Error("it is taken")
			} else {
				told(t, err)
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("the folder was made")
			}
		})
	}
}

func TestCaddyConfigListensOnNothingElse(t *testing.T) {
	raw, err := json.Marshal(caddyConfig(new(caddymodule.App), "127.0.0.1:8080", paths{"/d", "/s"}))
	if err != nil {
		t.Fatal(err)
	}
	config := decode(t, string(raw)).(map[string]any)
	if got := config["admin"].(map[string]any)["listen"]; got != "unix//s/admin.sock" {
		t.Errorf("the admin interface listens on %v", got)
	}
	for _, bad := range []string{"2019", ":443", `":80"`} {
		if strings.Contains(string(raw), bad) {
			t.Errorf("the configuration names %s: %s", bad, strconv.Quote(string(raw)))
		}
	}
}

func TestAdminToken(t *testing.T) {
	admin := func(change func(*controlplane.Token)) *controlplane.Token {
		token := &controlplane.Token{User: controlplane.LocalAdmin, Scopes: slices.Clone(controlplane.Scopes)}
		change(token)
		return token
	}
	for _, tc := range []struct {
		name   string
		change func(*controlplane.Token)
		want   bool
	}{
		{"as it was written", func(*controlplane.Token) {}, true},
		{"of somebody else", func(t *controlplane.Token) { t.User = "dana" }, false},
		{"with fewer scopes", func(t *controlplane.Token) { t.Scopes = t.Scopes[:2] }, false},
		{"that ends", func(t *controlplane.Token) { t.ExpiresAt = time.Now().Add(time.Hour) }, false},
	} {
		if got := isAdminToken(admin(tc.change)); got != tc.want {
			t.Errorf("a token %s: %v", tc.name, got)
		}
	}
}
