//go:build linux

package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// plan lists the folders of the machine that lack a mount point, outer ones
// first.
func plan(mounts []Mount) ([]string, error) {
	var covers []string
	for n, m := range mounts {
		if !filepath.IsAbs(m.Target) || filepath.Clean(m.Target) == "/" {
			return nil, fmt.Errorf("mount at %q: it is no absolute path below /", m.Target)
		}
		folder, missing, err := resolve(filepath.Clean(m.Target))
		if err != nil {
			return nil, fmt.Errorf("mount at %s: %w", m.Target, err)
		}
		if !missing || within(folder, mounts[:n]) {
			continue
		}
		if !slices.Contains(covers, folder) {
			covers = append(covers, folder)
		}
	}
	slices.SortStableFunc(covers, func(a, b string) int { return len(a) - len(b) })
	return covers, nil
}

// within reports whether the folder is, or is below, the target of a mount.
func within(folder string, mounts []Mount) bool {
	for _, m := range mounts {
		if t := filepath.Clean(m.Target); folder == t || strings.HasPrefix(folder, t+"/") {
			return true
		}
	}
	return false
}

// resolve follows the links of a clean absolute path. Where it ends at nothing,
// folder is the last that there is.
func resolve(path string) (folder string, missing bool, err error) {
	const maxLinks = 40
	at, rest := "/", strings.Split(strings.TrimPrefix(path, "/"), "/")
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return at, true, nil
		case err != nil:
			return "", false, err
		case info.Mode()&os.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", false, fmt.Errorf("resolve %s: %w", path, unix.ELOOP)
			}
			to, err := os.Readlink(next)
			if err != nil {
				return "", false, err
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(at, to)
			}
			parts := strings.Split(strings.TrimPrefix(filepath.Clean(to), "/"), "/")
			at, rest = "/", append(parts, rest[1:]...)
		case len(rest) > 1 && !info.IsDir():
			return "", false, fmt.Errorf("resolve %s: %s is no folder", path, next)
		default:
			at, rest = next, rest[1:]
		}
	}
	return at, false, nil
}
