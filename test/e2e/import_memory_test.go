package e2e

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// mostImportMemory is how much an import may take of the server, in KiB (issue:
// "a 2 GiB bomb costs ≤ 64 MB").
const mostImportMemory = 64_000_000 >> 10

const bombManifest = "[App]\nName = %q\nVersion = \"1.0.0\"\nLongDescription = \"x.md\"\n[Runtime]\nAppMode = \"python\"\nModule = \"app\"\n"

// archive writes a bundle of that name to a file.
func (s *slipway) archive(t *testing.T, name string, fill func(*zip.Writer)) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "bundle.zip"))
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriterSize(file, 1<<20)
	w := zip.NewWriter(out)
	put(w, "app.toml", fmt.Appendf(nil, bombManifest, name))
	put(w, "app.py", nil)
	put(w, "x.md", []byte("# x"))
	fill(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// put adds a file; zip's own faults come at its Close.
func put(w *zip.Writer, name string, data []byte) {
	if f, err := w.Create(name); err == nil {
		f.Write(data)
	}
}

// putRaw adds a file that was compressed before.
func putRaw(w *zip.Writer, name string, of packed) {
	method := zip.Deflate
	if of.data == nil {
		method = zip.Store
	}
	f, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: method, CRC32: of.sum, CompressedSize64: uint64(len(of.data)), UncompressedSize64: of.size})
	if err == nil {
		f.Write(of.data)
	}
}

type packed struct {
	data []byte
	sum  uint32
	size uint64
}

// zeros packs so many bytes.
func zeros(n int) packed {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	sum := crc32.NewIEEE()
	io.CopyN(io.MultiWriter(w, sum), zeroReader{}, int64(n))
	w.Close()
	return packed{out.Bytes(), sum.Sum32(), uint64(n)}
}

// sixtyFour is 64 MiB of zeros.
var sixtyFour = sync.OnceValue(func() packed { return zeros(64 << 20) })

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// noise writes bytes that do not compress, as they are.
func noise(w *zip.Writer, name string, n int64) {
	f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err == nil {
		io.CopyN(f, rand.NewChaCha8([32]byte{1}), n)
	}
}

func encodedPNG(of image.Image) []byte {
	var out bytes.Buffer
	_ = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, of)
	return out.Bytes()
}

// sendBundle imports a file, and returns what the import took of the server's memory.
func (s *slipway) sendBundle(t *testing.T, file string) (grown int, err error) {
	t.Helper()
	archive, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	info, err := archive.Stat()
	if err != nil {
		t.Fatal(err)
	}
	resting := memoryOf(t, s.process.PID, "VmRSS")
	began := time.Now()
	_, err = s.api().ImportBundle(t.Context(), client.Import{Archive: archive, Size: info.Size()})
	grown = memoryOf(t, s.process.PID, "VmHWM") - resting
	t.Logf("%d bytes: %d KiB more memory than %d, in %s: %.200v", info.Size(), grown, resting, time.Since(began).Round(10*time.Millisecond), err)
	return grown, err
}

