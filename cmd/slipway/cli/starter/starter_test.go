package starter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// write puts an app's files into a folder.
func write(t testing.TB, a App) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range a.Files() {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		if f.Executable {
			if err := os.Chmod(filepath.Join(dir, f.Name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestEveryStarterIsAValidBundle(t *testing.T) {
	for _, mode := range Modes() {
		t.Run(mode, func(t *testing.T) {
			m, warnings, err := bundle.ValidateFolder(t.Context(), write(t, App{Mode: mode, Name: "demo", Title: "De\"mo\\\n x"}), bundle.Options{})
			if err != nil || len(warnings) > 0 {
				t.Fatal(err, warnings)
			}
			if m.Name != "demo" || m.Version != "0.1.0" || m.Title != "De\"mo\\ x" {
				t.Errorf("%+v", m)
			}
			if got := string(m.Runtime.AppMode); got != mode && mode != Link {
				t.Errorf("mode %s", got)
			}
		})
	}
}

func TestName(t *testing.T) {
	tests := []struct{ folder, want string }{
		{"hello", "hello"},
		{"ai.h2o.wave.my-app", "ai.h2o.wave.my-app"},
		{"My App (2)", "My-App-2"},
		{"..", "app"},
		{"/", "app"},
		{"", "app"},
		{"---", "app"},
		{"_x_", "x"},
		{"Größe", "Gr-e"},
		{"日本", "app"},
		{strings.Repeat("a", 100), strings.Repeat("a", deployed)},
		{strings.Repeat("a", deployed-1) + "-b", strings.Repeat("a", deployed-1)},
	}
	for _, tt := range tests {
		t.Run(tt.folder, func(t *testing.T) {
			if got := Name(tt.folder); got != tt.want || !ValidName(got) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzName holds that what init writes is valid in a folder of any name, and so
// is what deploy makes of it.
func FuzzName(f *testing.F) {
	f.Add("hello")
	f.Add("a b\x00\"\\\u202e")
	f.Fuzz(func(t *testing.T, folder string) {
		if !utf8.ValidString(folder) || len(folder) > 255 {
			t.Skip()
		}
		dir := write(t, App{Mode: Link, Name: Name(folder), Title: folder})
		if _, _, err := bundle.ValidateFolder(t.Context(), dir, bundle.Options{}); err != nil {
			t.Error(err)
		}
		if n := len(Name(folder)) + len("-0.1.0-20060102150405"); n > 63 {
			t.Errorf("%d characters", n)
		}
	})
}
