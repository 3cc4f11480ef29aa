// Package procgroup finds the processes of one run of an instance on this
// machine, and the sockets that they have open, and asks the kernel of those
// ([Diag]). It needs Linux.
//
// A [Group] is a session, a process group, whoever carries the run's marker in
// the environment, and the descendants of all these. The launcher that starts
// a group ends it by this, and hands its [Identity] on with the endpoint, so
// that an edge can ask by the same rule whose a socket is.
package procgroup
