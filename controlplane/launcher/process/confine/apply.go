//go:build linux

package confine

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Apply confines the calling thread, which the caller has locked
// (runtime.LockOSThread) and executes the program from: that ends the other
// threads. After an error, a *Error, the thread is in no state to be used.
func Apply(s Spec) error {
	for _, folder := range s.Cgroups {
		if err := join(folder); err != nil {
			return &Error{StepCgroup, err}
		}
	}
	if err := enterNetwork(s.Network); err != nil {
		return &Error{StepNetwork, err}
	}
	if len(s.Mounts) > 0 {
		if err := enterMounts(s.Mounts, s.Scratch); err != nil {
			return &Error{StepMounts, err}
		}
	}
	if err := limitProcesses(s.Processes); err != nil {
		return &Error{StepPrivileges, err}
	}
	syscall.Umask(0o022) // whatever the caller's is: folders keep others out
	if err := dropPrivileges(s.User); err != nil {
		return &Error{StepPrivileges, err}
	}
	if s.Dir != "" { // with the user's rights
		if err := syscall.Chdir(s.Dir); err != nil {
			return &Error{StepDir, fmt.Errorf("enter folder %s: %w", s.Dir, err)}
		}
	}
	return nil
}

// Open opens a program for [Exec], with the rights that the caller has before
// it is confined. Scripts cannot be executed so.
func Open(program string) (fd int, err error) {
	fd, err = syscall.Open(program, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open program %s: %w", program, err)
	}
	return fd, nil
}

// Exec becomes the program that fd was opened at, by [Open]. Its folders need
// not be open to the user that the caller has become. It only returns when it
// fails.
func Exec(fd int, args, env []string) error {
	// Not execveat(2): this restores the limit of open files that Go had raised.
	return fmt.Errorf("execute: %w", syscall.Exec(fdPath(fd), args, env))
}

// join moves this process into the control group.
func join(folder string) error {
	if err := os.WriteFile(folder+"/cgroup.procs", []byte("0"), 0); err != nil {
		return fmt.Errorf("join control group: %w", err)
	}
	return nil
}

// limitProcesses lowers the limit of this process, and never raises it.
func limitProcesses(n int) error {
	if n == 0 {
		return nil
	}
	var l syscall.Rlimit
	err := syscall.Getrlimit(rlimitProcesses, &l)
	if err == nil && uint64(n) < l.Max {
		l = syscall.Rlimit{Cur: min(l.Cur, uint64(n)), Max: uint64(n)}
		err = syscall.Setrlimit(rlimitProcesses, &l)
	}
	if err != nil {
		return fmt.Errorf("limit processes: %w", err)
	}
	return nil
}

func enterNetwork(path string) error {
	switch path {
	case "":
		return nil
	case "new":
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		return nil
	}
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", path, err)
	}
	defer syscall.Close(fd)
	if err := setns(fd, syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("join network namespace %s: %w", path, err)
	}
	return nil
}

// dropPrivileges becomes the user, with none of root's rights and no way to
// gain any. System calls are raw: they are this thread's alone.
func dropPrivileges(user *User) error {
	if err := prctl(prNoNewPrivs, 1, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	// What is not in the bounding set comes back by no exec. It takes a
	// capability to leave it, which an ordinary user's process has not.
	for c := uintptr(0); ; c++ {
		err := prctl(prCapbsetDrop, c, 0)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) && os.Geteuid() != 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if user != nil {
		if err := become(*user); err != nil {
			return err
		}
	}
	if err := prctl(prCapAmbient, prAmbientClear, 0); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("clear capabilities: %w", err)
	}
	if err := closeRange(3); err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	return nil
}

func become(user User) error {
	if user.UID <= 0 || user.GID <= 0 {
		return fmt.Errorf("become user %d, group %d: an instance never runs as root", user.UID, user.GID)
	}
	uid, gid := uintptr(user.UID), uintptr(user.GID)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("leave groups: %w", errno)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return fmt.Errorf("become group %d: %w", user.GID, errno)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return fmt.Errorf("become user %d: %w", user.UID, errno)
	}
	if syscall.Getuid() != user.UID || syscall.Getegid() != user.GID {
		return fmt.Errorf("become user %d: the system call took another number", user.UID)
	}
	return nil
}
