package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testSuffix = "-20261120153012"

func TestSuffix(t *testing.T) {
	const after = "\n[Runtime]\nModule = \"app\"\n"
	tests := []struct{ name, version, want string }{
		{"a version", `Version = "1.2.3"`, `Version = "1.2.3-20261120153012"`},
		{"a pre-release", `Version = "1.0.0-rc.1"`, `Version = "1.0.0-rc.1-20261120153012"`},
		{"not quite semver", `Version = "1.0"`, `Version = "1.0.0-20261120153012"`},
		{"in quotes of the other kind", `version = '1.2.3' # of spring`, `version = "1.2.3-20261120153012" # of spring`},
		{"over several lines", "Version = \"\"\"\\\n  1.2.3\"\"\"", `Version = "1.2.3-20261120153012"`},
		{"no version", `Title = "1.2.3"`, `Title = "1.2.3"`},
		{"a number", `Version = 1.2`, `Version = 1.2`},
		{"empty", `Version = ""`, `Version = ""`},
		{"not TOML", `Version = `, `Version = `},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const before = "# ünï\n[App]\r\nName = \"demo\"\n"
			got := string(withSuffix([]byte(before+tt.version+after), testSuffix))
			if want := before + tt.want + after; got != want {
				t.Errorf("%q\nwant %q", got, want)
			}
		})
	}
	inline := `App = {Name = "demo", Version = "1.2.3"}`
	if got := string(withSuffix([]byte(inline), testSuffix)); got != `App = {Name = "demo", Version = "1.2.3-20261120153012"}` {
		t.Error(got)
	}
}

func TestPackWithASuffix(t *testing.T) {
	dir := tempFolder(t, map[string]string{"app.toml": goodManifest, "app.py": "x"})
	var out bytes.Buffer
	res, err := Pack(t.Context(), dir, &out, PackOptions{Suffix: testSuffix})
	if err != nil || res.Manifest.Version != "1.0.0"+testSuffix {
		t.Fatal(res.Manifest.Version, err)
	}
	b, err := open(out.Bytes(), Options{})
	if err != nil || b.Manifest.Version != "1.0.0"+testSuffix || len(b.Warnings) > 0 {
		t.Errorf("%+v, %v", b, err)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "app.toml")); string(data) != goodManifest {
		t.Error("the folder has changed")
	}
	long := strings.Replace(goodManifest, "demo", strings.Repeat("a", 50), 1)
	_, err = Pack(t.Context(), tempFolder(t, map[string]string{"app.toml": long}), io.Discard, PackOptions{Suffix: testSuffix})
	if err == nil || !hasCode(faultsOf(t, err), CodeManifest) {
		t.Error(err)
	}
}

func TestWriteWithSuffix(t *testing.T) {
	files := map[string]string{"app.toml": goodManifest, "run*": "#!/bin/sh\n", "sub/x": strings.Repeat("x", 100_000)}
	var plain, direct bytes.Buffer
	dir := tempFolder(t, files)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), dir, &plain, PackOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), dir, &direct, PackOptions{Suffix: testSuffix}); err != nil {
		t.Fatal(err)
	}
	wrapped := map[string]string{}
	for name, text := range files {
		wrapped["top/"+strings.TrimSuffix(name, "*")] = text
	}
	for name, archive := range map[string][]byte{"of a folder": plain.Bytes(), "in a wrapping folder": zipOf(t, wrapped)} {
		t.Run(name, func(t *testing.T) {
			from, err := open(archive, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := from.WriteWithSuffix(t.Context(), &out, testSuffix); err != nil {
				t.Fatal(err)
			}
			b, err := open(out.Bytes(), Options{})
			if err != nil || b.Manifest.Version != "1.0.0"+testSuffix || b.Files != 3 {
				t.Fatalf("%+v, %v", b, err)
			}
			want, _ := open(direct.Bytes(), Options{})
			for _, file := range []string{"run", "sub/x", "app.toml"} {
				one, _ := b.ReadFile(file)
				if other, _ := want.ReadFile(file); !bytes.Equal(one, other) || len(one) == 0 {
					t.Errorf("%s differs from what Pack writes", file)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := from.WriteWithSuffix(ctx, io.Discard, testSuffix); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func TestPackLeavesOutItsOutput(t *testing.T) {
	dir := tempFolder(t, map[string]string{"app.toml": goodManifest, "dist/app.zip": "an earlier one", "dist/other.zip": "x"})
	var out bytes.Buffer
	if _, err := Pack(t.Context(), dir, &out, PackOptions{Output: "dist/app.zip"}); err != nil {
		t.Fatal(err)
	}
	b, err := open(out.Bytes(), Options{})
	if err != nil || b.find("dist/app.zip") != nil || b.find("dist/other.zip") == nil {
		t.Error(err)
	}
}

func TestPackEndsWithItsContext(t *testing.T) {
	dir := tempFolder(t, map[string]string{"app.toml": goodManifest, "one": strings.Repeat("x", 1<<20), "two": strings.Repeat("y", 1<<20)})
	ctx, cancel := context.WithCancel(t.Context())
	var seen []int64
	_, err := Pack(ctx, dir, io.Discard, PackOptions{Progress: func(done, all int64) {
		if all != 2<<20+int64(len(goodManifest)) || done > all {
			t.Fatalf("%d of %d", done, all)
		}
		if seen = append(seen, done); done > 1<<20 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !slices.IsSorted(seen) {
		t.Error(err, seen)
	}
	if _, err := Pack(ctx, dir, io.Discard, PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
