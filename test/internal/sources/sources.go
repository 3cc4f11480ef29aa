// Package sources lets go test's cache know that a test depends on the module's
// sources, which it reads through another program.
package sources

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Touch looks at every source file below root, a module's folder: the cache sees
// what a test itself looks at, not what the go command reads for it, and would
// call a result good that is of other sources. Nor does it see what is looked at
// before the first test runs.
func Touch(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil // an editor's file, gone meanwhile
		}
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && path != root && strings.HasPrefix(name, "."):
			return filepath.SkipDir
		case name == "go.mod", filepath.Ext(name) == ".go", filepath.Ext(name) == ".json":
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}
