//go:build linux

package confine

import (
	"fmt"
	"os"
	"syscall"
)

// Spec says how a process is to be confined. Whatever it says, the process
// gains no privileges by executing, has no capabilities, and keeps no
// descriptors but 0, 1 and 2 when it executes its program.
type Spec struct {
	// Dir is the working directory, as seen inside. Empty leaves it.
	Dir string `json:"dir,omitempty"`

	// User is who the process becomes, without supplementary groups; only root
	// can become another. Nil leaves it the caller's.
	User *User `json:"user,omitempty"`

	// Cgroups are folders of control groups to join, see [Cgroup.Folders].
	Cgroups []string `json:"cgroups,omitempty"`

	// Processes is how many processes and threads the user may have, 0 as many as
	// the caller. Root is not bound by it. In a user namespace of its own the
	// user's processes outside do not count (before Linux 5.14 they do).
	Processes int `json:"processes,omitempty"`

	// Network is the path of a network namespace to join, or "new" for one
	// with nothing but a loopback that is down.
	Network string `json:"network,omitempty"`

	// Mounts exist inside alone, in this order. With any, Scratch is required:
	// an empty folder that exists, to build the new tree on.
	Mounts  []Mount `json:"mounts,omitempty"`
	Scratch string  `json:"scratch,omitempty"`
}

// User is a user and its only group.
type User struct {
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Mount is one mount: of Source, a file or a folder of the machine, or, where
// Source is empty, of a new file system in memory.
type Mount struct {
	Source string `json:"source,omitempty"`
	// Target is the absolute path inside; it need not exist.
	Target   string `json:"target"`
	ReadOnly bool   `json:"read_only,omitempty"`
	// Size bounds a file system in memory, in bytes; 0 is half of the memory.
	Size int64 `json:"size,omitempty"`
	// Mode are its permissions; 0 is 0755.
	Mode uint32 `json:"mode,omitempty"`
}

// Step names what of a Spec could not be done.
type Step string

// The steps, in the order of Apply.
const (
	StepCgroup     Step = "cgroup"
	StepNetwork    Step = "network"
	StepMounts     Step = "mounts"
	StepPrivileges Step = "privileges"
	StepDir        Step = "dir"
)

// Error is why Apply failed. The process must not go on to execute anything.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("confine (%s): %v", e.Step, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Attr adds to attr what the Spec needs of the fork: a user namespace for
// mounts where the caller is not root. The user stays the same inside.
func (s Spec) Attr(attr *syscall.SysProcAttr) {
	if len(s.Mounts) == 0 || os.Geteuid() == 0 {
		return
	}
	attr.Cloneflags |= syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	// For a user other than root, capabilities outlive an exec by this alone.
	attr.AmbientCaps = []uintptr{capSysAdmin, capSetpcap}
}