// An import costs the server little memory, whatever is in the bundle.
func TestAnImportIsSmallInMemory(t *testing.T) {
	long := strings.Repeat("n", 200)
	for _, tc := range []struct {
		name string
		code string // "": it is taken
		says string
		fill func(*zip.Writer)
	}{
		{"200 MB that do not compress", "", "", func(w *zip.Writer) { noise(w, "data", 200_000_000) }},
		{"a bomb over the ratio", "invalid", "unpacked bytes", func(w *zip.Writer) {
			for i := range 31 {
				putRaw(w, fmt.Sprintf("zeros%d", i), sixtyFour())
			}
		}},
		{"2 GiB under the ratio", "", "", func(w *zip.Writer) {
			noise(w, "noise", 11<<20)
			for i := range 31 {
				putRaw(w, fmt.Sprintf("zeros%d", i), sixtyFour())
			}
		}},
		{"2 GiB in one file that lies", "invalid", "", func(w *zip.Writer) {
			of := sixtyFour()
			of.size = 1<<31 - 1000
			putRaw(w, "zeros", of)
		}},
		{"100,000 entries", "", "", func(w *zip.Writer) {
			for i := range 99_996 {
				put(w, fmt.Sprintf("%060d", i), nil)
			}
		}},
		{"a million entries", "invalid", "entries", func(w *zip.Writer) {
			for i := range 1_000_000 {
				putRaw(w, fmt.Sprintf("%d", i), packed{})
			}
		}},
		{"long names", "", "", func(w *zip.Writer) {
			for i := range 80_000 {
				putRaw(w, fmt.Sprintf("%s%06d", long, i), packed{})
			}
		}},
		{"longest names", "invalid", "paths", func(w *zip.Writer) {
			for i := range 90_000 {
				putRaw(w, fmt.Sprintf("%s/%s/%s/%s/%06d", long, long, long, long, i), packed{})
			}
		}},
		{"deep folders", "", "", func(w *zip.Writer) {
			for i := range 60 {
				putRaw(w, fmt.Sprintf("%d/%sx", i, strings.Repeat("d/", 500)), packed{})
			}
		}},
		{"too many deep folders", "invalid", "paths", func(w *zip.Writer) {
			for i := range 190 {
				putRaw(w, fmt.Sprintf("%d/%sx", i, strings.Repeat("d/", 500)), packed{})
			}
		}},
		{"names in capitals", "", "", func(w *zip.Writer) {
			for i := range 80_000 {
				putRaw(w, fmt.Sprintf("%s%06d", strings.ToUpper(long), i), packed{})
			}
		}},
		{"a directory of fields that nobody reads", "", "", func(w *zip.Writer) {
			extra := append([]byte{0xfe, 0xca, 0xfb, 0xff}, make([]byte, 0xfffb)...)
			for i := range 2000 {
				_, _ = w.CreateRaw(&zip.FileHeader{Name: fmt.Sprintf("x%d", i), Extra: extra, Comment: strings.Repeat("c", 60_000)})
			}
		}},
		{"pictures", "", "", func(w *zip.Writer) {
			colours := image.NewNRGBA(image.Rect(0, 0, 3840, 2400))
			for i := range colours.Pix {
				colours.Pix[i] = byte(i / 4096)
			}
			large := encodedPNG(colours)
			put(w, "static/icon.png", encodedPNG(image.NewNRGBA(image.Rect(0, 0, 2048, 2048))))
			for i := range 10 {
				put(w, fmt.Sprintf("static/screenshot%d.png", i), large)
			}
		}},
		{"pictures of 16 bits, and JPEGs", "", "", func(w *zip.Writer) {
			put(w, "static/screenshot0.png", encodedPNG(image.NewNRGBA64(image.Rect(0, 0, 2300, 2000))))
			var photo bytes.Buffer
			_ = jpeg.Encode(&photo, image.NewYCbCr(image.Rect(0, 0, 3800, 3300), image.YCbCrSubsampleRatio444), nil)
			for i := range 5 {
				put(w, fmt.Sprintf("static/screenshot%d.jpg", i+1), photo.Bytes())
			}
		}},
		{"a picture that says it is a gigabyte", "", "", func(w *zip.Writer) {
			raw := encodedPNG(image.NewGray(image.Rect(0, 0, 1, 1)))
			copy(raw[16:], []byte{0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff})
			sum := crc32.ChecksumIEEE(raw[12:29])
			copy(raw[29:], []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
			put(w, "static/icon.png", raw)
			put(w, "static/screenshot.png", raw)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := up(t)
			file := s.archive(t, "demo", tc.fill)
			grown, err := s.sendBundle(t, file)
			if got := client.CodeOf(err); err == nil && tc.code != "" || err != nil && string(got) != string(tc.code) || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, want %s %s", err, tc.code, tc.says)
			}
			if grown > mostImportMemory {
				t.Errorf("it takes %d KiB", grown)
			}
			if resp, err := http.Get(s.origin("") + "/livez"); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("afterwards %v", err)
			} else {
				resp.Body.Close()
			}
		})
	}
}
