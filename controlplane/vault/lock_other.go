//go:build !unix || aix || solaris

package vault

import "os"

// awaitLock does nothing here: there are no such locks.
func awaitLock(*os.File) {}
