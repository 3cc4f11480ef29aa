package controlplane_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"io"
	"slices"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// drawn is a bundle with an icon.
func drawn(t *testing.T, version, icon string) []byte {
	t.Helper()
	return archiveOf(t, map[string]string{"app.toml": demo("drawn", version, "", ""), "app.py": "", "static/icon.png": icon})
}

// illustrated is a bundle with all that is shown of an app.
func illustrated(t *testing.T, version string) []byte {
	t.Helper()
	return archiveOf(t, map[string]string{
		"app.toml": demo("drawn", version, `LongDescription = "x.md"`, ""), "app.py": "", "x.md": "# " + version,
		"static/icon.png": iconPNG(t), "static/screenshot1.png": iconPNG(t), "static/screenshot2.png": iconPNG(t), "static/screenshot3.gif": "GIF",
	})
}

func TestWhatIsShownOfAnAppIsKept(t *testing.T) {
	in := install(t)
	app, warnings, err := in.ImportApp(t.Context(), ada, bytes.NewReader(illustrated(t, "1")), "")
	if err != nil || len(warnings) != 2 { // the version, the GIF
		t.Fatal(warnings, err)
	}
	// The two screenshots are equal.
	if len(app.Screenshots) != 2 || app.Screenshots[0] != app.Screenshots[1] || app.Screenshots[0].Type != "image/png" || in.bundles() != 4 {
		t.Fatalf("%+v, %d blobs", app, in.bundles())
	}
	text, err := in.ShowDescription(t.Context(), ada, app.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if raw, err := io.ReadAll(io.NewSectionReader(text, 0, text.Size())); err != nil || string(raw) != "<h1>1</h1>\n" {
		t.Errorf("%q, %v", raw, err)
	}
	for n, code := range map[int]controlplane.Code{-1: controlplane.CodeNotFound, 0: controlplane.CodeNotFound, 1: "", 2: "", 3: controlplane.CodeNotFound} {
		shot, err := in.ShowScreenshot(t.Context(), ada, app.ID, n)
		if wantCode(t, err, code); err == nil {
			shot.Close()
		}
		_, err = in.ShowScreenshot(t.Context(), bob, app.ID, n)
		wantCode(t, err, controlplane.CodeNotFound)
	}
	if err := in.Sweep(t.Context()); err != nil || in.bundles() != 4 {
		t.Errorf("after a sweep %d blobs, %v", in.bundles(), err)
	}
	if _, err := in.DeleteApp(t.Context(), ada, app.ID, false); err != nil || in.bundles() != 0 {
		t.Errorf("%d blobs are left, %v", in.bundles(), err)
	}
}

func iconPNG(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 200, 200))); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func (in *installation) mustImportRaw(archive []byte) *controlplane.App {
	in.Helper()
	app, _, err := in.ImportApp(in.Context(), ada, bytes.NewReader(archive), "")
	if err != nil {
		in.Fatal(err)
	}
	return app
}

// The icon is kept with the app, for whoever knows its digest, and goes with the
// last app that has it.
func TestTheIconOfAnAppIsKept(t *testing.T) {
	in := install(t)
	first := in.mustImportRaw(drawn(t, "1", iconPNG(t)))
	second := in.mustImportRaw(drawn(t, "2", iconPNG(t)))
	other := in.mustImport(ada, demo("other", "1", "", ""))
	if first.Icon == "" || first.Icon != second.Icon || other.Icon != "" || in.bundles() != 4 {
		t.Fatalf("the icons are %q, %q and %q, of %d blobs", first.Icon, second.Icon, other.Icon, in.bundles())
	}
	for name, tc := range map[string]struct {
		app, digest string
		code        controlplane.Code
	}{
		"its own":          {first.ID, first.Icon, ""},
		"another's":        {other.ID, first.Icon, controlplane.CodeNotFound},
		"a bundle":         {first.ID, first.Bundle, controlplane.CodeNotFound},
		"none of no icon":  {other.ID, "", controlplane.CodeNotFound},
		"one of no app":    {"0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01", first.Icon, controlplane.CodeNotFound},
		"nonsense":         {"../x", "../y", controlplane.CodeNotFound},
		"none of one icon": {first.ID, "", controlplane.CodeNotFound},
	} {
		icon, err := in.AppIcon(t.Context(), tc.app, tc.digest)
		if err != nil && controlplane.CodeOf(err) != tc.code || err == nil && tc.code != "" {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if config, err := png.DecodeConfig(bytes.NewReader(icon)); err != nil || config.Width != 64 {
				t.Errorf("%s: %v, %v", name, config, err)
			}
		}
	}
	if err := in.Sweep(t.Context()); err != nil || in.bundles() != 4 {
		t.Errorf("after a sweep %d blobs, %v", in.bundles(), err)
	}
	for n, app := range []*controlplane.App{first, second} {
		if _, err := in.DeleteApp(t.Context(), ada, app.ID, false); err != nil {
			t.Fatal(err)
		}
		if want := []int{3, 1}[n]; in.bundles() != want {
			t.Errorf("%d blobs are left of %d", in.bundles(), want)
		}
	}
}

// someBlobs keeps so many blobs.
type someBlobs struct {
	controlplane.Blobs
	left int
}

func (b *someBlobs) Create(ctx context.Context) (controlplane.PendingBlob, error) {
	if b.left--; b.left < 0 {
		return nil, errors.New("no space left on device")
	}
	return b.Blobs.Create(ctx)
}

// What of an import fails at the icon leaves nothing; an icon that is no picture
// is left out.
func TestAnImportWithAnIconIsAllOrNothing(t *testing.T) {
	for name, prepare := range map[string]func(*installation){
		"there is no room for the icon":        func(in *installation) { in.Blobs = &someBlobs{in.Blobs, 1} },
		"there is no room for a screenshot":    func(in *installation) { in.Blobs = &someBlobs{in.Blobs, 3} },
		"there is no room for the description": func(in *installation) { in.Blobs = &someBlobs{in.Blobs, 4} },
		"it exists":                            func(in *installation) { in.mustImport(ada, demo("drawn", "1", "", "")) },
		"the store fails":                      func(in *installation) { in.Store = failing{in.store} },
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			prepare(in)
			before := in.bundles()
			if _, _, err := in.ImportApp(t.Context(), ada, bytes.NewReader(illustrated(t, "1")), ""); err == nil {
				t.Fatal("it is imported")
			}
			in.Store = in.store
			if err := in.Sweep(t.Context()); err != nil || in.bundles() != before {
				t.Errorf("%d blobs are left, %v", in.bundles()-before, err)
			}
		})
	}
	in := install(t)
	app, warnings, err := in.ImportApp(t.Context(), ada, bytes.NewReader(drawn(t, "1", "<svg/>")), "")
	if err != nil || app.Icon != "" || !slices.ContainsFunc(warnings, func(f controlplane.Fault) bool { return f.Code == "icon" }) {
		t.Errorf("%v, %v", warnings, err)
	}
}
