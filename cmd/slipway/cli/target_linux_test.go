package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// specials are things that are no files and no folders, in a folder of the test.
func specials(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	kept := in("kept")
	for _, err := range []error{
		os.WriteFile(kept, []byte("kept"), 0o600),
		syscall.Mkfifo(in("pipe"), 0o600),
		os.Symlink(kept, in("link")),
		os.Symlink(in("nowhere"), in("dangling")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	kinds := map[string]string{"pipe": "a named pipe", "link": "a symbolic link", "dangling": "a symbolic link"}
	const null = 1<<8 | 3
	if err := syscall.Mknod(in("device"), syscall.S_IFCHR|0o600, null); err == nil { // root's to make
		kinds["device"] = "a device"
	}
	out := map[string]string{}
	for name, kind := range kinds {
		out[in(name)] = kind
	}
	return out
}

func TestABundleTakesThePlaceOfFilesAlone(t *testing.T) {
	f := newFakeAPI()
	app := f.apps[0].ID
	for path, kind := range specials(t) {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		for name, args := range map[string][]string{
			"bundle":      {"bundle", "--file", path},
			"download":    {"app", "download", app, path},
			"download -o": {"app", "download", app, "-o", path},
		} {
			t.Run(filepath.Base(path)+" "+name, func(t *testing.T) {
				out, stderr, stop := startWith(t, f, func(p *program) { p.Dir = tried(t, "ai.h2o.tried", 0) }, args...)
				eventually(t, "the end", func() bool { return strings.Contains(stderr.String(), "hint: ") })
				if code := stop(); code != ExitUsage || out.String() != "" {
					t.Errorf("code %d, %s", code, out)
				}
				wants(t, stderr, "error: write bundle to "+path+": it is "+kind+", and a file would take its place\n", `hint: name another file; "-" is stdout`)
				after, err := os.Lstat(path)
				if err != nil || after.Mode() != before.Mode() || !os.SameFile(before, after) {
					t.Errorf("it was %v, and is %v, %v", before.Mode(), after, err)
				}
			})
		}
	}
}

func TestAPipeIsNoBundle(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"bundle", "validate", pipe}, {"bundle", "import", pipe}, {"app", "inspect", pipe}, {"bundle", "deploy", pipe}} {
		_, stderr, stop := startWith(t, newFakeAPI(), plain, args...)
		eventually(t, "the end", func() bool { return strings.Contains(stderr.String(), "hint: ") })
		if code := stop(); code != ExitUsage {
			t.Errorf("%v: code %d", args, code)
		}
		wants(t, stderr, "error: read bundle: "+pipe+" is a named pipe, not a file\n")
	}
}

func TestAValueComesByAPipe(t *testing.T) {
	f := newFakeAPI()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	out, stderr, stop := startWith(t, f, plain, "secret", "create", "piped", "--from-file", "key="+pipe)
	if err := os.WriteFile(pipe, []byte("value"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the secret", func() bool { return strings.Contains(out.String(), "piped") })
	if code := stop(); code != ExitDone || f.secrets[0].Values["key"] != "value" {
		t.Errorf("code %d, %s", code, stderr)
	}
}

// TestAPipeThatNobodyWritesIsInterrupted: opening one waits for a writer.
func TestAPipeThatNobodyWritesIsInterrupted(t *testing.T) {
	for _, flag := range []string{"--from-file=key=", "--from-env-file="} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, stop := startWith(t, newFakeAPI(), plain, "secret", "create", "piped", flag+pipe)
		if code := stop(); code != ExitInterrupted || stderr.String() != "error: interrupted\n" {
			t.Errorf("%s: code %d, %s", flag, code, stderr)
		}
		// Lets go of whoever still opens it.
		if w, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil {
			w.Close()
		}
	}
}
