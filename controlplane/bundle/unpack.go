package bundle

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Unpack writes the bundle into dir, which must exist and be empty: folders
// with mode 0755, files with 0644 or 0755 whatever the umask, no times. It
// writes nothing outside dir, however dir changes meanwhile. After an error
// dir holds part of the bundle, and removing it is the caller's.
func (b *Bundle) Unpack(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return broken("unpack bundle", err)
	}
	defer root.Close()
	if err := checkEmpty(root); err != nil {
		return err
	}
	f := newInflater(b.r)
	made := map[string]bool{".": true}
	for i := range b.entries {
		e := &b.entries[i]
		name := strings.TrimPrefix(e.path(), b.prefix)
		if e.folder() {
			err = makeFolder(root, name, made)
		} else if err = makeFolder(root, path.Dir(name), made); err == nil {
			err = f.unpack(ctx, root, name, e)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	return nil
}

func checkEmpty(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return broken("unpack bundle", err)
	}
	defer d.Close()
	if names, _ := d.Readdirnames(1); len(names) > 0 {
		return controlplane.Errorf(controlplane.CodeConflict, "unpack bundle: the folder is not empty, it has %s", names[0])
	}
	return nil
}

// makeFolder makes name and the folders above it, each once.
func makeFolder(root *os.Root, name string, made map[string]bool) error {
	if made[name] {
		return nil
	}
	if err := makeFolder(root, path.Dir(name), made); err != nil {
		return err
	}
	if err := root.Mkdir(name, 0o755); err != nil {
		return err
	}
	made[name] = true
	return root.Chmod(name, 0o755)
}

func (f *inflater) unpack(ctx context.Context, root *os.Root, name string, e *entry) (err error) {
	mode := os.FileMode(0o644)
	if e.exec {
		mode = 0o755
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return f.copy(ctx, file, e)
}
