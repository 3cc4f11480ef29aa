//go:build linux

package confine

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// The calls and constants that package syscall lacks. Package unix has them,
// and with it this one would be initialised late.
const (
	sysCloseRange   = 436
	sysOpenat2      = 437
	sysFaccessat2   = 439
	sysMountSetattr = 442

	oPath           = 0x200000
	atEmptyPath     = 0x1000
	atEaccess       = 0x200
	writable        = 2 // W_OK
	inRootNoMagic   = 0x10 | 0x02
	attrReadOnly    = 1
	closeOnExec     = 1 << 2
	capSetpcap      = 8
	capSysAdmin     = 21
	capVersion3     = 0x20080522
	prCapbsetDrop   = 24
	prNoNewPrivs    = 38
	prCapAmbient    = 47
	prAmbientClear  = 4
	atFDCWD         = -100
	sizeOfMountAttr = 32
	rlimitProcesses = 6 // RLIMIT_NPROC, on all that Go runs on but mips
)

// sysSetns is numbered by architecture, as calls of before 2019 are.
func sysSetns() uintptr {
	switch runtime.GOARCH {
	case "amd64":
		return 308
	case "386":
		return 346
	case "arm":
		return 375
	case "ppc64", "ppc64le":
		return 350
	case "s390x":
		return 339
	}
	return 268
}

func orNil(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func setns(fd, kind int) error {
	_, _, errno := syscall.RawSyscall(sysSetns(), uintptr(fd), uintptr(kind), 0)
	return orNil(errno)
}

func prctl(option, a, b uintptr) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, a, b, 0, 0, 0)
	return orNil(errno)
}

// dropCapabilities leaves the thread none.
func dropCapabilities() error {
	header := struct {
		version uint32
		pid     int32
	}{version: capVersion3}
	var none [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	return orNil(errno)
}

// closeRange has all descriptors from first on closed by an exec.
func closeRange(first uint) error {
	_, _, errno := syscall.RawSyscall(sysCloseRange, uintptr(first), uintptr(^uint32(0)), closeOnExec)
	return orNil(errno)
}

// openInRoot opens path as the root that the descriptor is: links lead nowhere
// out of it.
func openInRoot(root int, path string) (int, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	how := struct{ flags, mode, resolve uint64 }{flags: oPath | syscall.O_CLOEXEC, resolve: inRootNoMagic}
	for {
		fd, _, errno := syscall.Syscall6(sysOpenat2, uintptr(root), uintptr(unsafe.Pointer(name)),
			uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		// A rename somewhere on the machine makes it unsure of "..".
		if errno != syscall.EAGAIN && errno != syscall.EINTR {
			return int(fd), orNil(errno)
		}
	}
}

// readOnly makes the mount that the descriptor is at read-only.
func readOnly(fd int) error {
	empty := [1]byte{}
	attr := struct{ set, clear, propagation, userns uint64 }{set: attrReadOnly}
	_, _, errno := syscall.Syscall6(sysMountSetattr, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), atEmptyPath,
		uintptr(unsafe.Pointer(&attr)), sizeOfMountAttr, 0)
	return orNil(errno)
}

// mayWrite asks with the thread's own rights.
func mayWrite(path string) bool {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return false
	}
	cwd := atFDCWD
	_, _, errno := syscall.Syscall6(sysFaccessat2, uintptr(cwd), uintptr(unsafe.Pointer(name)), writable, atEaccess, 0, 0)
	return errno == 0
}

// mountID is the number of the mount that the descriptor is in.
func mountID(fd int) (int, error) {
	b, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strconv.Atoi(strings.TrimSpace(text))
		}
	}
	return 0, errors.New("the kernel does not tell mounts")
}

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
