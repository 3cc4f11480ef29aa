package bundle

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestOpenRefuses(t *testing.T) {
	x := []byte("hello, hello, hello")
	crc := crc32.ChecksumIEEE(x)
	zero, five := uint32(0), uint32(5)
	descriptor := bytes.Join([][]byte{u32(sigDescriptor), u32(crc), u32(uint32(len(x))), u32(uint32(len(x)))}, nil)
	unicodePath := bytes.Join([][]byte{u16(extraUnicodePath), u16(9), {1}, u32(crc32.ChecksumIEEE([]byte("a"))), []byte("evil")}, nil)
	lie := func(at int, b ...byte) func([]byte) { return func(h []byte) { copy(h[at:], b) } }
	path := func(name string) rawZip { return withManifest(rawEntry{name: name, data: x}) }
	mode := func(m uint32) rawZip { return withManifest(rawEntry{name: "f", data: x, mode: m}) }
	with := func(e rawEntry) rawZip { e.name = "a"; return withManifest(e) }
	tests := []struct {
		name string
		zip  rawZip
		code string
	}{
		{"no manifest", rawZip{entries: []rawEntry{{name: "a", data: x}}}, CodeNoManifest},
		{"no entries", rawZip{}, CodeNoManifest},
		{"manifest two folders down", rawZip{entries: []rawEntry{{name: "a/b/app.toml", data: x}}}, CodeNoManifest},
		{"manifest in another case", rawZip{entries: []rawEntry{{name: "App.toml", data: []byte(goodManifest)}}}, CodeNoManifest},
		{"manifest in __MACOSX only", rawZip{entries: []rawEntry{{name: "__MACOSX/app.toml", data: x}}}, CodeNoManifest},
		{"wrapped beside another file", rawZip{entries: []rawEntry{{name: "w/app.toml", data: x}, {name: "b", data: x}}}, CodeNoManifest},

		{"duplicate", withManifest(rawEntry{name: "a"}, rawEntry{name: "a"}), CodeDuplicate},
		{"duplicate folder", withManifest(rawEntry{name: "a/"}, rawEntry{name: "a/"}), CodeDuplicate},
		{"case", withManifest(rawEntry{name: "a"}, rawEntry{name: "A"}), CodeDuplicate},
		{"case outside ASCII", withManifest(rawEntry{name: "\u00e9"}, rawEntry{name: "\u00c9"}), CodeDuplicate},
		{"case with the Kelvin sign", withManifest(rawEntry{name: "k"}, rawEntry{name: "\u212a"}), CodeDuplicate},
		{"case of a folder", withManifest(rawEntry{name: "d/a"}, rawEntry{name: "D/b"}), CodeDuplicate},
		{"case of a folder deep down", withManifest(rawEntry{name: "d/e/f/a"}, rawEntry{name: "d/E/g/b"}), CodeDuplicate},
		{"file and folder", withManifest(rawEntry{name: "a"}, rawEntry{name: "a/b"}), CodeDuplicate},
		{"folder and file", withManifest(rawEntry{name: "a/b"}, rawEntry{name: "a"}), CodeDuplicate},
		{"file and written folder", withManifest(rawEntry{name: "a"}, rawEntry{name: "a/"}), CodeDuplicate},

		{"dot dot", path("../x"), CodeEntryPath},
		{"dot dot inside", path("a/../b"), CodeEntryPath},
		{"dot dot at the end", path("a/.."), CodeEntryPath},
		{"dot", path("./a"), CodeEntryPath},
		{"empty part", path("a//b"), CodeEntryPath},
		{"empty", path(""), CodeEntryPath},
		{"slash", path("/"), CodeEntryPath},
		{"absolute", path("/etc/passwd"), CodeEntryPath},
		{"backslash", path(`a\..\b`), CodeEntryPath},
		{"drive", path("C:/x"), CodeEntryPath},
		{"drive inside", path("a/c:x"), CodeEntryPath},
		{"NUL", path("a\x00b"), CodeEntryPath},
		{"line break", path("a\nb"), CodeEntryPath},
		{"escape", path("a\x1b[2J"), CodeEntryPath},
		{"C1 control", path("a\u0085b"), CodeEntryPath},
		{"right-to-left override", path("a\u202egnp.exe"), CodeEntryPath},
		{"isolate", path("a\u2066b"), CodeEntryPath},
		{"not UTF-8", path("a\xff"), CodeEntryPath},
		{"long path", path(strings.Repeat("abcdefg/", 129) + "x"), CodeEntryPath},
		{"long part", path(strings.Repeat("a", 256)), CodeEntryPath},

		{"symlink", mode(0o120777), CodeSymlink},
		{"device", mode(0o020644), CodeSpecialFile},
		{"block device", mode(0o060644), CodeSpecialFile},
		{"pipe", mode(0o010644), CodeSpecialFile},
		{"socket", mode(0o140644), CodeSpecialFile},
		{"set-user-ID", mode(0o104755), CodeSpecialFile},
		{"set-group-ID", mode(0o102755), CodeSpecialFile},
		{"folder by its mode", mode(0o040755), CodeHeaderMismatch},

		{"encrypted", with(rawEntry{data: x, flags: 1}), CodeEncrypted},
		{"strong encryption", with(rawEntry{data: x, flags: 1 << 6}), CodeEncrypted},
		{"bzip2", with(rawEntry{data: x, method: 12}), CodeMethod},
		{"AES", with(rawEntry{data: x, method: 99}), CodeMethod},

		{"local name", with(rawEntry{data: x, localName: "b"}), CodeHeaderMismatch},
		{"local method", with(rawEntry{data: x, local: lie(8, 8)}), CodeHeaderMismatch},
		{"local flags", with(rawEntry{data: x, local: lie(7, 8)}), CodeHeaderMismatch},
		{"local size", with(rawEntry{data: x, local: lie(22, 1)}), CodeHeaderMismatch},
		{"local packed size", with(rawEntry{data: x, local: lie(18, 1)}), CodeHeaderMismatch},
		{"local checksum", with(rawEntry{data: x, local: lie(14, 1, 2, 3, 4)}), CodeHeaderMismatch},
		{"local zeros without descriptor", with(rawEntry{data: x, local: lie(14, make([]byte, 12)...)}), CodeHeaderMismatch},
		{"no local header", with(rawEntry{data: x, local: lie(0, 0)}), CodeHeaderMismatch},
		{"Unicode path", with(rawEntry{data: x, extra: unicodePath}), CodeHeaderMismatch},
		{"descriptor missing", with(rawEntry{data: x, flags: flagDescriptor}), CodeHeaderMismatch},
		{"descriptor lies", with(rawEntry{data: x, flags: flagDescriptor, descriptor: append(descriptor[:12:12], 9, 9, 9, 9)}), CodeHeaderMismatch},
		{"folder with bytes", withManifest(rawEntry{name: "a/", data: x}), CodeHeaderMismatch},

		{"checksum", with(rawEntry{data: x, packed: []byte("jello, hello, hello")}), CodeChecksum},
		{"damaged", with(rawEntry{data: x, method: 8, packed: bytes.Repeat([]byte{0xff}, 20)}), CodeChecksum},
		{"stored size", with(rawEntry{data: x, packed: x[:5]}), CodeSize},
		{"longer than it says", with(rawEntry{data: x, method: 8, packed: deflated(append(x, x...))}), CodeSize},
		{"shorter than it says", with(rawEntry{data: x, method: 8, packed: deflated(x[:5])}), CodeSize},
		{"packed bytes left over", with(rawEntry{data: x, method: 8, packed: append(deflated(x), 1, 2, 3)}), CodeSize},

		{"data before, offsets off", rawZip{entries: withManifest().entries, before: []byte("#!/bin/sh\n")}, CodeSurroundingData},
		{"data before, offsets right", rawZip{entries: []rawEntry{{name: "app.toml", data: []byte(goodManifest), gap: []byte("junk")}}}, CodeSurroundingData},
		{"data between entries", with(rawEntry{data: x, gap: []byte("junk")}), CodeSurroundingData},
		{"data before the end record", rawZip{entries: withManifest().entries, middle: []byte("junk")}, CodeSurroundingData},
		{"data after", rawZip{entries: withManifest().entries, after: []byte("junk")}, CodeSurroundingData},
		{"comment of a false length", rawZip{entries: withManifest().entries, comment: "hello", end: lie(20, 3)}, CodeSurroundingData},
		{"end record in the comment", rawZip{entries: withManifest().entries, comment: string(rawZip{}.bytes())}, CodeSurroundingData},
		{"more records than it says", rawZip{entries: withManifest(rawEntry{name: "a"}).entries, end: lie(8, 1, 0, 1, 0)}, CodeSurroundingData},
		{"fewer records than it says", rawZip{entries: withManifest().entries, end: lie(8, 2, 0, 2, 0)}, CodeTruncated},
		{"several parts", rawZip{entries: withManifest().entries, end: lie(4, 1)}, CodeNotAZip},
		{"entries overlap", withManifest(rawEntry{name: "a", data: x}, rawEntry{name: "b", data: x, at: &zero}), CodeOverlap},
		{"entry inside another", withManifest(rawEntry{name: "b", data: x, at: &five}), CodeOverlap},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(tt.zip.bytes(), Options{})
			if err == nil {
				t.Fatal("taken")
			}
			if controlplane.CodeOf(err) != controlplane.CodeInvalid {
				t.Errorf("code %s of %v", controlplane.CodeOf(err), err)
			}
			if f := faultsOf(t, err); !hasCode(f, tt.code) {
				t.Errorf("faults %v, want %s", f, tt.code)
			}
		})
	}
}

