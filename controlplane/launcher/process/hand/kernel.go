//go:build linux

package hand

import "syscall"

// The calls that package syscall lacks. Package unix has them, and with it this
// one would be initialised after a hundred others.
const (
	sysPidfdSendSignal = 424
	sysPidfdOpen       = 434
	sysCloseRange      = 436

	closeRangeCloexec = 1 << 2
)

func pidfdOpen(pid int) (fd int, err error) {
	r, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)
	return int(r), orNil(errno)
}

func pidfdSendSignal(fd int, sig syscall.Signal) error {
	_, _, errno := syscall.Syscall6(sysPidfdSendSignal, uintptr(fd), uintptr(sig), 0, 0, 0, 0)
	return orNil(errno)
}

func closeRange(first uint) error {
	_, _, errno := syscall.Syscall(sysCloseRange, uintptr(first), uintptr(^uint32(0)), closeRangeCloexec)
	return orNil(errno)
}

func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}
