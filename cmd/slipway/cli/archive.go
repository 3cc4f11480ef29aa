package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// archive is a bundle that is read from its beginning.
type archive struct {
	bundle.PackResult // of one that was packed here
	file              *os.File
	size              int64 // bytes
	temporary         bool
}

func (a *archive) discard() {
	a.file.Close()
	if a.temporary {
		os.Remove(a.file.Name()) // where it is not gone already
	}
}

// archive opens a bundle, and packs a folder first. A suffix is put behind the
// version of either.
func (p *program) archive(ctx context.Context, path, suffix string) (*archive, error) {
	info, err := statBundle(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		// The server repeats the warnings, by its own settings.
		return p.pack(ctx, path, bundle.PackOptions{Suffix: suffix})
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	if suffix == "" {
		return &archive{file: file, size: info.Size()}, nil
	}
	defer file.Close()
	from, err := bundle.Open(file, info.Size(), bundle.Options{AnyServer: true})
	if err != nil {
		return nil, err
	}
	return temporaryArchive(func(to *os.File) (res bundle.PackResult, err error) {
		res.Manifest = from.Manifest
		res.Manifest.Version = bundle.Suffixed(res.Manifest.Version, suffix)
		return res, from.WriteWithSuffix(ctx, to, suffix)
	})
}

// pack packs a folder into a file outside of it, so that the bundle does not
// become a part of itself.
func (p *program) pack(ctx context.Context, dir string, o bundle.PackOptions) (*archive, error) {
	var finish func()
	o.AnyServer = true
	o.Progress, finish = p.advancing("packing")
	defer finish()
	a, err := temporaryArchive(func(to *os.File) (bundle.PackResult, error) { return bundle.Pack(ctx, dir, to, o) })
	if err != nil {
		return nil, inFolder(err, dir)
	}
	return a, nil
}

// temporaryArchive is what write writes into a temporary file. Its name is
// taken away at once, where the system allows that: so nothing is left of it
// when this process is killed.
func temporaryArchive(write func(*os.File) (bundle.PackResult, error)) (*archive, error) {
	file, err := os.CreateTemp("", "slipway-*.wave")
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	a := &archive{file: file, temporary: true}
	if os.Remove(file.Name()) == nil {
		a.temporary = false
	}
	a.PackResult, err = write(file)
	if err == nil {
		a.size, err = file.Seek(0, io.SeekEnd)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		a.discard()
		return nil, err
	}
	return a, nil
}

// within is the path of a file below a folder as bundles write it, or empty
// where it lies elsewhere, or is not named.
func (p *program) within(dir, file string) string {
	if file == "" || file == stdout {
		return ""
	}
	from, err := filepath.Abs(dir)
	to, errTo := filepath.Abs(p.path(file))
	if errors.Join(err, errTo) != nil {
		return ""
	}
	rel, err := filepath.Rel(from, to)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}
