//go:build linux

package process

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

// spyBackend builds a wheel that tells who built it and which files that one
// could read.
const spyBackend = `
import os, zipfile
def look(path):
    try:
        open(path).read()
        return "read"
    except OSError as e:
        return type(e).__name__
def build_wheel(directory, config_settings=None, metadata_directory=None):
    found = "uid %%d, store %%s, secret %%s" %% (os.getuid(), look(%q), look(%q))
    name, info = "spy-1.0-py3-none-any.whl", "spy-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as z:
        z.writestr("spy.py", "text = %%r\n" %% found)
        z.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n")
        z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(info + "RECORD", "spy.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n")
    return name
`

// archived is a source archive, whose code runs when it is installed.
func archived(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	var err error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err = errors.Join(err, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}))
		_, writeErr := w.Write([]byte(files[name]))
		err = errors.Join(err, writeErr)
	}
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCodeThatInstallsReadsNoSecrets(t *testing.T) {
	needPython(t)
	none := errors.New("not here")
	for name, c := range map[string]struct {
		users, mounts error
		refused       bool
	}{
		"as a user of its own":        {},
		"as the control plane's user": {users: none},
		"where nothing can be hidden": {users: none, mounts: none, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secret, sources := filepath.Join(confinetest.Open(t), "keys", "file"), confinetest.Open(t)
			confinetest.Write(t, secret, "sesame", 0o600)
			l := apart(t, offline, func(cfg *Config) {
				cfg.Secrets = []string{secret}
				cfg.Environ = append(cfg.Environ, "PIP_FIND_LINKS="+sources)
			})
			if c.users == nil {
				needUsers(t, l)
			}
			if !c.refused && c.mounts == nil {
				needMounts(t, l)
			}
			l.able.Users = errors.Join(l.able.Users, c.users)
			l.able.Mounts = errors.Join(l.able.Mounts, c.mounts)
			epoch := filepath.Join(l.cfg.DataDir, "epoch")
			if _, err := os.ReadFile(epoch); err != nil {
				t.Fatal(err)
			}
			confinetest.Write(t, filepath.Join(sources, "spy-1.0.tar.gz"), archived(t, map[string]string{
				"spy-1.0/PKG-INFO":       "Metadata-Version: 2.1\nName: spy\nVersion: 1.0\n",
				"spy-1.0/pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
				"spy-1.0/backend.py":     fmt.Sprintf(spyBackend, epoch, secret),
			}), 0o644)
			w := pythonWorkload("py", 1, "spy==1.0\n")
			w.OpenBundle = bundleOf(map[string]string{
				"requirements.txt": "spy==1.0\n",
				"app/__init__.py":  "",
				"app/server.py":    "import spy\nprint('spied:', spy.text)\n" + server,
			})
			o := start(t, l, w)
			if c.refused {
				end := o.Ended("py", 1)
				if end.Reason == nil || end.Reason.Code != controlplane.Dependencies ||
					!strings.Contains(end.Reason.Text, "could read Slipway's secrets") || !strings.Contains(end.Reason.Text, "sysctl user.max_user_namespaces") {
					t.Errorf("reason %v", end.Reason)
				}
				if built, _ := filepath.Glob(filepath.Join(l.cfg.DataDir, "envs", "*")); len(built) > 0 {
					t.Errorf("built %v", built)
				}
				return
			}
			o.Ready("py", 1)
			_, spied, found := strings.Cut(currentLog(t, l, "py"), "spied: ")
			var uid int
			var store, key string
			if _, err := fmt.Sscanf(strings.ReplaceAll(spied, ",", ""), "uid %d store %s secret %s", &uid, &store, &key); !found || err != nil {
				t.Fatalf("%v: %s", err, currentLog(t, l, "py"))
			}
			if own := uid >= l.users.First && uid <= l.users.Last; own != (c.users == nil) || store == "read" || key == "read" {
				t.Errorf("it was user %d, and could do this: store %s, secret %s", uid, store, key)
			}
		})
	}
}
