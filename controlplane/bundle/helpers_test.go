package bundle

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const goodManifest = `[App]
Name = "demo"
Version = "1.0.0"

[Runtime]
Module = "app"
`

// rawEntry is an entry of a hand-made archive; the functions make it lie.
type rawEntry struct {
	name       string
	data       []byte
	packed     []byte // instead of data deflated or stored
	method     uint16
	flags      uint16
	mode       uint32 // upper half of the external attributes
	extra      []byte // in both headers
	descriptor []byte // behind the data
	gap        []byte // before the local header
	local      func(header []byte)
	central    func(header []byte)
	localName  string
	at         *uint32 // offset in the directory instead of the true one
}

type rawZip struct {
	entries []rawEntry
	before  []byte // before everything, offsets left as they are
	middle  []byte // between directory and end record
	comment string
	after   []byte
	end     func(record []byte)
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func u16(v int) []byte    { return le.AppendUint16(nil, uint16(v)) }
func u32(v uint32) []byte { return le.AppendUint32(nil, v) }

func (z rawZip) bytes() []byte {
	var out, dir bytes.Buffer
	for _, e := range z.entries {
		out.Write(e.gap)
		packed := e.packed
		if packed == nil {
			packed = e.data
			if e.method == methodDeflate {
				packed = deflated(e.data)
			}
		}
		at := uint32(out.Len())
		if e.at != nil {
			at = *e.at
		}
		common := bytes.Join([][]byte{
			u16(20), u16(int(e.flags)), u16(int(e.method)), u16(0), u16(0x21), u32(crc32.ChecksumIEEE(e.data)),
			u32(uint32(len(packed))), u32(uint32(len(e.data))), u16(len(e.name)), u16(len(e.extra)),
		}, nil)
		local := append(u32(sigLocal), common...)
		name := e.name
		if e.localName != "" {
			name = e.localName
		}
		if e.local != nil {
			e.local(local)
		}
		out.Write(local)
		out.WriteString(name)
		out.Write(e.extra)
		out.Write(packed)
		out.Write(e.descriptor)
		central := bytes.Join([][]byte{u32(sigDirectory), u16(3<<8 | 20), common, u16(0), u16(0), u16(0), u32(e.mode << 16), u32(at)}, nil)
		if e.central != nil {
			e.central(central)
		}
		dir.Write(central)
		dir.WriteString(e.name)
		dir.Write(e.extra)
	}
	offset := out.Len()
	end := bytes.Join([][]byte{
		u32(sigEnd), u16(0), u16(0), u16(len(z.entries)), u16(len(z.entries)), u32(uint32(dir.Len())), u32(uint32(offset)), u16(len(z.comment)),
	}, nil)
	if z.end != nil {
		z.end(end)
	}
	return bytes.Join([][]byte{z.before, out.Bytes(), dir.Bytes(), z.middle, end, []byte(z.comment), z.after}, nil)
}

// withManifest is a raw archive of app.toml and more.
func withManifest(more ...rawEntry) rawZip {
	return rawZip{entries: append([]rawEntry{{name: "app.toml", data: []byte(goodManifest)}}, more...)}
}

// zipOf is an archive made by archive/zip.
func zipOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, data := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(data))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(b []byte, o Options) (*Bundle, error) {
	return Open(bytes.NewReader(b), int64(len(b)), o)
}

// faultsOf are the faults of an error that must be the domain's.
func faultsOf(t testing.TB, err error) []controlplane.Fault {
	t.Helper()
	e, ok := errors.AsType[*controlplane.Error](err)
	if !ok {
		t.Fatalf("%v is no *controlplane.Error", err)
	}
	return e.Faults
}

func hasCode(list []controlplane.Fault, code string) bool {
	for _, f := range list {
		if f.Code == code {
			return true
		}
	}
	return false
}

// tempFolder writes files; a path that ends in "*" is executable.
func tempFolder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		mode := os.FileMode(0o600)
		if name[len(name)-1] == '*' {
			name, mode = name[:len(name)-1], 0o700
		}
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
