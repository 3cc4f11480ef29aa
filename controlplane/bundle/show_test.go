package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// shownOf is all that Show makes of a bundle.
func shownOf(t *testing.T, b *Bundle) (parts []controlplane.Part, warnings []controlplane.Fault) {
	t.Helper()
	warnings, err := b.Show(t.Context(), func(p controlplane.Part) error {
		parts = append(parts, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return parts, warnings
}

// withStatic is a bundle with these files below static/.
func withStatic(t *testing.T, files map[string][]byte) *Bundle {
	t.Helper()
	z := withManifest()
	for name, data := range files {
		z.entries = append(z.entries, rawEntry{name: "static/" + name, data: data})
	}
	b, err := open(z.bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// deep is a picture of 16 bits for each colour.
func deep(w, h int) image.Image { return image.NewNRGBA64(image.Rect(0, 0, w, h)) }

// patched is a picture with some bytes changed.
func patched(raw []byte, at int, b ...byte) []byte {
	raw = bytes.Clone(raw)
	copy(raw[at:], b)
	return raw
}

func TestAScreenshotIsMadeAnew(t *testing.T) {
	small := encoded(t, "png", picture(40, 30, false))
	noise := image.NewNRGBA(image.Rect(0, 0, 900, 900))
	rand.NewChaCha8([32]byte{}).Read(noise.Pix)
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewRGBA(image.Rect(0, 0, 100, 50)), nil); err != nil {
		t.Fatal(err)
	}
	sof := bytes.Index(photo.Bytes(), []byte{0xff, 0xc0})
	for _, tc := range []struct {
		name    string
		data    []byte
		kind    string // "" is left out
		w, h    int
		warning string
	}{
		{"small PNG", small, "image/png", 40, 30, ""},
		{"JPEG", photo.Bytes(), "image/jpeg", 100, 50, ""},
		{"wide PNG", encoded(t, "png", image.NewGray(image.Rect(0, 0, 3840, 2160))), "image/png", 1600, 900, ""},
		{"high PNG", encoded(t, "png", image.NewGray(image.Rect(0, 0, 10, 8192))), "image/png", 1, 1600, ""},
		{"one that does not compress", encoded(t, "png", noise), "image/jpeg", 900, 900, ""},
		{"16 bits", encoded(t, "png", deep(20, 10)), "image/png", 20, 10, ""},
		{"with a script behind it", append(bytes.Clone(small), "<script>"...), "image/png", 40, 30, ""},
		{"GIF", encoded(t, "gif", picture(9, 9, false)), "", 0, 0, "neither PNG nor JPEG"},
		{"SVG", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), "", 0, 0, "neither PNG nor JPEG"},
		{"HTML", []byte("<!doctype html><script>alert(1)</script>"), "", 0, 0, "neither PNG nor JPEG"},
		{"empty", nil, "", 0, 0, "neither PNG nor JPEG"},
		{"cut off", small[:len(small)/2], "", 0, 0, "cannot be decoded"},
		{"damaged", patched(small, 45, 0xff, 0xff), "", 0, 0, "cannot be decoded"},
		{"one pixel too wide", encoded(t, "png", image.NewGray(image.Rect(0, 0, 8193, 1))), "", 0, 0, "8193×1 pixels"},
		{"a bomb", bomb(t, 1<<31-1), "", 0, 0, "2147483647×1 pixels"},
		{"too many pixels", encoded(t, "png", image.NewGray(image.Rect(0, 0, 4096, 4096))), "", 0, 0, "4096×4096 pixels"},
		{"too many pixels of 16 bits", encoded(t, "png", deep(3000, 2000)), "", 0, 0, "3000×2000 pixels"},
		{"too many pixels of a progressive JPEG", sized(patched(photo.Bytes(), sof, 0xff, 0xc2), sof, 2000, 2000), "", 0, 0, "2000×2000 pixels"},
		{"too many pixels of a JPEG", sized(photo.Bytes(), sof, 8000, 8000), "", 0, 0, "8000×8000 pixels"},
		{"too many bytes", append(bytes.Clone(small), make([]byte, 4<<20)...), "", 0, 0, "the limit is 4194304"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parts, warnings := shownOf(t, withStatic(t, map[string][]byte{"screenshot.png": tc.data}))
			if tc.kind == "" {
				if len(parts) > 0 || len(warnings) != 1 || warnings[0].Code != WarnScreenshot || warnings[0].Where != "static/screenshot.png" || !strings.Contains(warnings[0].Message, tc.warning) {
					t.Errorf("%d parts, warnings %v", len(parts), warnings)
				}
				return
			}
			if len(parts) != 1 || len(warnings) > 0 {
				t.Fatalf("%d parts, warnings %v", len(parts), warnings)
			}
			p := parts[0]
			config, format, err := image.DecodeConfig(bytes.NewReader(p.Data))
			if err != nil || config.Width != tc.w || config.Height != tc.h || "image/"+format != tc.kind || p.Type != tc.kind || p.Kind != controlplane.PartScreenshot {
				t.Errorf("%s %s, %v, %v", p.Type, format, config, err)
			}
			if len(p.Data) > controlplane.MaxScreenshot || bytes.Contains(p.Data, []byte("script")) {
				t.Errorf("%d bytes", len(p.Data))
			}
		})
	}
}

// sized is a JPEG that says that it has these sides.
func sized(raw []byte, sof, w, h int) []byte {
	return patched(raw, sof+5, byte(h>>8), byte(h), byte(w>>8), byte(w))
}

func TestAPictureIsMadeSmallerByMeans(t *testing.T) {
	whole := image.NewNRGBA(image.Rect(0, 0, 3200, 4))
	for i := range 3200 * 4 {
		c := color.NRGBA{A: 255}
		if i%2 == 0 {
			c.R = 200
		}
		whole.SetNRGBA(i%3200, i/3200, c)
	}
	parts, _ := shownOf(t, withStatic(t, map[string][]byte{"screenshot.png": encoded(t, "png", whole)}))
	made, err := png.Decode(bytes.NewReader(parts[0].Data))
	if err != nil || made.Bounds() != image.Rect(0, 0, 1600, 2) {
		t.Fatal(made.Bounds(), err)
	}
	for _, at := range []image.Point{{0, 0}, {799, 1}, {1599, 1}} {
		if c := color.NRGBAModel.Convert(made.At(at.X, at.Y)); c != (color.NRGBA{R: 100, A: 255}) {
			t.Errorf("%v is %v", at, c)
		}
	}
}

// A dozen of everything: the icon first, ten screenshots in name order, and the
// description, each only what it can be.
func TestShownInItsOrder(t *testing.T) {
	files := map[string][]byte{"icon.svg": []byte("<svg/>"), "icon-2.png": encoded(t, "png", picture(8, 8, false)), "icon-1.jpg": encoded(t, "jpeg", picture(9, 9, false))}
	for i := range 12 {
		files[fmt.Sprintf("screenshot-%02d.png", i)] = encoded(t, "png", picture(10+i, 1, false))
	}
	files["screenshot-05.webp"] = []byte("RIFF")
	parts, warnings := shownOf(t, withStatic(t, files))
	if len(parts) != 11 || parts[0].Kind != controlplane.PartIcon {
		t.Fatalf("%d parts, %v", len(parts), warnings)
	}
	for i, p := range parts {
		config, err := png.DecodeConfig(bytes.NewReader(p.Data))
		if want := max(9, 9+i); err != nil || config.Width != want {
			t.Errorf("part %d is %d wide, want %d", i, config.Width, want)
		}
	}
	if len(warnings) != 1 || warnings[0].Where != "static/screenshot-10.png" || warnings[0].Message != "2 screenshots are left out: the limit is 10" {
		t.Errorf("warnings %v", warnings)
	}
	b := withStatic(t, files)
	if len(b.Warnings) != 2 || b.Warnings[0].Code != WarnIcon || b.Warnings[1].Code != WarnScreenshot || b.Warnings[1].Where != "static/screenshot-05.webp" {
		t.Errorf("warnings %v", b.Warnings)
	}
}

func TestTheLongDescriptionIsShown(t *testing.T) {
	manifest := appHead + "LongDescription = \"docs/x.md\"\n[Runtime]\nModule = \"app\"\n"
	for _, tc := range []struct{ name, text, want, warning string }{
		{"text", "# Hello\n\nworld", "<h1>Hello</h1>\n<p>world</p>\n", ""},
		{"script", "a <script>alert(1)</script>", "<p>a alert(1)</p>\n", ""},
		{"too long", strings.Repeat("x", 64<<10+1), "", "has 65537 bytes, the limit is 65536"},
		{"not UTF-8", "\xff", "", "not UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := open(zipOf(t, map[string]string{"app.toml": manifest, "docs/x.md": tc.text}), Options{})
			if err != nil {
				t.Fatal(err)
			}
			parts, warnings := shownOf(t, b)
			if tc.warning != "" {
				if len(parts) > 0 || len(warnings) != 1 || warnings[0].Code != WarnDescription || !strings.Contains(warnings[0].Message, tc.warning) {
					t.Errorf("%v, %v", parts, warnings)
				}
				return
			}
			if len(parts) != 1 || len(warnings) > 0 || string(parts[0].Data) != tc.want || parts[0].Kind != controlplane.PartDescription {
				t.Errorf("%q, %v", parts, warnings)
			}
		})
	}
}

// brokenDisk can be read once it is open, or not.
type brokenDisk struct {
	io.ReaderAt
	broken bool
}

func (d *brokenDisk) ReadAt(b []byte, at int64) (int, error) {
	if d.broken {
		return 0, errors.New("input/output error")
	}
	return d.ReaderAt.ReadAt(b, at)
}

// What is not the bundle's fault ends the import.
func TestShowFails(t *testing.T) {
	raw := withManifest(rawEntry{name: "static/icon.png", data: encoded(t, "png", picture(8, 8, false))}).bytes()
	disk := &brokenDisk{ReaderAt: bytes.NewReader(raw)}
	b, err := Open(disk, int64(len(raw)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	full := errors.New("no room")
	for name, tc := range map[string]struct {
		ctx    context.Context
		keep   error
		broken bool
		want   func(error) bool
	}{
		"the caller left": {ended, nil, false, func(err error) bool { return errors.Is(err, context.Canceled) }},
		"no room":         {t.Context(), full, false, func(err error) bool { return errors.Is(err, full) }},
		"the disk":        {t.Context(), nil, true, func(err error) bool { return controlplane.CodeOf(err) == controlplane.CodeInternal }},
	} {
		disk.broken = tc.broken
		if warnings, err := b.Show(tc.ctx, func(controlplane.Part) error { return tc.keep }); err == nil || !tc.want(err) || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", name, err, warnings)
		}
	}
}

// TestAFolderIsShownAsItsBundle holds what bundle validate says of a folder
// against what an import of it would say.
func TestAFolderIsShownAsItsBundle(t *testing.T) {
	static := func(name, data string) map[string]string {
		return map[string]string{"app.toml": goodManifest, "static/" + name: data}
	}
	noise := make([]byte, 5<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string // of the one warning
	}{
		{"icon that is no picture", static("icon.png", "hello"), "static/icon.png: the icon is left out: it is neither PNG nor JPEG"},
		{"screenshot that is too large", static("screenshot.png", string(noise)), "static/screenshot.png has 5242880 bytes, the limit is 4194304"},
		{"good icon", static("icon.png", string(encoded(t, "png", picture(9, 9, false)))), ""},
		{"picture that is ignored", map[string]string{"app.toml": goodManifest, "static/icon.png": "hello", ".appignore": "static"}, ""},
		{"long description", map[string]string{"app.toml": strings.Replace(goodManifest, "[App]", "[App]\nLongDescription = \"a.md\"", 1), "a.md": "\xff"}, "the long description is left out"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := tempFolder(t, tc.files)
			_, warnings, err := ValidateFolder(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(warnings); tc.want == "" && len(warnings) > 0 || tc.want != "" && (len(warnings) != 1 || !strings.Contains(got, tc.want)) {
				t.Errorf("%s, want %q", got, tc.want)
			}
			_, b, _ := packed(t, dir)
			_, imported := shownOf(t, b)
			if got, want := fmt.Sprint(warnings), fmt.Sprint(append(b.Warnings, imported...)); got != want {
				t.Errorf("the folder says %s, its bundle %s", got, want)
			}
		})
	}
}
