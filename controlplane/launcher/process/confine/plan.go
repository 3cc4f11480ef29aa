//go:build linux

package confine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// plan lists the folders of the machine that lack a mount point, outer ones
// first.
func plan(mounts []Mount) ([]string, error) {
	var covers []string
	for n, m := range mounts {
		if !path.IsAbs(m.Target) || path.Clean(m.Target) == "/" {
			return nil, fmt.Errorf("mount at %q: it is no absolute path below /", m.Target)
		}
		folder, missing, err := resolve(path.Clean(m.Target))
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
		if t := path.Clean(m.Target); folder == t || strings.HasPrefix(folder, t+"/") {
			return true
		}
	}
	return false
}

// resolve follows the links of a clean absolute path. Where it ends at nothing,
// folder is the last that there is.
func resolve(target string) (folder string, missing bool, err error) {
	const maxLinks = 40
	at, rest := "/", strings.Split(strings.TrimPrefix(target, "/"), "/")
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		info, err := os.Lstat(next)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return at, true, nil
		case err != nil:
			return "", false, err
		case info.Mode()&os.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", false, fmt.Errorf("resolve %s: %w", target, syscall.ELOOP)
			}
			to, err := os.Readlink(next)
			if err != nil {
				return "", false, err
			}
			if !path.IsAbs(to) {
				to = path.Join(at, to)
			}
			parts := strings.Split(strings.TrimPrefix(path.Clean(to), "/"), "/")
			at, rest = "/", append(parts, rest[1:]...)
		case len(rest) > 1 && !info.IsDir():
			return "", false, fmt.Errorf("resolve %s: %s is no folder", target, next)
		default:
			at, rest = next, rest[1:]
		}
	}
	return at, false, nil
}
