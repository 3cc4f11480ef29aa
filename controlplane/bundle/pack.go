package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// PackOptions say how to pack. The zero value packs what is not left out by
// default, as an installation takes it that configures nothing.
type PackOptions struct {
	Options
	// Suffix is put behind App.Version, such as "-20261120153012"; empty
	// leaves the manifest as it is. A version like 1.0 is completed first.
	Suffix string
	// Output is the path, below the folder and with slashes, of the file that
	// is written: it is left out, as is what an earlier run wrote there. Empty
	// where it lies elsewhere.
	Output string
	// Progress, where it is not nil, is told now and then how many bytes of
	// the files are packed, and how many there are.
	Progress func(done, all int64)
}

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
// error after that (a disk, an archive over a limit, the end of ctx) leaves w
// half written, and throwing that away is the caller's.
func Pack(ctx context.Context, dir string, w io.Writer, o PackOptions) (PackResult, error) {
	x, err := openFolder(dir, o)
	if err != nil {
		return PackResult{}, err
	}
	defer x.root.Close()
	err = x.validate(ctx)
	res := PackResult{Manifest: x.bundle.Manifest, Warnings: x.f.warnings, Skipped: x.skipped}
	if err != nil {
		return res, err
	}
	out := &counter{w: w, limit: x.o.Limits.Upload}
	z := zip.NewWriter(out)
	p := packing{folder: x, z: z, ctx: ctx}
	for _, e := range x.files {
		if err := p.add(e); err != nil {
			return res, packError(e.name, err)
		}
		if !e.folder {
			res.Files++
		}
	}
	if err := z.Close(); err != nil {
		return res, packError("", err)
	}
	res.Bytes = out.n
	m := meter{limits: x.o.Limits, archive: out.n, total: p.done}
	return res, m.check()
}

func packError(name string, err error) error {
	if controlplane.CodeOf(err) != controlplane.CodeInternal || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return broken("pack "+name, err)
}

// packing is one archive on its way.
type packing struct {
	*folder
	z    *zip.Writer
	ctx  context.Context
	done int64 // bytes of files
}

func (p *packing) add(e folderFile) error {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: packTime}
	if e.folder {
		h.Name, h.Method = e.name+"/", zip.Store
		h.SetMode(fs.ModeDir | 0o755)
		_, err := p.z.CreateHeader(h)
		return err
	}
	h.SetMode(0o644)
	if e.exec {
		h.SetMode(0o755)
	}
	from, err := p.open(e.name)
	if err != nil {
		return err
	}
	defer from.Close()
	w, err := p.z.CreateHeader(h)
	if err != nil {
		return err
	}
	before := p.done
	n, err := io.Copy(w, io.LimitReader(&told{p, from}, e.size+1))
	if err == nil && n != e.size {
		err = errors.New("the file changed while it was packed")
	}
	p.done = before + n
	return err
}

// open opens a file, and the manifest as it is to be packed.
func (p *packing) open(name string) (io.ReadCloser, error) {
	if p.o.Suffix == "" || name != p.bundle.ManifestFile {
		return p.root.Open(name)
	}
	data, err := p.read(name, maxManifest)
	return io.NopCloser(bytes.NewReader(data)), err
}

// told ends with its context, and tells how far the archive is.
type told struct {
	p *packing
	r io.Reader
}

func (t *told) Read(b []byte) (int, error) {
	if err := t.p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.r.Read(b)
	if t.p.done += int64(n); t.p.o.Progress != nil {
		t.p.o.Progress(t.p.done, t.p.size)
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
