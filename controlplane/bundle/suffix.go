package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"io/fs"
	"strconv"

	"github.com/Masterminds/semver/v3"
)

// withSuffix is app.toml with a suffix behind the value of App.Version, all
// other bytes as they are. What it cannot read it leaves as it is: the checks
// say what is wrong with it.
func withSuffix(data []byte, suffix string) []byte {
	if suffix == "" {
		return data
	}
	doc := parseDocument("", data, &faults{})
	if doc == nil {
		return data
	}
	v := doc.root.get("App").get("Version")
	if v == nil || v.kind != kindString || v.text == "" {
		return data
	}
	var out bytes.Buffer
	out.Write(doc.data[:v.at])
	out.WriteString(strconv.Quote(Suffixed(v.text, suffix)))
	out.Write(doc.data[v.at+len(v.raw):])
	return out.Bytes()
}

// Suffixed is a version with a suffix. One that is not quite semver (1.0) is
// completed first, so that the whole is.
func Suffixed(version, suffix string) string {
	if x, err := semver.NewVersion(version); err == nil && x.Metadata() == "" {
		version = x.String()
	}
	return version + suffix
}

// WriteWithSuffix writes the bundle to w with another version: suffix is put
// behind App.Version. All else keeps its bytes, packed as they are. What has
// become of the version is for who reads the archive to check.
func (b *Bundle) WriteWithSuffix(ctx context.Context, w io.Writer, suffix string) error {
	z := zip.NewWriter(w)
	for i := range b.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.copyEntry(z, &b.entries[i], suffix); err != nil {
			return packError(b.entries[i].name, err)
		}
	}
	return z.Close()
}

func (b *Bundle) copyEntry(z *zip.Writer, e *entry, suffix string) error {
	h := &zip.FileHeader{Name: e.name, Method: e.method, Modified: packTime}
	switch {
	case e.folder():
		h.SetMode(fs.ModeDir | 0o755)
	case e.exec:
		h.SetMode(0o755)
	default:
		h.SetMode(0o644)
	}
	if e.name == b.prefix+b.ManifestFile {
		data, err := b.read(b.ManifestFile, maxManifest)
		if err != nil {
			return err
		}
		h.Method = zip.Deflate
		to, err := z.CreateHeader(h)
		if err == nil {
			_, err = to.Write(withSuffix(data, suffix))
		}
		return err
	}
	h.CRC32, h.CompressedSize64, h.UncompressedSize64 = e.crc, e.packed, e.size
	to, err := z.CreateRaw(h)
	if err == nil {
		_, err = io.Copy(to, io.NewSectionReader(b.r, int64(e.data), int64(e.packed)))
	}
	return err
}
