package controlplane_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

var (
	ada   = controlplane.Actor{User: "ada", Full: true}
	bob   = controlplane.Actor{User: "bob", Full: true}
	admin = controlplane.Actor{User: "root", Admin: true, Full: true}
)

// installation is a service over a real store and a real folder of bundles.
type installation struct {
	*testing.T
	*controlplane.Service
	store  *etcdstore.Store
	client *clientv3.Client
	blobs  string
	now    time.Time
	cannot []controlplane.Reason // what the launchers say of every app
}

func install(t *testing.T) *installation {
	t.Helper()
	server := etcdtest.Shared(t)
	in := &installation{
		T: t, store: server.Open(t), client: server.Client(t), blobs: t.TempDir(),
		now: time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600)),
	}
	folder, err := blobs.New(in.blobs)
	if err != nil {
		t.Fatal(err)
	}
	in.Service = controlplane.NewService(controlplane.Config{
		Store: in.store, Edges: in.store, Happenings: in.store, Blobs: folder, Launchers: in, RoutingMode: controlplane.Domain, MaxUpload: 1 << 20,
		Access:          access.Rules{},
		ReservedAliases: append([]string{"console"}, controlplane.DefaultReservedAliases...),
		Now:             func() time.Time { return in.now },
		ReadBundle: func(_ context.Context, archive io.ReaderAt, size int64) (controlplane.ReadBundle, error) {
			b, err := bundle.Open(archive, size, bundle.Options{})
			if err != nil {
				return controlplane.ReadBundle{}, err
			}
			return b.Read(), nil
		},
	})
	return in
}

// Launcher and Check implement controlplane.LauncherSet.
func (in *installation) Launcher(controlplane.AppMode) string { return "process" }

func (in *installation) Check(*controlplane.App) []controlplane.Reason { return in.cannot }

// archive is a bundle with this app.toml.
func archive(t *testing.T, manifest string) []byte {
	t.Helper()
	return archiveOf(t, map[string]string{"app.toml": manifest, "app.py": "", "app": "x", "requirements.txt": ""})
}

func archiveOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, data := range files {
		f, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(f, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// demo is the manifest of a Python app, with more lines for its tables.
func demo(name, version, app, runtime string) string {
	return fmt.Sprintf("[App]\nName = %q\nVersion = %q\n%s\n[Runtime]\nAppMode = \"python\"\nModule = \"app\"\n%s\n", name, version, app, runtime)
}

func (in *installation) importApp(actor controlplane.Actor, manifest string) (*controlplane.App, error) {
	in.Helper()
	app, _, err := in.ImportApp(in.Context(), actor, bytes.NewReader(archive(in.T, manifest)), "")
	return app, err
}

func (in *installation) mustImport(actor controlplane.Actor, manifest string) *controlplane.App {
	in.Helper()
	app, err := in.importApp(actor, manifest)
	if err != nil {
		in.Fatalf("import: %v", explain(err))
	}
	return app
}

func (in *installation) mustRun(actor controlplane.Actor, app *controlplane.App) *controlplane.Instance {
	in.Helper()
	run, err := in.RunApp(in.Context(), actor, app.ID, "")
	if err != nil {
		in.Fatal(err)
	}
	return run
}

// show lets all users see an app.
func (in *installation) show(app *controlplane.App) {
	in.Helper()
	all := controlplane.AllUsers
	if _, err := in.UpdateApp(in.Context(), admin, app.ID, controlplane.AppChange{Visibility: &all}); err != nil {
		in.Fatal(err)
	}
}

// set changes an instance's record as lifecycle would.
func (in *installation) set(id string, f func(*controlplane.Instance)) {
	in.Helper()
	_, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error {
		record, err := tx.Instance(id)
		if err != nil {
			return err
		}
		f(record)
		return tx.Put(record)
	})
	if err != nil {
		in.Fatal(err)
	}
}

// gone deletes an instance's record, as lifecycle does in the end.
func (in *installation) gone(id string) {
	in.Helper()
	_, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error {
		record, err := tx.Instance(id)
		if err != nil {
			return err
		}
		return tx.Delete(record)
	})
	if err != nil {
		in.Fatal(err)
	}
}

// revision is the newest revision of the whole store; the tests of a package
// run one after the other.
func (in *installation) revision() int64 {
	in.Helper()
	resp, err := in.client.Get(in.Context(), "x")
	if err != nil {
		in.Fatal(err)
	}
	return resp.Header.Revision
}

// bundles counts the files in the folder of bundles, but for its lock.
func (in *installation) bundles() (n int) {
	in.Helper()
	err := filepath.WalkDir(in.blobs, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".lock" {
			n++
		}
		return err
	})
	if err != nil {
		in.Fatal(err)
	}
	return n
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantCode checks the code of an error, "" for none, and what it says.
func wantCode(t *testing.T, err error, code controlplane.Code, says ...string) {
	t.Helper()
	switch {
	case code == "" && err != nil:
		t.Errorf("error %s", explain(err))
	case code == "":
	case err == nil || controlplane.CodeOf(err) != code:
		t.Errorf("error %s, want code %s", explain(err), code)
	default:
		for _, s := range says {
			if !strings.Contains(explain(err), s) {
				t.Errorf("error %q does not say %q", explain(err), s)
			}
		}
	}
}

// explain is everything that an error says.
func explain(err error) string {
	said := fmt.Sprintf("%v %+v", err, err)
	if e, ok := errors.AsType[*controlplane.Error](err); ok {
		said += "; hint: " + e.Hint
	}
	return said
}
