package blobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func newFolder(t *testing.T) *Folder {
	t.Helper()
	b, err := New(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func create(t *testing.T, b *Folder, content string) controlplane.PendingBlob {
	t.Helper()
	p, err := b.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Discard() })
	if _, err := io.WriteString(p, content); err != nil {
		t.Fatal(err)
	}
	return p
}

// committed is a blob that nobody has in hand any more.
func committed(t *testing.T, b *Folder, content string) string {
	t.Helper()
	p := create(t, b, content)
	digest, err := p.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Discard(); err != nil {
		t.Fatal(err)
	}
	return digest
}

func unused(context.Context) (bool, error) { return false, nil }

func digestOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// files are the paths of all files below the folder, but for the lock.
func files(t *testing.T, b *Folder) (out []string) {
	t.Helper()
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != lockFile {
			rel, _ := filepath.Rel(b.dir, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCommitMakesABlob(t *testing.T) {
	b := newFolder(t)
	p := create(t, b, "hello ")
	io.WriteString(p, "world")
	if p.Size() != 11 {
		t.Errorf("size %d while pending, want 11", p.Size())
	}
	buf := make([]byte, 5)
	if _, err := p.ReadAt(buf, 6); err != nil || string(buf) != "world" {
		t.Errorf("read %q, %v while pending", buf, err)
	}
	want := digestOf("hello world")
	if _, err := b.Open(t.Context(), want); controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Errorf("before the commit: %v, want not_found", err)
	}
	got, err := p.Commit()
	if err != nil || got != want {
		t.Fatalf("commit: %s, %v, want %s", got, err, want)
	}
	if err := p.Discard(); err != nil {
		t.Error(err)
	}
	x, err := b.Open(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	data, err := io.ReadAll(io.NewSectionReader(x, 0, x.Size()))
	if err != nil || string(data) != "hello world" {
		t.Errorf("read %q, %v", data, err)
	}
	if err := b.Keep(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := files(t, b); len(got) != 1 || got[0] != filepath.Join(want[:2], want) {
		t.Errorf("files %v", got)
	}
	if info, err := os.Stat(b.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	b := newFolder(t)
	p := create(t, b, "x")
	for range 2 {
		if err := p.Discard(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Commit(); err == nil {
		t.Error("a discarded blob was committed")
	}
	if _, err := p.Write([]byte("y")); err == nil {
		t.Error("a discarded blob was written to")
	}
	if got := files(t, b); len(got) != 0 {
		t.Errorf("files %v", got)
	}
}

func TestConcurrentCommitsOfTheSameBytes(t *testing.T) {
	b := newFolder(t)
	content := strings.Repeat("same ", 10000)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			p, err := b.Create(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Discard()
			io.WriteString(p, content)
			if d, err := p.Commit(); err != nil || d != digestOf(content) {
				t.Errorf("commit: %s, %v", d, err)
			}
			x, err := b.Open(context.Background(), digestOf(content))
			if err != nil {
				t.Error(err)
				return
			}
			defer x.Close()
			if data, err := io.ReadAll(io.NewSectionReader(x, 0, x.Size())); err != nil || string(data) != content {
				t.Errorf("read %d bytes, %v", len(data), err)
			}
		})
	}
	wg.Wait()
	unkept, err := b.Unkept(t.Context())
	if err != nil || len(unkept) != 1 {
		t.Fatalf("unkept %v, %v", unkept, err)
	}
	if err := b.Keep(t.Context(), unkept[0]); err != nil {
		t.Fatal(err)
	}
	if got := files(t, b); len(got) != 1 {
		t.Errorf("files %v", got)
	}
}

func TestDrop(t *testing.T) {
	b := newFolder(t)
	digest := committed(t, b, "x")
	x, err := b.Open(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for range 2 {
		if err := b.Drop(t.Context(), digest, unused); err != nil {
			t.Error(err)
		}
	}
	if got := files(t, b); len(got) != 0 {
		t.Errorf("files %v", got)
	}
	if _, err := x.ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("open while deleted: %v", err)
	}
	if _, err := b.Open(t.Context(), digest); controlplane.CodeOf(err) != controlplane.CodeNotFound {
		t.Errorf("%v, want not_found", err)
	}
}

func TestADigestIsNoPath(t *testing.T) {
	b := newFolder(t)
	outside := filepath.Join(filepath.Dir(b.dir), "outside")
	os.WriteFile(outside, nil, 0o600)
	for _, d := range []string{"", "..", "../outside", strings.Repeat("a", 63), strings.Repeat("A", 64), strings.Repeat("a", 62) + "/x", strings.Repeat("../", 21) + "x"} {
		t.Run(fmt.Sprintf("%.20q", d), func(t *testing.T) {
			if _, err := b.Open(t.Context(), d); controlplane.CodeOf(err) != controlplane.CodeNotFound {
				t.Errorf("open: %v", err)
			}
			if err := b.Drop(t.Context(), d, unused); err != nil {
				t.Errorf("drop: %v", err)
			}
		})
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// TestKilledWriterLeavesNothing runs itself as a writer, kills that half-way,
// and opens the folder anew: its file goes, a living writer's stays.
func TestKilledWriterLeavesNothing(t *testing.T) {
	if dir := os.Getenv("BLOBS_TEST_WRITER"); dir != "" {
		b, err := New(dir)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Create(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Write(bytes.Repeat([]byte("x"), 1<<20))
		fmt.Println("written")
		io.ReadAll(os.Stdin) // until killed
		return
	}
	b := newFolder(t)
	alive := create(t, b, "alive")
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriterLeavesNothing$")
	cmd.Env = append(os.Environ(), "BLOBS_TEST_WRITER="+b.dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if got := files(t, b); len(got) != 2 {
		t.Errorf("files %v while both write", got)
	}
	if _, err := New(b.dir); err != nil {
		t.Fatal(err)
	}
	if got := files(t, b); len(got) != 2 {
		t.Errorf("files %v: a living writer's was removed", got)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if _, err := New(b.dir); err != nil {
		t.Fatal(err)
	}
	if got := files(t, b); len(got) != 1 {
		t.Errorf("files %v, want the living writer's", got)
	}
	if d, err := alive.Commit(); err != nil || d != digestOf("alive") {
		t.Errorf("commit: %s, %v", d, err)
	}
}

func TestBlobsAreUnkeptUntilARecordRefersToThem(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	commit := func(b *Folder, text string) string { return committed(t, b, text) }
	unkept := func(b *Folder) []string {
		t.Helper()
		list, err := b.Unkept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	first, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	kept, lost := commit(first, "kept"), commit(first, "lost")
	if err := first.Keep(ctx, kept); err != nil {
		t.Fatal(err)
	}
	commit(first, "kept") // again: a record refers to it, so that it stays kept
	second, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := unkept(second); len(got) != 1 || got[0] != lost {
		t.Errorf("unkept after a restart: %q, want only %q", got, lost)
	}
	if err := second.Drop(ctx, lost, unused); err != nil {
		t.Fatal(err)
	}
	if got := unkept(second); len(got) != 0 {
		t.Errorf("unkept after the deletion: %q", got)
	}
}

// A control plane that begins to lead sweeps while others import.
func TestABlobIsNotUnkeptWhileItsWriterLives(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	here, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := create(t, here, "x")
	digest, err := p.Commit()
	if err != nil {
		t.Fatal(err)
	}
	there, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := there.Unkept(ctx); err != nil || len(got) != 0 {
		t.Errorf("unkept while it is imported: %q, %v", got, err)
	}
	if err := p.Discard(); err != nil {
		t.Fatal(err)
	}
	if got, err := there.Unkept(ctx); err != nil || len(got) != 1 || got[0] != digest {
		t.Errorf("unkept after its writer left it: %q, %v", got, err)
	}
}
