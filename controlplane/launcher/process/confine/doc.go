// Package confine keeps the processes of one instance apart from the machine
// and from other instances (spec instances.md §5). It needs Linux 5.12 for
// mounts.
//
// It imports the least of the standard library, and system calls are made by
// hand: it is initialised before nearly all else of a large program, so that a
// process which is about to become an instance's has little to wait for. What
// works around it is in package machine.
//
// # In the process that becomes the workload
//
// [Apply] does what a [Spec] says, as the last thing before [Exec]: it joins
// control groups and a network namespace, makes a mount namespace, and gives up
// every right that the instance's user has not. It changes the calling thread
// alone, which the caller has locked. Where the caller is not root, mounts need
// a user namespace, and that must be there from the fork on: [Spec.Attr].
//
// # Mounts
//
// A mount point that the machine does not have is never made in its tree.
// Instead the folder that lacks it is covered, in the instance's namespace, by
// one in memory that has bind mounts (and links) of all that the folder holds,
// and the mount point beside them. What appears in such a folder of the machine
// later, or is replaced there, does not show inside until the next start. Below
// another mount of the same Spec, mount points are made in that mount. Paths
// inside are resolved by the kernel within the new root, so that a link which
// an app left in its volume leads nowhere else.
package confine
