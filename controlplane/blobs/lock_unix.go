//go:build unix && !aix && !solaris

package blobs

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks f until it is closed, by whatever end of the process too, or
// reports that somebody else has, or shares it.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// tryShare is tryLock, but for any number at once.
func tryShare(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}

// awaitLock is tryLock that waits.
func awaitLock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
