//go:build linux

package machine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread runs f on a thread that ends with it, so that what f changes of the
// thread (namespaces, credentials) concerns nobody else. f starts no goroutine
// that it expects to share that. The first thread of a
// process never ends, and is what /proc shows of it: it is left alone.
func OnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			err := OnThread(f) // on another one, since this is taken
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}
