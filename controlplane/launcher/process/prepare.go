//go:build linux

package process

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/files"
)

// prepare makes the folders of a start and says what to execute. Its own lines
// and pip's go to output.
func (r *run) prepare(output *os.File) (command, *controlplane.Reason) {
	dir := r.appDir()
	for _, folder := range []string{dir, r.homeDir(), r.tempDir()} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return command{}, broken(fmt.Errorf("make run folder: %w", err))
		}
	}
	if err := r.i.t.open(r.i.dir, filepath.Dir(r.dir()), r.dir()); err != nil {
		return command{}, broken(fmt.Errorf("make run folder: %w", err))
	}
	if err := writeToken(r.tokenFile(), r.w.Token); err != nil {
		return command{}, broken(fmt.Errorf("write token: %w", err))
	}
	if why := r.unpack(dir); why != nil {
		return command{}, why
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return command{}, broken(fmt.Errorf("open run folder: %w", err))
	}
	defer root.Close()
	if why := r.writeFiles(root, false); why != nil {
		return command{}, why
	}
	r.warn(output, r.w.Warnings)
	r.warn(output, r.i.t.unenforced(r.w.App.Manifest.Runtime, root))
	c, why := r.command(root, output)
	if why == nil { // what installs dependencies has ended, and has read no secret
		why = r.writeFiles(root, true)
	}
	if why == nil {
		why = r.confine(&c)
	}
	return c, why
}

// writeFiles writes the [[File]]s that hold secrets, or those that hold none.
func (r *run) writeFiles(root *os.Root, secret bool) *controlplane.Reason {
	for n, f := range r.w.Files {
		if (f.Secret != "") != secret {
			continue
		}
		write := func() error { return files.Write(root, f) }
		if path.IsAbs(f.Path) {
			write = func() error { return r.writeAbsolute(n, f) }
		}
		if err := write(); err != nil {
			if why := noCapacity(err); why != nil {
				return why
			}
			return reason(controlplane.BadBundle, "[[File]] %s cannot be written: %v", f.Path, err)
		}
	}
	return nil
}

// The folder of the run, and what is in it. No other run shares any of it.
func (r *run) dir() string       { return filepath.Join(r.i.dir, "run", r.state.Folder) }
func (r *run) appDir() string    { return filepath.Join(r.dir(), "app") }
func (r *run) homeDir() string   { return filepath.Join(r.dir(), "home") }
func (r *run) tempDir() string   { return filepath.Join(r.dir(), "tmp") }
func (r *run) tokenFile() string { return filepath.Join(r.dir(), "token") }

// unpack writes the bundle into dir. The sample app is a part of this program
// and may come without one.
func (r *run) unpack(dir string) *controlplane.Reason {
	if r.w.OpenBundle == nil {
		if slices.Equal(r.w.App.Manifest.Runtime.AppEntryPoint, sampleApp) {
			return nil
		}
		return reason(controlplane.BadBundle, "the app has no bundle")
	}
	blob, err := r.w.OpenBundle(r.ctx)
	if err != nil {
		return reason(controlplane.BadBundle, "the bundle cannot be opened: %v", err)
	}
	err = r.i.t.cfg.Unpack(r.ctx, blob, dir)
	if err := errors.Join(err, blob.Close()); err != nil {
		if why := noCapacity(err); why != nil {
			return why
		}
		return reason(controlplane.BadBundle, "the bundle cannot be unpacked: %v", err)
	}
	return nil
}

func writeToken(path, token string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(token)
	return errors.Join(err, f.Close())
}