func TestOpenRefusesWhatIsNoZip(t *testing.T) {
	good := withManifest().bytes()
	for name, b := range map[string][]byte{
		"empty": nil, "text": []byte(strings.Repeat("hello ", 100)), "cut in half": good[:len(good)/2], "end cut off": good[:len(good)-1], "start cut off": good[1:],
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := open(b, Options{}); controlplane.CodeOf(err) != controlplane.CodeInvalid {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestOpenLimits(t *testing.T) {
	big := func(n int) []byte { return make([]byte, n) }
	many := withManifest()
	for i := range 20 {
		many.entries = append(many.entries, rawEntry{name: fmt.Sprintf("d%d/f", i)})
	}
	claims := withManifest(rawEntry{name: "a", method: 8, central: func(h []byte) { copy(h[24:], u32(0xf0000000)) }, local: func(h []byte) { copy(h[22:], u32(0xf0000000)) }})
	tests := []struct {
		name   string
		zip    rawZip
		limits Limits
		code   string // "" is taken
		kind   controlplane.Code
	}{
		{"upload", withManifest(), Limits{Upload: 100}, CodeTooLarge, controlplane.CodeTooLarge},
		{"entries", many, Limits{Entries: 20}, CodeTooManyEntries, controlplane.CodeInvalid},
		{"implied folders count", many, Limits{Entries: 40}, CodeTooManyEntries, controlplane.CodeInvalid},
		{"entries at the limit", many, Limits{Entries: 41}, "", ""},
		{"unpacked", withManifest(rawEntry{name: "a", method: 8, data: big(10_000)}), Limits{Unpacked: 10_000}, CodeTooLarge, controlplane.CodeInvalid},
		{"unpacked at the limit", withManifest(rawEntry{name: "a", method: 8, data: big(10_000)}), Limits{Unpacked: int64(10_000 + len(goodManifest))}, "", ""},
		{"claimed", claims, Limits{}, CodeTooLarge, controlplane.CodeInvalid},
		{"ratio", withManifest(rawEntry{name: "a", method: 8, data: big(4 << 20)}), Limits{}, CodeRatio, controlplane.CodeInvalid},
		{"ratio of a small archive", withManifest(rawEntry{name: "a", method: 8, data: big(1<<20 - 1000)}), Limits{}, "", ""},
		{"ratio configured", withManifest(rawEntry{name: "a", method: 8, data: big(4 << 20)}), Limits{Ratio: 2000}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(tt.zip.bytes(), Options{Limits: tt.limits})
			if tt.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !hasCode(faultsOf(t, err), tt.code) || controlplane.CodeOf(err) != tt.kind {
				t.Errorf("%v, want %s", err, tt.code)
			}
		})
	}
}

// TestOpenTakesABombsWorthOfNoMemory measures what Open allocates for an entry
// of 16 MiB: its own buffers.
func TestOpenTakesABombsWorthOfNoMemory(t *testing.T) {
	b := withManifest(rawEntry{name: "a", method: 8, data: make([]byte, 16<<20)}).bytes()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := open(b, Options{Limits: Limits{Ratio: 1 << 20}}); err != nil {
		t.Fatal(err)
	}
	if _, err := open(b, Options{}); err == nil {
		t.Fatal("taken")
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
		t.Errorf("allocated %d bytes", n)
	}
}

func TestOpenTakes(t *testing.T) {
	x := []byte("hello, hello, hello")
	crc := crc32.ChecksumIEEE(x)
	zeroed := func(h []byte) { copy(h[14:], make([]byte, 12)) }
	size := u32(uint32(len(x)))
	size64 := append(size[:4:4], 0, 0, 0, 0)
	zip64 := bytes.Join([][]byte{u16(extraZip64), u16(16), size64, size64}, nil)
	saturate := func(at int) func([]byte) {
		return func(h []byte) { copy(h[at:], bytes.Repeat([]byte{0xff}, 8)) }
	}
	tests := []struct {
		name string
		zip  rawZip
	}{
		{"comment", rawZip{entries: withManifest().entries, comment: "hello"}},
		{"stored", withManifest(rawEntry{name: "a", data: x})},
		{"deflated", withManifest(rawEntry{name: "a", data: x, method: 8})},
		{"descriptor", withManifest(rawEntry{name: "a", data: x, flags: flagDescriptor, local: zeroed, descriptor: bytes.Join([][]byte{u32(sigDescriptor), u32(crc), size, size}, nil)})},
		{"descriptor without signature", withManifest(rawEntry{name: "a", data: x, flags: flagDescriptor, local: zeroed, descriptor: bytes.Join([][]byte{u32(crc), size, size}, nil)})},
		{"descriptor of 64 bits", withManifest(rawEntry{name: "a", data: x, flags: flagDescriptor, local: zeroed, descriptor: bytes.Join([][]byte{u32(sigDescriptor), u32(crc), size64, size64}, nil)})},
		{"zip64 sizes", withManifest(rawEntry{name: "a", data: x, extra: zip64, local: saturate(18), central: saturate(20)})},
		{"folders", withManifest(rawEntry{name: "a/", mode: 0o042755}, rawEntry{name: "a/b", data: x})},
		{"folder after its file", withManifest(rawEntry{name: "a/b", data: x}, rawEntry{name: "a/"})},
		{"UTF-8 without the flag", withManifest(rawEntry{name: "\u00e9", data: x})},
		{"UTF-8 with the flag", withManifest(rawEntry{name: "\u00e9", data: x, flags: 1 << 11})},
		{"sticky", withManifest(rawEntry{name: "a", data: x, mode: 0o101644})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := open(tt.zip.bytes(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if b.Manifest.Name != "demo" || len(b.Warnings) > 0 {
				t.Errorf("%+v", b)
			}
			if err := b.Unpack(t.Context(), t.TempDir()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOpenZip64 has more records than the old end record can count.
func TestOpenZip64(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, _ := w.Create("app.toml")
	f.Write([]byte(goodManifest))
	for i := range 65_600 {
		w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("f%d", i)})
	}
	w.Close()
	b, err := open(out.Bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Files != 65_601 {
		t.Errorf("%d files", b.Files)
	}
	broken := bytes.Clone(out.Bytes())
	copy(broken[len(broken)-14:], u16(7)) // the records of this part
	copy(broken[len(broken)-12:], u16(7))
	if _, err := open(broken, Options{}); err == nil {
		t.Error("disagreeing end records were taken")
	}
}

func TestOpenReads(t *testing.T) {
	b, err := open(zipOf(t, map[string]string{
		"demo-1/app.toml": goodManifest, "demo-1/q-app.toml": "not read", "demo-1/app.py": "print()", "demo-1/static/icon.png": "i",
		"demo-1/static/screenshot-2.png": "2", "demo-1/static/screenshot-1.jpg": "1", "demo-1/static/notes.txt": "n",
		"demo-1/requirements.txt": "# nothing\nh2o-wave>=1\n", "demo-1/packages.txt": "# nothing\n", "__MACOSX/demo-1/._app.py": "junk",
	}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b.Files != 9 || !b.HasRequirements || b.HasPackages || b.Icon != "static/icon.png" || strings.Join(b.Screenshots, " ") != "static/screenshot-1.jpg static/screenshot-2.png" {
		t.Errorf("%+v", b)
	}
	if !hasCode(b.Warnings, WarnTwoManifests) || b.ManifestFile != "app.toml" {
		t.Errorf("warnings %v", b.Warnings)
	}
	if data, err := b.ReadFile("app.py"); err != nil || string(data) != "print()" {
		t.Errorf("%q, %v", data, err)
	}
	for _, name := range []string{"demo-1/app.py", "static", "__MACOSX/demo-1/._app.py", "", "../x"} {
		if _, err := b.ReadFile(name); controlplane.CodeOf(err) != controlplane.CodeNotFound {
			t.Errorf("%q: %v", name, err)
		}
	}
	dir := t.TempDir()
	if err := b.Unpack(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "app.py")); err != nil || string(data) != "print()" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "__MACOSX")); err == nil {
		t.Error("__MACOSX was unpacked")
	}
	if err := b.Unpack(t.Context(), dir); controlplane.CodeOf(err) != controlplane.CodeConflict {
		t.Errorf("into a full folder: %v", err)
	}
}

func TestOpenTakesTheOldManifest(t *testing.T) {
	b, err := open(zipOf(t, map[string]string{"q-app.toml": goodManifest}), Options{})
	if err != nil || b.ManifestFile != "q-app.toml" {
		t.Fatalf("%+v, %v", b, err)
	}
	_, err = open(zipOf(t, map[string]string{"q-app.toml": "[App]\n"}), Options{})
	if f := faultsOf(t, err); f[0].Where != "q-app.toml" {
		t.Errorf("%v", f)
	}
}

func TestOpenReportsAllFilesAtOnce(t *testing.T) {
	_, err := open(zipOf(t, map[string]string{
		"app.toml": "[App]\nName = \"-\"\nVersion = \"x\"\nLongDescription = \"no.md\"\n[Runtime]\nModule = \"app\"\n", "requirements.txt": "-r x\n", "packages.txt": "-o x\n",
	}), Options{})
	var where []string
	for _, f := range faultsOf(t, err) {
		where = append(where, fmt.Sprintf("%s:%d", f.Where, f.Line))
	}
	if got := strings.Join(where, " "); got != "app.toml:2 app.toml:3 app.toml:4 requirements.txt:1 packages.txt:1" {
		t.Errorf("faults at %s", got)
	}
}

func TestUnpackKeepsTheExecutableBitOnly(t *testing.T) {
	z := withManifest(rawEntry{name: "run", mode: 0o100777}, rawEntry{name: "data", mode: 0o100666}, rawEntry{name: "private", mode: 0o100400}, rawEntry{name: "d/", mode: 0o040700})
	b, err := open(z.bytes(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := b.Unpack(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"run": 0o755, "data": 0o644, "private": 0o644, "d": 0o755} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(withManifest(rawEntry{name: "a/b", data: []byte("x"), method: 8}).bytes())
	f.Add(zipOf(f, map[string]string{"w/app.toml": goodManifest, "w/requirements.txt": "a==1\n"}))
	for _, tc := range slices.Concat(archiveCases(), manifestCases()) {
		if b := tc.zip.bytes(); len(b) < 4<<10 {
			f.Add(b)
		}
	}
	limits := Limits{Unpacked: 1 << 20, Entries: 1000}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := open(data, Options{Limits: limits})
		if err != nil {
			faultsOf(t, err)
			return
		}
		// What we take, the standard library reads the same.
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("taken, but archive/zip says %v", err)
		}
		files := 0
		for _, x := range z.File {
			if !strings.HasSuffix(x.Name, "/") && !strings.HasPrefix(x.Name, "__MACOSX/") && x.Name != "__MACOSX" {
				files++
			}
		}
		if files != b.Files {
			t.Fatalf("%d files, archive/zip has %d", b.Files, files)
		}
		if err := b.Unpack(t.Context(), t.TempDir()); err != nil {
			t.Fatalf("unpack: %v", err)
		}
		if _, err := b.Show(t.Context(), func(controlplane.Part) error { return nil }); err != nil {
			t.Fatalf("show: %v", err)
		}
	})
}
