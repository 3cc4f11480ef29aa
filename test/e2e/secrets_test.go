package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// canary is a value that is nowhere by chance.
const canary = "canary-0e6f8c1b7d5a4932"

// forms are how the value could be written somewhere.
func forms(value string) (list [][]byte) {
	list = append(list, []byte(value), []byte(hex.EncodeToString([]byte(value))))
	for offset := range 3 { // where it stands in a longer text tells how base64 has it
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + value))
		list = append(list, []byte(strings.TrimRight(text, "=")[4:len(text)-5]))
	}
	return list
}

// holds reports whether data has the value in some form.
func holds(data []byte) bool {
	return slices.ContainsFunc(forms(canary), func(form []byte) bool { return bytes.Contains(data, form) })
}

// secretApp reads a secret as a variable and as a file.
func secretApp(name, more string) app {
	a := app{Name: name}
	a.Files = map[string]string{"app.toml": a.Manifest() + `[[Env]]
Name = "PASSWORD"
Secret = "canary"
SecretKey = "password"
[[File]]
Path = "conf/password"
Secret = "canary"
SecretKey = "password"
` + more}
	return a
}

const optional = `[[Env]]
Name = "NOT_THERE"
Secret = "other"
SecretKey = "x"
Optional = true
[[File]]
Path = "more/not-there"
Secret = "canary"
SecretKey = "other"
Optional = true
`

// TestASecretIsNowhereButWithTheApp runs an app that reads a secret, does with it
// what can be done, and looks for the value everywhere else.
func TestASecretIsNowhereButWithTheApp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{canary, hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("ab" + canary + "cd"))} {
		if !holds([]byte(text)) {
			t.Fatalf("it would not be found as %s", text)
		}
	}
	s := up(t)
	w := watchProcesses(s)
	defer w.stop()
	s.must("secret", "create", "canary", "--from-file", "password="+s.file("value", []byte(canary)))
	ready := s.importApp(secretApp("reader", optional))
	broken := secretApp("broken", "")
	broken.Files["app.toml"] = strings.Replace(broken.Files["app.toml"], "./testapp", "./not-there", 1)
	broken.Files["not-there"] = "this is no program"
	in := s.runApp(ready)

	path := s.secretFile(in.ID)
	if a := s.get(s.host(in.ID), "/read?"+path); a.status != 200 || string(a.body) != canary {
		t.Errorf("the app reads its file as %d %q", a.status, a.body)
	}
	if got := s.environmentOf(t, in.ID); got["PASSWORD"] != canary {
		t.Errorf("the app has PASSWORD=%q", got["PASSWORD"])
	} else if _, ok := got["NOT_THERE"]; ok {
		t.Error("what is optional and missing is set")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v", info, err)
	}
	if why := s.must("instance", "why", in.ID, "-o", "json"); strings.Count(why, "is left out") != 2 {
		t.Errorf("why does not tell what is left out: %s", why)
	}
	s.must("instance", "restart", in.ID, "--wait")
	failed := s.cli("app", "run", s.importApp(broken), "--wait")
	failed.wants(t, 1)

	t.Run("not in what is said", func(t *testing.T) {
		for where, said := range s.said(t, in.ID, ready) {
			if holds(said) {
				t.Errorf("%s has it: %s", where, said)
			}
		}
		if holds([]byte(failed.out + failed.err)) {
			t.Errorf("a start that fails tells it: %s%s", failed.out, failed.err)
		}
	})
	t.Run("not on the disk", func(t *testing.T) { s.searchFolder(t) })
	t.Run("not at the other processes", func(t *testing.T) {
		w.stop()
		if w.looks < 3 || len(w.found) > 0 {
			t.Errorf("%d looks found it at %q", w.looks, w.found)
		}
	})
	s.stop()
	t.Run("not after the end", func(t *testing.T) {
		s.searchFolder(t)
		if holds([]byte(s.process.Stdout.String() + s.process.Stderr.String())) {
			t.Error("slipway up said it")
		}
	})
}

