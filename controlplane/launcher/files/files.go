// Package files writes the manifest's [[File]]s, wherever an app runs.
package files

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Write writes a [[File]] with a relative path below the app's root, with mode
// 0600; no link leads it out of there. One of the bundle's gives way to it.
func Write(root *os.Root, f controlplane.File) error {
	name := path.Clean(f.Path)
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	// One of the bundle's would keep its own mode.
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(name, []byte(f.Value), 0o600)
}
