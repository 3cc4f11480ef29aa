//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A leader that was held up makes folders and writes files when it goes on,
// until it finds out that another one leads: also for an instance that was
// removed meanwhile. What it made is a stray, and goes when somebody leads next.
//
// Strays are told by their state: whoever begins to lead writes one of its own
// epoch for every instance, and then that it has done so. What has only older
// ones was not there then.

// keptPrefix and an epoch name an empty file: that leader has written all
// states. It is one for each epoch, since leaders may write at the same time; the
// largest counts.
const keptPrefix = "kept."

// readKept is the epoch of the last leader that has written all states; 0 where
// none is known.
func readKept(folder string) (last int64) {
	for _, epoch := range keptBy(folder) {
		last = max(last, epoch)
	}
	return last
}

func keptBy(folder string) (epochs []int64) {
	found, err := fs.Glob(os.DirFS(folder), keptPrefix+"*")
	if err != nil {
		return nil
	}
	for _, name := range found {
		if epoch, err := strconv.ParseInt(strings.TrimPrefix(name, keptPrefix), 10, 64); err == nil {
			epochs = append(epochs, epoch)
		}
	}
	return epochs
}

func keptName(folder string, epoch int64) string {
	return filepath.Join(folder, keptPrefix+strconv.FormatInt(epoch, 10))
}

// writeKept notes that this leader has written all states. The notes of earlier
// ones go.
func writeKept(folder string, epoch int64) error {
	f, err := os.OpenFile(keptName(folder, epoch), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = f.Close()
	for _, other := range keptBy(folder) {
		if other >= epoch {
			continue
		}
		if removeErr := os.Remove(keptName(folder, other)); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// isStray reports whether an instance's folder is nobody's. One whose volumes
// hold something never is: that would not be a stray's, whatever the states say.
func isStray(dir string, kept int64) (bool, error) {
	files, err := stateFiles(dir)
	if err != nil {
		return false, fmt.Errorf("look for strays: %w", err)
	}
	if len(files) > 0 && files[len(files)-1].epoch >= kept {
		return false, nil
	}
	volumes, err := os.ReadDir(filepath.Join(dir, "volumes"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for strays: %w", err)
	}
	for _, v := range volumes {
		if empty, err := isEmpty(filepath.Join(dir, "volumes", v.Name())); err != nil || !empty {
			return false, err
		}
	}
	return true, nil
}

func isEmpty(dir string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, fmt.Errorf("look for strays: %w", err)
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for strays: %w", err)
	}
	return false, nil
}
