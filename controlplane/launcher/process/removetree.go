//go:build linux

package process

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// deepest is how deep a tree may be that os.RemoveAll gets: it has a file open
// for each level.
const deepest = 50

// removeTree is os.RemoveAll for what a workload has left: folders without
// permissions, and folders in folders to any depth.
func removeTree(dir string) error {
	flat := flatten(dir)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, errors.Join(pathless(flat), pathless(err)))
	}
	return nil
}

// pathless leaves out the path, which may have megabytes.
func pathless(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// flatten moves what is deeper than deepest up into dir, and opens all folders
// to their owner.
func flatten(dir string) error {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for trees := []string{"."}; len(trees) > 0; {
		lifted, err := lift(root, trees[0], 0)
		if err != nil {
			return err
		}
		trees = append(trees[1:], lifted...)
	}
	return nil
}

// lift moves what is too deep below a folder up into root, and says where.
func lift(root *os.Root, folder string, depth int) (lifted []string, err error) {
	names, err := subfolders(root, folder)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = folder + "/" + name
		if err := root.Chmod(name, 0o700); err != nil {
			return nil, err
		}
		if depth < deepest {
			further, err := lift(root, name, depth+1)
			if err != nil {
				return nil, err
			}
			lifted = append(lifted, further...)
			continue
		}
		to := ".deep-" + rand.Text()
		if err := root.Rename(name, to); err != nil {
			return nil, err
		}
		lifted = append(lifted, to)
	}
	return lifted, nil
}

func subfolders(root *os.Root, folder string) (names []string, err error) {
	f, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, errors.Join(err, f.Close())
}
