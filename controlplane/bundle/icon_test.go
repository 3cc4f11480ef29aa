package bundle

import (
	"bytes"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// picture is a red half and a transparent one; noisy, it is noise.
func picture(w, h int, noisy bool) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	random := rand.NewChaCha8([32]byte{})
	for i := range w * h {
		c := color.NRGBA{R: 255, A: 255}
		if i%w >= w/2 {
			c = color.NRGBA{G: 255}
		}
		if noisy {
			v := random.Uint64()
			c = color.NRGBA{R: uint8(v), G: uint8(v >> 8), B: uint8(v >> 16), A: uint8(v >> 24)}
		}
		out.SetNRGBA(i%w, i/w, c)
	}
	return out
}

func encoded(t *testing.T, format string, of image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&out, of)
	case "jpeg":
		err = jpeg.Encode(&out, of, nil)
	case "gif":
		err = gif.Encode(&out, of, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bomb is a PNG that says that it is so wide.
func bomb(t *testing.T, width uint32) []byte {
	raw := encoded(t, "png", picture(1, 1, false))
	copy(raw[16:], []byte{byte(width >> 24), byte(width >> 16), byte(width >> 8), byte(width)})
	sum := crc32.ChecksumIEEE(raw[12:29])
	copy(raw[29:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	return raw
}

func TestAnIconIsMadeSmall(t *testing.T) {
	whole := encoded(t, "png", picture(300, 200, false))
	for _, tc := range []struct {
		name, file string
		data       []byte
		w, h       int    // 0: there is none
		warning    string // in it
	}{
		{"a PNG", "icon.png", whole, 64, 42, ""},
		{"a JPEG", "icon.jpg", encoded(t, "jpeg", picture(200, 300, false)), 42, 64, ""},
		{"a JPEG that says it is a PNG", "icon.png", encoded(t, "jpeg", picture(64, 64, false)), 64, 64, ""},
		{"a small one", "icon.png", encoded(t, "png", picture(16, 16, false)), 16, 16, ""},
		{"the largest", "icon.png", encoded(t, "png", picture(2048, 2048, false)), 64, 64, ""},
		{"a line", "icon.png", encoded(t, "png", picture(2048, 1, false)), 64, 1, ""},
		{"one that does not compress", "icon.png", encoded(t, "png", picture(96, 96, true)), 32, 32, ""},
		{"with something behind it", "icon.png", append(bytes.Clone(whole), "<script>alert(1)</script>"...), 64, 42, ""},
		{"none", "other.png", whole, 0, 0, ""},
		{"a GIF", "icon.png", encoded(t, "gif", picture(9, 9, false)), 0, 0, "neither PNG nor JPEG"},
		{"an SVG", "icon.png", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 0, 0, "neither PNG nor JPEG"},
		{"one pixel too wide", "icon.png", encoded(t, "png", picture(2049, 1, false)), 0, 0, "2049×1 pixels"},
		{"a bomb", "icon.png", bomb(t, 1<<31-1), 0, 0, "2147483647×1 pixels"},
		{"a smaller bomb", "icon.png", bomb(t, 1<<20), 0, 0, "1048576×1 pixels"},
		{"cut off", "icon.png", whole[:len(whole)/2], 0, 0, "cannot be decoded"},
		{"more than a megabyte", "icon.png", append(bytes.Clone(whole), make([]byte, 1<<20)...), 0, 0, "the limit is 1048576"},
		{"empty", "icon.png", nil, 0, 0, "neither PNG nor JPEG"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := rawZip{entries: []rawEntry{
				{name: "app.toml", data: []byte(goodManifest)}, {name: "static/" + tc.file, data: tc.data},
			}}.bytes()
			b, err := Open(bytes.NewReader(raw), int64(len(raw)), Options{})
			if err != nil {
				t.Fatal(err)
			}
			var icon []byte
			parts, warnings := shownOf(t, b)
			if len(parts) > 0 {
				icon = parts[0].Data
			}
			if tc.warning == "" != (len(warnings) == 0) || len(warnings) > 0 && !strings.Contains(warnings[0].Message, tc.warning) {
				t.Errorf("warnings %v", warnings)
			}
			if tc.w == 0 {
				if icon != nil {
					t.Errorf("an icon of %d bytes", len(icon))
				}
				return
			}
			made, err := png.Decode(bytes.NewReader(icon))
			if err != nil || made.Bounds() != image.Rect(0, 0, tc.w, tc.h) || len(icon) > controlplane.MaxIcon {
				t.Fatalf("%d bytes, %v, %v", len(icon), made.Bounds(), err)
			}
			if bytes.Contains(icon, []byte("<script>")) {
				t.Error("what was behind it is in it")
			}
			if tc.name == "a PNG" {
				left, right := color.NRGBAModel.Convert(made.At(3, 3)), color.NRGBAModel.Convert(made.At(60, 3)).(color.NRGBA)
				if left != (color.NRGBA{R: 255, A: 255}) || right.A != 0 {
					t.Errorf("the colours are %v and %v", left, right)
				}
			}
		})
	}
}
