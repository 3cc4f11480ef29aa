package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteContext(t *testing.T) {
	path := t.TempDir() + "/new/cli.toml"
	if _, err := ReadContext(path); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := WriteContext(path, "http://localhost:8080", "slw_a"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if c, err := ReadContext(path); err != nil || c != (Context{Endpoint: "http://localhost:8080", Token: "slw_a"}) {
		t.Error(c, err)
	}
	other := "current = \"far\"\n[contexts.far]\nendpoint = \"https://far\"\ntoken = \"t\"\n"
	if err := os.WriteFile(path, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteContext(path, "http://localhost:9090", "slw_b"); err != nil {
		t.Fatal(err)
	}
	f, err := readFile(path)
	if err != nil || f.Current != "local" || f.Contexts["far"].Endpoint != "https://far" || f.Contexts["local"].Token != "slw_b" {
		t.Error(f, err)
	}
	use := func(f *contextFile) error { f.Current = "far"; return nil }
	if err := editContexts(path, use); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadLocalContext(path); err != nil || c.Token != "slw_b" {
		t.Error(c, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if files, _ := os.ReadDir(t.TempDir()); len(files) > 0 {
		t.Error(files)
	}
}

func TestAConfigurationThatMayNotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cli.toml")
	if err := os.WriteFile(path, nil, 0o000); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Open(path); err == nil {
		t.Skip("this user may read everything")
	}
	if _, err := ReadContext(path); exitCode(t.Context(), err) != ExitUsage || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}
