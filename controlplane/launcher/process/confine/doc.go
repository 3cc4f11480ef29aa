// Package confine keeps the processes of one instance apart from the machine
// and from other instances (spec instances.md §5). It needs Linux 5.12 for
// mounts, and knows nothing of launchers: standard library and x/sys alone, so
// that a process which is about to become an instance's program has little to
// initialise.
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
//
// # Around it
//
// [NewCgroup] makes control groups of either version, [Users] gives each
// instance a user of its own, [CanEnter] and [CanExecute] ask the kernel what
// that user may reach, and [Probe] finds what of all this is permitted here, by
// trying it.
package confine
