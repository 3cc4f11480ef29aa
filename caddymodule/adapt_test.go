package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/go-cmp/cmp"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	_ "github.com/seed-dbc68772/slipway/caddymodule/controlmodule"
)

var update = flag.Bool("update", false, "write the goldens below testdata")

const separator = "----------\n"

func adapt(t *testing.T, text string) ([]byte, []caddyconfig.Warning, error) {
	t.Helper()
	return caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
}

// A golden holds a Caddyfile and what it adapts to. Those named error_ hold a
// part of the adapter's error, those named invalid_ one of provisioning.
func TestCaddyfilesAdaptToTheirGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, found := strings.Cut(string(raw), separator)
			if !found {
				t.Fatalf("%s has no line %s", file, separator)
			}
			got, warnings, err := adapt(t, input)
			switch {
			case strings.HasPrefix(name, "error_"):
				wantError(t, err, want)
			case err != nil:
				t.Fatal(err)
			case strings.HasPrefix(name, "invalid_"):
				wantError(t, validate(t, got), want)
			default:
				for _, w := range warnings {
					t.Errorf("warning: %s", w)
				}
				golden(t, file, input, want, got)
			}
		})
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if want = strings.TrimSpace(want); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error is %v, want one with %q", err, want)
	}
}

func golden(t *testing.T, file, input, want string, got []byte) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, got, "", "\t"); err != nil {
		t.Fatal(err)
	}
	indented.WriteByte('\n')
	if *update {
		if err := os.WriteFile(file, []byte(input+separator+indented.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, indented.String()); diff != "" {
		t.Errorf("adapts otherwise than the golden says (-want +got):\n%s", diff)
	}
}

// validate does what `slipway validate` does.
func validate(t *testing.T, raw []byte) error {
	t.Helper()
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(raw, cfg); err != nil {
		return err
	}
	return caddy.Validate(cfg)
}

func TestValidatingOpensNothing(t *testing.T) {
	for _, name := range []string{"full", "edge", "control_plane"} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile("testdata/" + name + ".caddyfiletest")
			if err != nil {
				t.Fatal(err)
			}
			etcd, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			dialled := make(chan struct{})
			go func() { // ends when the listener is closed
				defer close(dialled)
				if conn, err := etcd.Accept(); err == nil {
					conn.Close()
					t.Error("validating dialled etcd")
				}
			}()
			dir := t.TempDir()
			t.Setenv("XDG_DATA_HOME", dir)
			t.Setenv("XDG_CONFIG_HOME", dir)
			input, _, _ := strings.Cut(string(raw), separator)
			input = strings.NewReplacer("https://etcd-0.invalid:2379", "http://"+etcd.Addr().String(),
				"http://127.0.0.1:1", "http://"+etcd.Addr().String(), "/var/lib/slipway", dir).Replace(input)
			got, _, err := adapt(t, input)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, got); err != nil {
				t.Error(err)
			}
			etcd.Close()
			<-dialled
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
				t.Errorf("validating made %v (%v)", entries, err)
			}
		})
	}
}

func TestTheExampleAdaptsAndValidates(t *testing.T) {
	raw, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for name, text := range map[string]string{"as it is": text, "on Kubernetes": onKubernetes(t, text)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			certtest.SelfSigned(t, "apps.example.com", "*.apps.example.com").Write(t, filepath.Join(dir, "wildcard"))
			got, warnings, err := adapt(t, strings.NewReplacer("/etc/slipway", dir, "/var/lib/slipway", dir, "/run/slipway", dir).Replace(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range warnings {
				t.Errorf("warning: %s", w)
			}
			if err := validate(t, got); err != nil {
				t.Error(err)
			}
		})
	}
}

// onKubernetes is the example with its launcher kubernetes in the place of
// launcher process.
func onKubernetes(t *testing.T, text string) string {
	t.Helper()
	processes := regexp.MustCompile(`(?s)\n\t\tlauncher process \{\n.*?\n\t\t\}\n`)
	pods := regexp.MustCompile(`(?s)\n\t\t# launcher kubernetes \{\n.*?\n\t\t# \}\n`)
	if !processes.MatchString(text) || !pods.MatchString(text) {
		t.Fatal("the example has no launcher process, or no launcher kubernetes that is commented out")
	}
	text = pods.ReplaceAllStringFunc(processes.ReplaceAllString(text, "\n"), func(block string) string {
		block = regexp.MustCompile(`(?m)^\t\t#$`).ReplaceAllString(block, "")
		return regexp.MustCompile(`(?m)^\t\t# `).ReplaceAllString(block, "\t\t")
	})
	return strings.Replace(text, "# image registry", "image registry", 1)
}
