package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestWrite(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own"), []byte("the bundle's"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, c := range []struct {
		name, path string
		ok         bool
	}{
		{"a new one", "conf/./a/key", true},
		{"over one of the bundle's", "own", true},
		{"behind a link", "link/key", false},
		{"above", "../key", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Write(root, controlplane.File{Path: c.path, Value: "secret"})
			if c.ok != (err == nil) {
				t.Fatal(err)
			}
			if !c.ok {
				return
			}
			text, err := os.ReadFile(filepath.Join(dir, c.path))
			info, err2 := os.Stat(filepath.Join(dir, c.path))
			if err != nil || err2 != nil || string(text) != "secret" || info.Mode().Perm() != 0o600 {
				t.Errorf("%q %v, %v, %v", text, info, err, err2)
			}
		})
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside there is %v, %v", entries, err)
	}
}
