package image_test

import (
	"archive/tar"
	"crypto/x509"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/seed-dbc68772/slipway/deploy/image"
)

// TestSlipway makes the image of a program twice, at different times and from
// different folders, and looks at what is in it.
func TestSlipway(t *testing.T) {
	var made [2]v1.Image
	for i := range made {
		program := static(t, t.TempDir())
		if err := os.Chtimes(program, time.Time{}, time.Unix(int64(i)*1e6, 0)); err != nil {
			t.Fatal(err)
		}
		spec, err := image.Slipway("1.2.3", program)
		if err != nil {
			t.Fatal(err)
		}
		if made[i], err = image.Make(spec); err != nil {
			t.Fatal(err)
		}
	}
	first, second := digest(t, made[0]), digest(t, made[1])
	if first != second {
		t.Errorf("two images of one program: %s and %s", first, second)
	}
	config, err := made[0].ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if c.User != "65532:65532" || !cmp.Equal(c.Entrypoint, []string{"/usr/bin/program"}) || config.Architecture != runtime.GOARCH {
		t.Errorf("it runs %q as %s for %s", c.Entrypoint, c.User, config.Architecture)
	}
	if c.Labels["org.opencontainers.image.version"] != "1.2.3" || !strings.HasPrefix(c.Env[0], "PATH=/") {
		t.Errorf("labels %v, environment %v", c.Labels, c.Env)
	}
	files := contents(t, made[0])
	for path, want := range map[string]tar.Header{
		"usr/bin/program": {Typeflag: tar.TypeReg, Mode: 0o755},
		"tmp":             {Typeflag: tar.TypeDir, Mode: 0o1777},
		"etc/passwd":      {Typeflag: tar.TypeReg, Mode: 0o644},
		"home/nonroot":    {Typeflag: tar.TypeDir, Mode: 0o700, Uid: 65532, Gid: 65532},
	} {
		got, there := files[path]
		if !there || got.header.Typeflag != want.Typeflag || got.header.Mode != want.Mode || got.header.Uid != want.Uid || got.header.Gid != want.Gid {
			t.Errorf("%s: %+v, wanted %+v", path, got.header, want)
		}
		if !got.header.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s: has the time %s", path, got.header.ModTime)
		}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(files["etc/ssl/certs/ca-certificates.crt"].text)) || strings.Count(files["etc/ssl/certs/ca-certificates.crt"].text, "BEGIN") < 100 {
		t.Error("it has no roots, or few")
	}
}

// TestSlipwayRefuses has programs that would not run in the image.
func TestSlipwayRefuses(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		programs []string
		want     string
	}{
		"none":     {nil, "no program"},
		"a script": {[]string{script}, "add "},
		"missing":  {[]string{script + "-not"}, "no such file"},
	}
	if shell, err := filepath.EvalSymlinks("/bin/sh"); err == nil && dynamic(shell) {
		cases["one that needs libraries"] = struct {
			programs []string
			want     string
		}{[]string{shell}, "CGO_ENABLED=0"}
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := image.Slipway("dev", tc.programs...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, wanted one with %q", err, tc.want)
			}
		})
	}
}

func TestMakeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		files []image.File
		want  string
	}{
		"a relative path":     {[]image.File{{Path: "etc/passwd"}}, "not absolute"},
		"a path with dots":    {[]image.File{{Path: "/etc/../passwd"}}, "not absolute and clean"},
		"a path twice":        {[]image.File{{Path: "/a"}, {Path: "/a"}}, "there already"},
		"a file as a folder":  {[]image.File{{Path: "/a"}, {Path: "/a/b"}}, "/a is not a folder"},
		"a missing file":      {[]image.File{{Path: "/a", Source: "/does/not/exist"}}, "no such file"},
		"a folder for a file": {[]image.File{{Path: "/a", Source: "/"}}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := image.Make(image.Spec{Layers: [][]image.File{tc.files}}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, wanted one with %q", err, tc.want)
			}
		})
	}
}

// TestSaved reads both forms back.
func TestSaved(t *testing.T) {
	made, err := image.Make(image.Spec{
		Layers: [][]image.File{{{Path: "/bin/a", Data: []byte("x"), Mode: 0o755}, {Path: "/bin/b", Link: "a"}}},
		Cmd:    []string{"b"}, Env: []string{"A=1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	archive, folder := filepath.Join(dir, "a.tar"), filepath.Join(dir, "layout")
	const reference = "example.test/a:1"
	if err := errors.Join(image.Save(archive, reference, made), image.SaveLayout(folder, reference, made)); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	inLayout, err := index.Image(hash(t, made))
	if err != nil {
		t.Fatal(err)
	}
	inArchive, err := tarball.ImageFromPath(archive, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]v1.Image{"the archive": inArchive, "the layout": inLayout} {
		if err := validate.Image(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		files := contents(t, got)
		if files["bin/a"].text != "x" || files["bin/b"].header.Linkname != "a" {
			t.Errorf("%s has %v", name, files)
		}
		id, err := got.ConfigName()
		if want, wantErr := made.ConfigName(); err != nil || wantErr != nil || id != want {
			t.Errorf("%s is %s, wanted %s", name, id, want)
		}
	}
	for _, reference := range []string{"a", "example.test/A:1", ""} {
		if image.Save(filepath.Join(dir, "b.tar"), reference, made) == nil || image.SaveLayout(filepath.Join(dir, "b"), reference, made) == nil {
			t.Errorf("%q is taken for a reference", reference)
		}
	}
}

// static is the smallest program there is to build.
func static(t *testing.T, dir string) string {
	t.Helper()
	source, program := filepath.Join(dir, "program.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func dynamic(program string) bool {
	f, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	return err == nil && len(libraries) > 0
}

func hash(t *testing.T, i v1.Image) v1.Hash {
	t.Helper()
	h, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func digest(t *testing.T, i v1.Image) string { return hash(t, i).String() }

type entry struct {
	header tar.Header
	text   string
}

func contents(t *testing.T, i v1.Image) map[string]entry {
	t.Helper()
	flat := mutate.Extract(i)
	defer flat.Close()
	files := map[string]entry{}
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = entry{*h, string(text)}
	}
}
