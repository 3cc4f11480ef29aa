// Package pod has the steps of slipway-pod, see package inpod. It needs Linux.
//
// # The app's process
//
// In every mode the app is a child of slipway-pod, which is process 1 of the
// container and stays: to a process 1 the kernel delivers no signal that it has
// not asked for, so that an app which ends by SIGTERM as any other program does
// would run until it is killed, and nobody would reap what its children leave
// behind. Signals go to the app's process group; when the app ends, slipway-pod
// ends with its exit code, 128 and the number of the signal where it ended by
// one, and the kernel ends what is left.
//
// # Wave
//
// A Wave app is ready when the server and the app answer (spec apps.md §4), and
// from outside a pod the app's own port is not to be seen. So both listen on
// loopback, and the pod's port is opened once both answer: slipway-pod passes
// connections on to the server, with splice(2).
package pod
