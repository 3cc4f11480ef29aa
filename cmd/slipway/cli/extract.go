package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// extract writes the files of an app's bundle into a folder that is new or
// empty: all of them, or none.
func (p *program) extract(ctx context.Context, id, dir string) error {
	api, err := p.client()
	if err != nil {
		return err
	}
	target := filepath.Clean(p.path(dir))
	if err := emptyFolder(dir, target); err != nil {
		return err
	}
	app, err := api.App(ctx, id)
	if err != nil {
		return err
	}
	archive, length, err := api.DownloadBundle(ctx, app.ID)
	if err != nil {
		return err
	}
	defer archive.Close()
	body, finish := p.transferring("downloading", archive, length)
	defer finish()
	file, err := temporaryArchive(func(to *os.File) (none bundle.PackResult, err error) {
		_, err = io.Copy(to, body)
		return none, err
	})
	if err != nil {
		return fmt.Errorf("extract bundle: %w", err)
	}
	defer file.discard()
	finish()
	if err := unpackInto(ctx, file.file, file.size, target); err != nil {
		return err
	}
	return p.write([]byte(oneLine(dir) + "\n"))
}

// emptyFolder is why nothing can be unpacked into a folder, or nil: it is new or
// empty. name is how the user calls it.
func emptyFolder(name, path string) error {
	const mend = "name a folder that is empty, or that is not there"
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err = os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err == nil && !info.IsDir() {
		return controlplane.Errorf(controlplane.CodeInvalid, "extract bundle: %s is %s, not a folder", name, kindOf(info.Mode())).WithHint(mend)
	}
	var entries []os.DirEntry
	if err == nil {
		entries, err = os.ReadDir(path)
	}
	if err != nil {
		return controlplane.Errorf(controlplane.CodeInvalid, "extract bundle: %s cannot be looked at: %v", name, systemCause(err)).WithHint(mend)
	}
	if len(entries) > 0 {
		return controlplane.Errorf(controlplane.CodeConflict, "extract bundle: the folder %s is not empty", name).WithHint("name one that is, or that is not there")
	}
	return nil
}

// unpackInto unpacks beside the folder first, so that it is there whole. One that
// is there already stays the same folder, with its owner and mode, since somebody
// may stand in it: its files then come out of a folder in it.
func unpackInto(ctx context.Context, archive io.ReaderAt, size int64, dir string) error {
	b, err := bundle.Reopen(archive, size)
	if err != nil {
		return err
	}
	near := dir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		near = filepath.Dir(dir)
	}
	if err := unpackNear(ctx, b, near, dir); err != nil {
		return fmt.Errorf("extract bundle to %s: %w", dir, systemCause(err))
	}
	return nil
}

func unpackNear(ctx context.Context, b *bundle.Bundle, near, dir string) error {
	if err := os.MkdirAll(near, 0o755); err != nil { //nolint:gosec // sources are nobody's secret; the umask counts
		return err
	}
	temporary, err := os.MkdirTemp(near, ".slipway-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	unpacked := filepath.Join(temporary, "app")
	if err := os.Mkdir(unpacked, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	if err := b.Unpack(ctx, unpacked); err != nil {
		return err
	}
	if near != dir {
		return os.Rename(unpacked, dir)
	}
	entries, err := os.ReadDir(unpacked)
	for _, e := range entries {
		if err == nil {
			err = os.Rename(filepath.Join(unpacked, e.Name()), filepath.Join(dir, e.Name()))
		}
	}
	return err
}
