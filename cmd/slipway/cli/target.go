package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// stdout is the name of a file that means standard output.
const stdout = "-"

// target is why a bundle cannot be written to the file of that name, or nil. It
// is written by rename, which would put a file in the place of a device, a pipe
// or a link, too.
func (p *program) target(name string) error {
	path := p.path(name)
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return controlplane.Errorf(controlplane.CodeInvalid, "write bundle to %s: there is no folder %s", name, filepath.Dir(path)).
			WithHint("make it first, or name a file in another")
	}
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return controlplane.Errorf(controlplane.CodeInvalid, "write bundle to %s: %v", name, systemCause(err)).WithHint("name another file")
	case info.IsDir():
		return controlplane.Errorf(controlplane.CodeInvalid, "write bundle to %s: it is a folder", name).WithHint("name a file in it")
	case !info.Mode().IsRegular():
		return controlplane.Errorf(controlplane.CodeInvalid, "write bundle to %s: it is %s, and a file would take its place", name, kindOf(info.Mode())).
			WithHint("name another file; %q is stdout", stdout)
	}
	return nil
}

// kindOf is what stands at a path, with its article.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "neither a file nor a folder"
}

// bundleSuffixes are those of files that bundles are written to.
var bundleSuffixes = []string{".wave", ".qz", ".zip"}

// overBundle is why the bundle of an app is not written over the file of that
// name, or nil: what is there was no bundle of the app before. It may be a source.
// Before the app is known, its name is empty, and the file's name alone counts.
func (p *program) overBundle(name, app string) error {
	path := p.path(name)
	info, err := os.Lstat(path)
	if err != nil {
		return nil //nolint:nilerr // there is none; target says what else may be wrong
	}
	what := "no bundle of " + app
	switch {
	case !slices.Contains(bundleSuffixes, strings.ToLower(filepath.Ext(path))):
		what = "not called like a bundle"
	case app == "" || info.Size() == 0 || bundledApp(path, info.Size()) == app:
		return nil // what a shell has made is empty
	}
	return controlplane.Errorf(controlplane.CodeConflict, "write bundle to %s: the file is there already, and is %s", name, what).
		WithHint("name another file, one that ends with %s; or take this one away first", bundleSuffixes[0])
}

// bundledApp is the name of the app whose bundle a file is, or empty.
func bundledApp(path string, size int64) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	b, err := bundle.Reopen(file, size)
	if err != nil {
		return ""
	}
	data, err := b.ReadFile(b.ManifestFile)
	if err != nil {
		return ""
	}
	m, _, err := bundle.ParseManifest(data, bundle.Options{AnyServer: true})
	if err != nil {
		return ""
	}
	return m.Name
}

// writeBundle writes a bundle to the file of that name, or to stdout. The file
// appears whole or not at all. what is for errors: "download bundle".
func (p *program) writeBundle(ctx context.Context, what, name string, content io.Reader) error {
	content = &stoppable{ctx, content}
	if name == stdout {
		if _, err := io.Copy(p.Out, content); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	if err := p.target(name); err != nil {
		return err
	}
	if err := replaceFile(p.path(name), content, 0o644); err != nil {
		return fmt.Errorf("%s to %s: %w", what, name, systemCause(err))
	}
	return nil
}

// systemCause is an error of the file system without the path, which may be that
// of a temporary file. Others are as they are.
func systemCause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
