//go:build linux

package machine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
)

// CanEnter reports whether the user may enter the folder at path, an absolute
// one: blocked is the first folder on the way that keeps it out, or empty.
func CanEnter(u confine.User, path string) (blocked string, err error) {
	err = as(u, func() error {
		at := "/"
		for _, name := range strings.Split(filepath.Clean(path), "/") {
			at = filepath.Join(at, name)
			switch err := unix.Faccessat2(unix.AT_FDCWD, at, unix.X_OK, unix.AT_EACCESS); {
			case errors.Is(err, unix.EACCES):
				blocked = at
				return nil
			case err != nil:
				return fmt.Errorf("look whether user %d may enter %s: %w", u.UID, at, err)
			}
		}
		return nil
	})
	return blocked, err
}

// CanExecute reports whether the user may execute the program at path: each
// folder on the way, through all links, and the file itself.
func CanExecute(u confine.User, path string) bool {
	var may bool
	err := as(u, func() error {
		var stat unix.Stat_t
		may = unix.Stat(path, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG &&
			unix.Faccessat2(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) == nil
		return nil
	})
	return err == nil && may
}

// as runs f with the user's rights to files: modes, lists and mount options,
// as the kernel sees them. Who is not root can ask for itself alone.
func as(u confine.User, f func() error) error {
	if os.Geteuid() != 0 {
		if u.UID != os.Geteuid() {
			return fmt.Errorf("ask for user %d: only root can", u.UID)
		}
		return f()
	}
	return OnThread(func() error {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			return fmt.Errorf("leave groups: %w", errno)
		}
		// These return the former number, whatever came of them. With the
		// file system's user root's rights to files leave the thread.
		for _, c := range []struct {
			call uintptr
			id   int
		}{{unix.SYS_SETFSGID, u.GID}, {unix.SYS_SETFSUID, u.UID}} {
			_, _, _ = unix.RawSyscall(c.call, uintptr(c.id), 0, 0)
			if now, _, _ := unix.RawSyscall(c.call, ^uintptr(0), 0, 0); int(now) != c.id {
				return fmt.Errorf("become user %d for files: %w", u.UID, unix.EPERM)
			}
		}
		return f()
	})
}
