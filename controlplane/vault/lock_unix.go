//go:build unix && !aix && !solaris

package vault

import (
	"errors"
	"os"
	"syscall"
)

// awaitLock locks a folder until it is closed. Some network file systems cannot,
// and then nobody is kept away.
func awaitLock(dir *os.File) {
	for errors.Is(syscall.Flock(int(dir.Fd()), syscall.LOCK_EX), syscall.EINTR) {
	}
}