// secretFile is where the app's file is.
func (s *slipway) secretFile(id string) string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.data, "processes", "instances", id, "run", "*", "app", "conf", "password"))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("files %q, %v", found, err)
	}
	return found[0]
}

func (s *slipway) environmentOf(t *testing.T, id string) map[string]string {
	t.Helper()
	var e echo
	if err := json.Unmarshal(s.get(s.host(id), "/").body, &e); err != nil {
		t.Fatal(err)
	}
	return e.Env
}

// searchFolder looks through all of the data folder; it is in the app's own file
// alone.
func (s *slipway) searchFolder(t *testing.T) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(s.data, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // what runs takes its files away
		}
		if err != nil || !entry.Type().IsRegular() || strings.HasSuffix(path, "/app/conf/password") {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if n++; holds(data) {
			t.Errorf("%s holds it", path)
		}
		return err
	})
	if err != nil || n < 10 {
		t.Errorf("%d files, %v", n, err)
	}
}

// said is what API and command line answer, by what was asked.
func (s *slipway) said(t *testing.T, id, app string) map[string][]byte {
	t.Helper()
	said := map[string][]byte{}
	for _, args := range [][]string{
		{"secret", "list"}, {"secret", "get", "canary"}, {"admin", "secret", "list", "-v", "PRIVATE"}, {"app", "get", app}, {"app", "list"},
		{"instance", "get", id}, {"instance", "list"}, {"instance", "why", id}, {"instance", "status", id}, {"admin", "audit", "list"},
	} {
		r := s.cli(append(args, "-o", "json")...)
		if r.code != 0 {
			t.Errorf("%q: %s", args, r.err)
		}
		said["slipway "+strings.Join(args, " ")] = []byte(r.out + r.err)
	}
	said["its log"] = []byte(s.must("instance", "logs", id))
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/instances/" + id + "/events", ""},
		{"GET", "/secrets/canary", ""},
		{"GET", "/secrets", ""},
		{"POST", "/secrets", `{"name":"canary","values":{"password":"` + canary + `"}}`},
		{"POST", "/secrets", `{"name":"Bad Name","values":{"password":"` + canary + `"}}`},
		{"POST", "/secrets", `{"name":"other","values":{"bad key":"` + canary + `"}}`},
		{"POST", "/secrets", `{"name":"other","values":{"a":"` + canary + `","A":"` + canary + `"}}`},
		{"POST", "/secrets", `{"name":"other","values":{"a":"` + canary + `"},"data":{"a":"` + base64.StdEncoding.EncodeToString([]byte(canary)) + `"}}`},
		{"POST", "/secrets", `{"name":"other","values":"` + canary + `"}`},
		{"POST", "/secrets", `{"name":"other","values":{"a":["` + canary + `"]}}`},
		{"POST", "/secrets", `{"name":"other","data":{"a":"` + canary + `"}}`},
		{"POST", "/secrets", `{"name":"other","valeus":{"a":"` + canary + `"}}`},
		{"POST", "/secrets", `{"name":"other","values":{"a":"` + canary},
		{"PUT", "/secrets/canary", `{"values":{"password":"` + canary + `"}}`},
		{"PUT", "/secrets/nothere", `{"values":{"password":"` + canary + `"}}`},
		{"PUT", "/secrets/canary", `{"values":{"password":"` + strings.Repeat(canary, 5000) + `"}}`},
		{"DELETE", "/secrets/canary", ""},
		{"POST", "/secrets/rotate", ""},
	} {
		said[call.method+" "+call.path+" "+strconv.Itoa(len(said))] = s.call(t, call.method, call.path, call.body)
	}
	return said
}

// call is a call of the API; the answer has its head, too.
func (s *slipway) call(t *testing.T, method, path, body string) []byte {
	t.Helper()
	token := ""
	if raw, err := os.ReadFile(s.config()); err == nil {
		_, token, _ = strings.Cut(string(raw), "token = '")
		token, _, _ = strings.Cut(strings.TrimPrefix(token, "\""), "'")
	}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.address()+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = s.host("")
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusUnauthorized {
		t.Fatalf("%s %s: %s %v", method, path, resp.Status, err)
	}
	return fmt.Appendf(nil, "%s %v %s", resp.Status, resp.Header, answer)
}

