package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
)

// maxResident is the memory that a warm slipway with its sample may use.
const maxResident = 150 << 20

// TestUpPrintsURLsThatAnswer is interfaces.md §2.
func TestUpPrintsURLsThatAnswer(t *testing.T) {
	t.Parallel()
	s := newSlipway(t)
	s.start()
	first := s.toReady
	s.stop()
	s.start()
	t.Logf("figure: ready after %s in a new folder, %s in one that has been used", first.Round(1e6), s.toReady.Round(1e6))
	if last := s.lines[len(s.lines)-1]; last != "ready" {
		t.Errorf("the last line is %q", last)
	}
	urls := map[string]string{}
	for _, line := range s.lines {
		if name, rest, found := strings.Cut(line, "http://"); found {
			urls[strings.TrimSpace(name)] = "http://" + strings.Fields(rest)[0]
		}
	}
	visit := func(url string) (int, string) {
		response, err := (&http.Client{Transport: loopback(t)}).Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	if status, body := visit(urls["Console"]); status != 200 || !strings.Contains(body, "Sign in") || strings.Contains(body, urls["Sample app"]) {
		t.Errorf("console %s: %d, or it shows the sample to anybody", urls["Console"], status)
	}
	status, body := visit(urls["Sample app"])
	if status != 200 || !strings.Contains(body, urls["Sample app"]) || !strings.Contains(body, "DOMAIN") {
		t.Errorf("sample %s: %d, or it does not show its URL and routing mode", urls["Sample app"], status)
	}
	if status, _ := visit(urls["API"] + "me"); status != 401 {
		t.Errorf("API without a token: %d", status)
	}
	if status, _ := visit(s.origin("") + "/"); status != 200 { // the client follows to the console
		t.Errorf("base domain: %d", status)
	}
	info, err := os.Stat(s.config())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("cli.toml: %v, %v", info.Mode(), err)
	}
	resident := s.resident()
	t.Logf("figure: %d MiB resident", resident>>20)
	if resident > maxResident {
		t.Errorf("%d bytes resident, more than %d", resident, maxResident)
	}
}

func (s *slipway) resident() int {
	s.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.PID))
	if err != nil {
		s.t.Skip(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib << 10
		}
	}
	s.t.Skip("/proc shows no VmRSS")
	return 0
}

func TestUpPrintsNothingButReadyWhenQuiet(t *testing.T) {
	t.Parallel()
	s := up(t, "--quiet")
	if diff := cmp.Diff([]string{"ready"}, s.lines); diff != "" {
		t.Error(diff)
	}
	if list := s.must("app", "list", "-o", "name"); list != "" {
		t.Errorf("with --no-sample there are apps: %s", list)
	}
	t.Run("openapi.json is open, and the one in the repository", func(t *testing.T) {
		raw, err := os.ReadFile("../../controlplane/api/openapi.json")
		if err != nil {
			t.Fatal(err)
		}
		a := s.get(s.host(""), "/api/openapi.json")
		var want, got any
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(a.body, &got); err != nil {
			t.Fatalf("%d: %v", a.status, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a second up on the folder names the first", func(t *testing.T) {
		r := s.command(s.env, "up", "--data", s.data, "--listen", "127.0.0.1:"+freePort(t))
		r.wants(t, 1, strconv.Itoa(s.process.PID), "--data")
		s.get(s.host(""), "/livez")
		if a := s.get(s.host(""), "/readyz"); a.status != 200 {
			t.Errorf("the first one: %d", a.status)
		}
	})
	t.Run("no token and a wrong one", func(t *testing.T) {
		if a := s.get(s.host(""), "/api/v1/apps"); a.status != 401 {
			t.Errorf("%d", a.status)
		}
		for _, token := range []string{"", "slw_WRONG"} {
			path := filepath.Join(t.TempDir(), "cli.toml")
			if err := cli.WriteContext(path, s.origin(""), token); err != nil {
				t.Fatal(err)
			}
			s.command(s.env, "--config", path, "app", "list").wants(t, 4, "error", "hint")
		}
	})
}

// TestUpRefusesWhatItCannotDo: an error that says how to mend it, and nothing
// left behind.
func TestUpRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	s := newSlipway(t)
	broken := s.file("broken", []byte("slipway {\n\thold never\n}\n"))
	foreign := s.file("foreign", []byte("slipway {\n\tetcd https://etcd:2379\n}\n"))
	tests := []struct {
		name  string
		args  []string
		code  int
		words []string
	}{
		{"a busy port", []string{"--listen", busy.Addr().String()}, 1, []string{"--listen", busy.Addr().String()}},
		{"a busy port, on every address", []string{"--listen", strings.Replace(busy.Addr().String(), "127.0.0.1", "", 1)}, 1, []string{"--listen"}},
		{"an address of another machine", []string{"--listen", "192.0.2.1:8080"}, 1, []string{"192.0.2.1:8080"}},
		{"no port", []string{"--listen", "127.0.0.1"}, 2, []string{"--listen"}},
		{"a config file that is not there", []string{"--config", s.data + "/none", "--listen", s.address()}, 1, []string{"--config", s.data + "/none"}},
		{"a config file with a fault", []string{"--config", broken, "--listen", s.address()}, 2, []string{broken, "never"}},
		{"a config file with an etcd", []string{"--config", foreign, "--listen", s.address()}, 2, []string{foreign, "etcd"}},
		{"a base URL that is none", []string{"--base-url", "localhost", "--listen", s.address()}, 2, []string{"--base-url"}},
		{"an unknown flag", []string{"--lisen", "x"}, 2, []string{"--lisen", "--help"}},
		{"an argument", []string{"now"}, 2, []string{"now"}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			s.command(s.env, append([]string{"up", "--data", s.data}, x.args...)...).wants(t, x.code, x.words...)
			if _, err := os.Stat(s.data); !os.IsNotExist(err) {
				t.Errorf("it left the data folder behind: %v", err)
			}
		})
	}
}
