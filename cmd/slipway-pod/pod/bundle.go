//go:build linux

package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/files"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// bundle puts the program where later containers find it, and the app where it
// runs.
func (s *step) bundle() (int, error) {
	var b inpod.Bundle
	if err := given(s.args[0], &b); err != nil {
		return 0, err
	}
	ctx, cancel := asked()
	defer cancel()
	if err := install(b.Program); err != nil {
		return 0, err
	}
	archive, err := s.fetch(ctx, &b)
	if err != nil {
		return 0, err
	}
	defer archive.Close()
	if err := os.Remove(archive.Name()); err != nil { // it is open still
		return 0, fmt.Errorf("unpack bundle: %w", err)
	}
	return 0, unpack(ctx, archive, &b)
}

// install copies this program to a file that appears whole.
func install(to string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("copy slipway-pod: %w", err)
	}
	defer self.Close()
	f, err := os.CreateTemp(filepath.Dir(to), ".slipway-pod-")
	if err != nil {
		return fmt.Errorf("copy slipway-pod: %w", err)
	}
	_, err = io.Copy(f, self)
	if err = errors.Join(err, f.Chmod(0o755), f.Close()); err == nil {
		err = os.Rename(f.Name(), to)
	}
	if err != nil {
		return fmt.Errorf("copy slipway-pod: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// unpack writes the archive and the files that hold no secret. The kubelet runs
// a step again that has failed: what that left goes first.
func unpack(ctx context.Context, archive *os.File, b *inpod.Bundle) error {
	if err := empty(b.App); err != nil {
		return fmt.Errorf("unpack bundle: %w", err)
	}
	info, err := archive.Stat()
	if err != nil {
		return fmt.Errorf("unpack bundle: %w", err)
	}
	packed, err := bundle.Reopen(archive, info.Size())
	if err == nil {
		err = packed.Unpack(ctx, b.App)
	}
	switch {
	case controlplane.CodeOf(err) == controlplane.CodeInvalid, controlplane.CodeOf(err) == controlplane.CodeTooLarge:
		return fail(controlplane.BadBundle, "the bundle cannot be unpacked: %v", err)
	case err != nil:
		return fmt.Errorf("unpack bundle: %w", err)
	}
	return write(b.App, b.Files)
}

// empty removes all that is in a folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// write writes [[File]]s below the app's root.
func write(app string, all []inpod.File) error {
	root, err := os.OpenRoot(app)
	if err != nil {
		return fmt.Errorf("write files: %w", err)
	}
	defer root.Close()
	for _, f := range all {
		if err := files.Write(root, controlplane.File{Path: f.Path, Value: string(f.Value)}); err != nil {
			if why := reasonOf(err); why.Code == controlplane.NoCapacity {
				return failure{why}
			}
			return fail(controlplane.BadBundle, "[[File]] %s cannot be written: %v", f.Path, err)
		}
	}
	return nil
}