// TestSecretsAreResolvedAtTheStart holds the rules of an app's references.
func TestSecretsAreResolvedAtTheStart(t *testing.T) {
	t.Parallel()
	s := up(t)
	app := s.importApp(secretApp("early", ""))
	s.cli("app", "run", app).wants(t, 6, `the secret "canary"`)
	if got := s.must("app", "get", app, "-o", "json"); strings.Count(got, `"code": "missing_secret"`) != 2 || !strings.Contains(got, `"runnable": false`) {
		t.Errorf("the app: %s", got)
	}
	s.must("secret", "create", "canary", "user=x")
	s.cli("app", "run", app).wants(t, 6, `the key "password"`)
	s.must("admin", "secret", "create", "canary", "password=shared")
	s.cli("app", "run", app).wants(t, 6, `the key "password"`) // their own one counts
	s.must("secret", "delete", "canary", "-v", "all_users")
	s.must("secret", "update", "canary", "password=first")
	in := s.runApp(app)
	password := func() string { return s.environmentOf(t, in.ID)["PASSWORD"] }
	if got := password(); got != "first" {
		t.Errorf("PASSWORD is %q", got)
	}
	s.must("secret", "update", "canary", "password=second")
	if got := password(); got != "first" {
		t.Errorf("while it runs PASSWORD is %q", got)
	}
	s.must("instance", "restart", in.ID, "--wait")
	if got := password(); got != "second" {
		t.Errorf("after a start PASSWORD is %q", got)
	}
	s.cli("secret", "delete", "canary").wants(t, 6, "early 1.0.0", app)

	s.must("instance", "suspend", in.ID, "--wait")
	s.must("secret", "update", "canary", "other=x")
	s.cli("instance", "resume", in.ID, "--wait").wants(t, 1, "missing_secret")
	s.awaitStatus(in.ID, "FAILED")
	s.must("secret", "update", "canary", "password=third")
	s.must("instance", "resume", in.ID, "--wait")
	if got := password(); got != "third" {
		t.Errorf("after another start PASSWORD is %q", got)
	}
}

// TestLostKeysAreTold takes the keys away that secrets were sealed with, and gives
// them back.
func TestLostKeysAreTold(t *testing.T) {
	t.Parallel()
	s := up(t)
	file := filepath.Join(s.data, "secret-keys.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	s.must("secret", "create", "canary", "password=first")
	in := s.runApp(s.importApp(secretApp("sealed", "")))
	s.must("secret-keys", "add", file)
	keys := strings.Fields(s.must("secret-keys", "list", file))
	old := keys[0]
	s.cli("secret", "get", "canary", "-e").wants(t, 0)
	rotated := s.must("admin", "secret", "rotate", "-o", "json")
	var done v1.Rotation
	if err := json.Unmarshal([]byte(rotated), &done); err != nil || done.Resealed != 1 || done.Secrets != 1 || done.Key == old {
		t.Errorf("rotation %s, %v", rotated, err)
	}
	s.must("secret-keys", "remove", file, old)
	if got := s.must("secret", "get", "canary", "--key", "password"); got != "first" {
		t.Errorf("after a rotation it is %q", got)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	s.start() // it makes other keys
	s.cli("secret", "get", "canary", "-e").wants(t, 8, "sealed with key "+done.Key, file)
	if got := s.awaitStatus(in.ID, "FAILED"); got.Reason == nil || !strings.Contains(got.Reason.Text, file) {
		t.Errorf("reason %+v", got.Reason)
	}
	if err := os.WriteFile(file+".new", good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	s.must("instance", "resume", in.ID, "--wait")
	if got := s.environmentOf(t, in.ID)["PASSWORD"]; got != "first" {
		t.Errorf("PASSWORD is %q", got)
	}
	slipwaytest.Eventually(t, "it runs", func() bool { return s.instance(in.ID).Status == "DEPLOYED" })
}
