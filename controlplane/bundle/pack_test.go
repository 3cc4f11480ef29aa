package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// packed packs a folder and lists what is in the archive.
func packed(t *testing.T, dir string) (PackResult, *Bundle, []string) {
	t.Helper()
	var out bytes.Buffer
	res, err := Pack(t.Context(), dir, &out, PackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Bytes != int64(out.Len()) {
		t.Errorf("%d bytes, wrote %d", res.Bytes, out.Len())
	}
	b, err := open(out.Bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range b.entries {
		names = append(names, e.name)
	}
	return res, b, names
}

func TestPackLeavesOut(t *testing.T) {
	dir := tempFolder(t, map[string]string{
		"app.toml": goodManifest, "app.py": "x", ".git/config": "x", "sub/.git": "x", ".slipway/state": "x", "__MACOSX/x": "x",
		"demo.1.0.0.wave": "x", "old.qz": "x", "demo-1.0.0.zip": "x", "data.zip": "x", "sub/x.wave": "x",
		".appignore": "# comment\n\n*.log\r\n/build\nnode_modules/\n!keep.log\ndocs/**/*.tmp\n/app.toml\n",
		"a.log":      "x", "keep.log": "x", "sub/b.log": "x", "build/x": "x", "sub/build/x": "x", "sub/node_modules/x/y": "x", "docs/a/b/c.tmp": "x", "docs/a/c.md": "x",
	})
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	res, b, names := packed(t, dir)
	want := []string{".appignore", "app.py", "app.toml", "data.zip", "docs/a/c.md", "empty/", "keep.log", "sub/build/x", "sub/x.wave"}
	if !slices.Equal(names, want) {
		t.Errorf("packed %q\nwant   %q", names, want)
	}
	if res.Files != 8 || b.Files != 8 || res.Skipped != 12 || res.Manifest.Name != "demo" {
		t.Errorf("%+v", res)
	}
}

// TestPackIsDeterministic makes one folder in several ways: the bytes of the
// archive, and their digest, are the same.
func TestPackIsDeterministic(t *testing.T) {
	files := map[string]string{"app.toml": goodManifest, "b/x": "1", "b.x": "2", "B2": "3", "run*": "#!", "a": strings.Repeat("abc", 10000), "z/y/x*": "x"}
	digest := func(dir string) [sha256.Size]byte {
		var out bytes.Buffer
		if _, err := Pack(t.Context(), dir, &out, PackOptions{}); err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(out.Bytes())
	}
	want := digest(tempFolder(t, files))
	old := time.Now().Add(-1000 * time.Hour)
	tests := []struct {
		name   string
		change func(t *testing.T, dir string) error
	}{
		{"as it was", func(*testing.T, string) error { return nil }},
		{"other times", func(_ *testing.T, dir string) error {
			return errors.Join(os.Chtimes(filepath.Join(dir, "a"), old, old), os.Chtimes(filepath.Join(dir, "b"), old, old))
		}},
		{"of another umask", func(_ *testing.T, dir string) error {
			return errors.Join(os.Chmod(filepath.Join(dir, "a"), 0o666), os.Chmod(filepath.Join(dir, "run"), 0o777), os.Chmod(filepath.Join(dir, "b"), 0o777))
		}},
		{"of a strict umask", func(_ *testing.T, dir string) error {
			return errors.Join(os.Chmod(filepath.Join(dir, "a"), 0o400), os.Chmod(filepath.Join(dir, "run"), 0o100|0o400), os.Chmod(filepath.Join(dir, "b"), 0o700))
		}},
		{"made in another order", func(_ *testing.T, dir string) error {
			for _, name := range slices.Backward(slices.Sorted(maps.Keys(files))) {
				plain := filepath.Join(dir, strings.TrimSuffix(name, "*"))
				info, err := os.Stat(plain)
				if err == nil {
					err = errors.Join(os.Remove(plain), os.WriteFile(plain, []byte(files[name]), info.Mode()))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"a link in the place of a file", func(_ *testing.T, dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "old.wave")), os.Symlink("old.wave", filepath.Join(dir, "a")))
		}},
		{"packed before", func(t *testing.T, dir string) error {
			out, err := os.Create(filepath.Join(dir, "demo.1.0.0.wave"))
			if err != nil {
				return err
			}
			defer out.Close()
			_, err = Pack(t.Context(), dir, out, PackOptions{})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := tempFolder(t, files)
			if err := tt.change(t, dir); err != nil {
				t.Fatal(err)
			}
			if digest(dir) != want {
				t.Error("equal folders give different bytes")
			}
		})
	}
}

func TestPackThenUnpack(t *testing.T) {
	files := map[string]string{"app.toml": goodManifest, "run*": "#!/bin/sh\n", "sub/deep/ünï.txt": "x", "zeros": string(make([]byte, 100_000))}
	_, b, _ := packed(t, tempFolder(t, files))
	dir := t.TempDir()
	if err := b.Unpack(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		name, exec := strings.CutSuffix(name, "*")
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && (info.Mode()&0o111 != 0) != exec {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
	}
	m, warnings, err := ValidateFolder(t.Context(), dir, Options{})
	if err != nil || len(warnings) > 0 || m.Name != "demo" {
		t.Errorf("%+v, %v, %v", m, warnings, err)
	}
}

func TestPackAndLinks(t *testing.T) {
	outside := tempFolder(t, map[string]string{"secret": "x"})
	link := func(target string) string {
		dir := tempFolder(t, map[string]string{"app.toml": goodManifest, "sub/file*": "content"})
		if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	_, b, _ := packed(t, link("sub/file"))
	if data, err := b.ReadFile("link"); err != nil || string(data) != "content" {
		t.Errorf("a link inside: %q, %v", data, err)
	}
	for name, target := range map[string]string{
		"absolute": filepath.Join(outside, "secret"), "outside": "../../secret", "dangling": "nothing", "itself": "link", "folder": "sub", "up and in again": "../" + "x",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Pack(t.Context(), link(target), io.Discard, PackOptions{})
			if err == nil || !hasCode(faultsOf(t, err), CodeSymlink) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("ignored", func(t *testing.T) {
		dir := link(filepath.Join(outside, "secret"))
		os.WriteFile(filepath.Join(dir, ".appignore"), []byte("link\n"), 0o600)
		if _, err := Pack(t.Context(), dir, io.Discard, PackOptions{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("manifest", func(t *testing.T) {
		dir := t.TempDir()
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "app.toml"))
		_, err := Pack(t.Context(), dir, io.Discard, PackOptions{})
		if err == nil || !hasCode(faultsOf(t, err), CodeSymlink) {
			t.Errorf("%v", err)
		}
	})
}

func TestPackRefuses(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		o     Options
		code  string
	}{
		{"no manifest", map[string]string{"a": ""}, Options{}, CodeNoManifest},
		{"manifest one folder down", map[string]string{"a/app.toml": goodManifest}, Options{}, CodeNoManifest},
		{"manifest", map[string]string{"app.toml": "[App]\n"}, Options{}, CodeManifest},
		{"requirements", map[string]string{"app.toml": goodManifest, "requirements.txt": "-r x"}, Options{}, CodeRequirements},
		{"wheel that is ignored", map[string]string{"app.toml": goodManifest, "requirements.txt": "x.whl", "x.whl": "", ".appignore": "*.whl"}, Options{}, CodeRequirements},
		{"case", map[string]string{"app.toml": goodManifest, "a": "", "A": ""}, Options{}, CodeDuplicate},
		{"backslash", map[string]string{"app.toml": goodManifest, `a\b`: ""}, Options{}, CodeEntryPath},
		{"size", map[string]string{"app.toml": goodManifest, "a": strings.Repeat("x", 1000)}, Options{Limits: Limits{Unpacked: 1000}}, CodeTooLarge},
		{"entries", map[string]string{"app.toml": goodManifest, "a": "", "b": ""}, Options{Limits: Limits{Entries: 2}}, CodeTooManyEntries},
		{"upload", map[string]string{"app.toml": goodManifest}, Options{Limits: Limits{Upload: 50}}, CodeTooLarge},
		{"ratio", map[string]string{"app.toml": goodManifest, "a": string(make([]byte, 4<<20))}, Options{}, CodeRatio},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Pack(t.Context(), tempFolder(t, tt.files), io.Discard, PackOptions{Options: tt.o})
			if err == nil || !hasCode(faultsOf(t, err), tt.code) {
				t.Errorf("%v, want %s", err, tt.code)
			}
		})
	}
}

func TestUnpackStopsWithItsContext(t *testing.T) {
	_, b, _ := packed(t, tempFolder(t, map[string]string{"app.toml": goodManifest}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Unpack(ctx, t.TempDir()); err == nil {
		t.Error("no error")
	}
	if err := b.Unpack(t.Context(), "/does/not/exist"); controlplane.CodeOf(err) != controlplane.CodeInternal {
		t.Errorf("%v", err)
	}
}
