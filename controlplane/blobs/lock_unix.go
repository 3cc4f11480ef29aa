//go:build unix && !aix && !solaris

package blobs

import (
	"os"
	"syscall"
)

// tryLock locks f until it is closed, by whatever end of the process too, or
// reports that somebody else has.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
