package bundle

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// PackResult says what Pack wrote.
type PackResult struct {
	Manifest controlplane.Manifest
	Warnings []controlplane.Fault
	Files    int   // packed
	Skipped  int   // files and whole folders left out
	Bytes    int64 // of the archive
}

// packTime is the time of every entry: the first that a zip can hold.
var packTime = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

// Pack writes dir to w as the archive that Open takes under the same options,
// after [ValidateFolder]'s checks: where these fail nothing is written. An
// error after that (a disk, an archive over a limit) leaves w half written,
// and throwing that away is the caller's.
func Pack(dir string, w io.Writer, o Options) (PackResult, error) {
	x, err := openFolder(dir, o.withDefaults())
	if err != nil {
		return PackResult{}, err
	}
	defer x.root.Close()
	err = x.validate()
	res := PackResult{Manifest: x.bundle.Manifest, Warnings: x.f.warnings, Skipped: x.skipped}
	if err != nil {
		return res, err
	}
	out := &counter{w: w, limit: x.o.Limits.Upload}
	z := zip.NewWriter(out)
	var unpacked int64
	for _, e := range x.files {
		n, err := x.pack(z, e)
		if err != nil {
			return res, packError(e.name, err)
		}
		unpacked += n
		if !e.folder {
			res.Files++
		}
	}
	if err := z.Close(); err != nil {
		return res, packError("", err)
	}
	res.Bytes = out.n
	m := meter{limits: x.o.Limits, archive: out.n, total: unpacked}
	return res, m.check()
}

func packError(name string, err error) error {
	if controlplane.CodeOf(err) != controlplane.CodeInternal {
		return err
	}
	return broken("pack "+name, err)
}

func (x *folder) pack(z *zip.Writer, e folderFile) (int64, error) {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: packTime}
	if e.folder {
		h.Name, h.Method = e.name+"/", zip.Store
		h.SetMode(fs.ModeDir | 0o755)
		_, err := z.CreateHeader(h)
		return 0, err
	}
	h.SetMode(0o644)
	if e.exec {
		h.SetMode(0o755)
	}
	file, err := x.root.Open(e.name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	w, err := z.CreateHeader(h)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, io.LimitReader(file, e.size+1))
	if err == nil && n != e.size {
		err = errors.New("the file changed while it was packed")
	}
	return n, err
}

// counter counts what is written, and stops at the limit of an upload.
type counter struct {
	w        io.Writer
	n, limit int64
}

func (c *counter) Write(b []byte) (int, error) {
	if c.n+int64(len(b)) > c.limit {
		return 0, tooLarge(c.n+int64(len(b)), c.limit)
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
