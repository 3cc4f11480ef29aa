package faults

import (
	"archive/zip"
	"bytes"
	"image"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// importer is a control plane with failpoints, and a bundle with all that is kept
// of one.
type importer struct {
	*fleet
	control *edge
	armed   string // the folder of the failpoints
	folder  string // of the bundles
	bundle  []byte
}

func newImporter(t *testing.T) *importer {
	t.Helper()
	i := buildImporter(t)
	i.control.start()
	return i
}

// buildImporter is newImporter without the start.
func buildImporter(t *testing.T) *importer {
	t.Helper()
	program, err := slipwaytest.Breakable()
	if err != nil {
		t.Fatal(err)
	}
	f := buildFleet(t, 1, 0, "2s")
	i := &importer{fleet: f, control: f.controls[0], armed: filepath.Join(f.dir, "failpoints"), folder: filepath.Join(f.dir, "bundles"), bundle: illustrated(t)}
	if err := os.Mkdir(i.armed, 0o700); err != nil {
		t.Fatal(err)
	}
	i.control.program, i.control.env = program, []string{"SLIPWAY_FAILPOINTS=" + i.armed}
	return i
}

// illustrated is a bundle of half a megabyte with an icon, two screenshots and a
// long description.
func illustrated(t *testing.T) []byte {
	t.Helper()
	var icon bytes.Buffer
	if err := png.Encode(&icon, image.NewGray(image.Rect(0, 0, 100, 100))); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	filling := make([]byte, 500_000)
	rand.NewChaCha8([32]byte{}).Read(filling)
	for name, data := range map[string][]byte{
		"app.toml": []byte("[App]\nName = \"demo\"\nVersion = \"1.0.0\"\nLongDescription = \"x.md\"\n[Runtime]\nAppMode = \"python\"\nModule = \"app\"\n"),
		"app.py":   nil, "x.md": []byte("# x"), "data": filling,
		"static/icon.png": icon.Bytes(), "static/screenshot1.png": icon.Bytes(), "static/screenshot2.png": append(icon.Bytes(), 1),
	} {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write(data)
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

// imports sends the bundle.
func (i *importer) imports(t *testing.T, body io.Reader) (*v1.App, error) {
	return i.api(i.control).ImportBundle(t.Context(), client.Import{Archive: body, Size: int64(len(i.bundle))})
}

// files are those in the folder of bundles, but for its lock.
func (i *importer) files(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(i.folder, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".lock" {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// apps are all that there are, as soon as the control plane tells.
func (i *importer) apps(t *testing.T) (apps []v1.App) {
	t.Helper()
	eventually(t, "the control plane lists apps", func() bool {
		list, err := i.api(i.control).Apps(t.Context(), client.Page{})
		if err == nil {
			apps = list.Items
		}
		return err == nil
	})
	return apps
}

// wantWhole wants that there is the app with all that belongs to it, and nothing
// else.
func (i *importer) wantWhole(t *testing.T) {
	t.Helper()
	apps := i.apps(t)
	if len(apps) != 1 {
		t.Fatalf("%d apps", len(apps))
	}
	for part, want := range map[string][]byte{"bundle": i.bundle, "icon": nil, "screenshots/1": nil, "screenshots/2": nil, "description": []byte("<h1>x</h1>\n")} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:"+i.control.port+"/api/v1/apps/"+apps[0].ID+"/"+part, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+i.token)
		resp, err := i.control.visitor.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || want != nil && !bytes.Equal(raw, want) {
			t.Errorf("%s: %d, %d bytes, %v", part, resp.StatusCode, len(raw), err)
		}
	}
	// The screenshots are one file. Notes go once somebody leads.
	eventuallyNone(t, "there is nothing else", func() []string {
		files := i.files(t)
		if len(files) == 4 {
			return nil
		}
		return files
	})
}

// deletes deletes the app.
func (i *importer) deletes(t *testing.T) {
	t.Helper()
	for _, app := range i.apps(t) {
		if err := i.api(i.control).DeleteApp(t.Context(), app.ID, false); err != nil {
			t.Fatal(err)
		}
	}
	i.wantNothing(t)
}

// wantNothing wants no app, and no file a moment later.
func (i *importer) wantNothing(t *testing.T) {
	t.Helper()
	if apps := i.apps(t); len(apps) > 0 {
		t.Errorf("there is %+v", apps)
	}
	eventuallyNone(t, "no file is left", func() []string { return i.files(t) })
}

// hold arms a place, sends the bundle, and waits until the import has come there.
func (i *importer) hold(t *testing.T, place string) (ended chan error) {
	t.Helper()
	for name, content := range map[string]string{place: "held", "held": ""} {
		if err := os.WriteFile(filepath.Join(i.armed, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ended = make(chan error, 1)
	go func() {
		_, err := i.imports(t, bytes.NewReader(i.bundle))
		ended <- err
	}()
	eventually(t, "the import comes to "+place, func() bool {
		_, err := os.Stat(filepath.Join(i.armed, place+".hit"))
		return err == nil
	})
	return ended
}

// release lets who is held go on, and forgets it.
func (i *importer) release(t *testing.T, place string) {
	t.Helper()
	for _, name := range []string{"held", place + ".hit"} {
		if err := os.Remove(filepath.Join(i.armed, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// again sends the bundle once more, which is taken at once, or is there already.
func (i *importer) again(t *testing.T, there bool) {
	t.Helper()
	_, err := i.imports(t, bytes.NewReader(i.bundle))
	if there != (client.CodeOf(err) == "conflict") || !there && err != nil {
		t.Errorf("the same import again: %v", err)
	}
}
