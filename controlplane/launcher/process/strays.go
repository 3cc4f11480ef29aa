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

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// A leader that was held up makes folders and writes files when it goes on,
// until it finds out that another one leads: also for an instance that was
// removed meanwhile. What it made is a stray, and goes when somebody leads next.
//
// Strays are told by their state: whoever begins to lead writes one of its own
// epoch for every instance, and then that it has done so. What has only older
// ones was not there then.

// keptFile has the epoch of the last leader that has written all states.
const keptFile = "kept"

// readKept is the epoch of the last leader that has written all states; 0 where
// none is known.
func readKept(folder string) int64 {
	b, err := os.ReadFile(filepath.Join(folder, keptFile))
	if err != nil {
		return 0
	}
	epoch, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return epoch
}

func writeKept(folder string, epoch int64) error {
	return hand.WriteDurably(filepath.Join(folder, keptFile), []byte(strconv.FormatInt(epoch, 10)+"\n"))
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
