package bundle

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestPackAndWhatCannotBeRead runs as a user who may not read everything: by
// another process where this one is root.
func TestPackAndWhatCannotBeRead(t *testing.T) {
	const nobody = 65534
	dir := os.Getenv("UNREADABLE_FOLDER")
	if dir == "" && os.Getuid() == 0 {
		dir = tempFolder(t, map[string]string{"app.toml": goodManifest, "file": "x", "closed/x": "x", "fine": "x"})
		for _, name := range []string{".", "app.toml", "fine"} {
			if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for above := filepath.Dir(dir); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
			if err := os.Chmod(above, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestPackAndWhatCannotBeRead$", "-test.v")
		cmd.Dir, cmd.Env = "/", append(os.Environ(), "UNREADABLE_FOLDER="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("as another user: %v\n%s", err, out)
		}
		return
	}
	if dir == "" {
		dir = tempFolder(t, map[string]string{"app.toml": goodManifest, "file": "x", "closed/x": "x"})
		if err := os.Chmod(filepath.Join(dir, "file"), 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(dir, "closed"), 0o700)
	}
	_, err := Pack(t.Context(), dir, io.Discard, PackOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	list := faultsOf(t, err)
	if len(list) != 2 || list[0].Code != CodeUnreadable || list[0].Where != "closed" || list[1].Where != "file" || list[1].Message != "cannot be read: permission denied" {
		t.Errorf("%+v", list)
	}
}

func TestPackRefusesWhatIsNoFile(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a socket": func(path string) error { l, err := net.Listen("unix", path); keepOpen(t, l); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "p") // short, as a socket's path must be
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			if err := os.WriteFile(filepath.Join(dir, "app.toml"), []byte(goodManifest), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(dir, "special")); err != nil {
				t.Fatal(err)
			}
			_, err = Pack(t.Context(), dir, io.Discard, PackOptions{})
			if err == nil || !hasCode(faultsOf(t, err), CodeSpecialFile) {
				t.Error(err)
			}
		})
	}
}

func keepOpen(t *testing.T, l net.Listener) {
	if l != nil {
		t.Cleanup(func() { l.Close() })
	}
}
