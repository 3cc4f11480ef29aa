//go:build linux

package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Files of secrets are the workload's alone, also where the bundle has one of
// that name, and what a start goes without already is told as its own warnings.
func TestFilesOfSecrets(t *testing.T) {
	l := opened(t, tempDir(t))
	w := workload("one", 1, inspects)
	w.Files = []controlplane.File{
		{Path: "conf/app.yaml", Value: "a secret", Secret: "db", SecretKey: "key"}, {Path: "plain/app.yaml", Value: "b: 1\n"},
	}
	w.Warnings = []string{"Env X is left out: there is no secret"}
	o := start(t, l, w)
	if ready := o.Ready("one", 1); !slices.Contains(ready.Warnings, w.Warnings[0]) {
		t.Errorf("warnings %q", ready.Warnings)
	}
	log := currentLog(t, l, "one")
	if !strings.Contains(log, "slipway: "+w.Warnings[0]+"\n") {
		t.Errorf("the log does not tell: %s", log)
	}
	if !strings.Contains(log, "a secret") { // the app printed what it read
		t.Errorf("the app does not find its file: %s", log)
	}
	files, err := filepath.Glob(l.instanceDir("one") + "/run/1-*/app/*/app.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	states, err := filepath.Glob(l.instanceDir("one") + "/state.*")
	if err != nil || len(states) == 0 {
		t.Fatalf("%q, %v", states, err)
	}
	for _, state := range states {
		if text, err := os.ReadFile(state); err != nil || strings.Contains(string(text), "a secret") {
			t.Errorf("%s: %s, %v", state, text, err)
		}
	}
}

// What prepares a workload finds the files that hold no secret.
func TestFilesOfSecretsAreWrittenLast(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("the bundle's"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &run{}
	r.w.Files = []controlplane.File{{Path: "secret", Value: "x", Secret: "db", SecretKey: "key"}, {Path: "plain", Value: "y"}}
	if why := r.writeFiles(root, false); why != nil {
		t.Fatal(why)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "secret")); err != nil || string(text) != "the bundle's" {
		t.Errorf("before: %q, %v", text, err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "plain")); err != nil || string(text) != "y" {
		t.Errorf("the other: %q, %v", text, err)
	}
	if why := r.writeFiles(root, true); why != nil {
		t.Fatal(why)
	}
	info, err := os.Stat(filepath.Join(dir, "secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
