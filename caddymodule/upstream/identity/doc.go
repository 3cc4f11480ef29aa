// Package identity keeps an edge from speaking with a stranger: a route that
// outlives its instance names a port that another program may have taken by
// then (spec routing.md §8).
//
// A launcher whose endpoints can be reused hands their identity on with them
// (package procgroup), and [Checker.Check] asks the system, once for each new
// connection and before the first byte, whether the program at its other end
// is a process of that group. Pools are kept by instance and generation, so
// that a connection that was right stays right.
//
// # Why the answer holds
//
// A connection is queued at one listening socket from the moment that it is
// made. It is reset if that is closed before somebody accepts it, and the
// program that accepts it is one that has that listener. So it is enough to
// know the listener, and these are the ways:
//
//   - A listener that was known as the instance's before the dialling began,
//     is the one that would take a connection now, and cannot share its
//     address, took this one too: Linux lets sockets listen side by side, one
//     on all addresses included, only if all have SO_REUSEPORT and are of one
//     user. That is asked by binding such a socket, once for each listener.
//     This is the usual way: one question to the kernel, some 5 µs. A listener
//     is called by its cookie, which is never used again.
//   - Else all sockets are listed that can take connections to the address.
//     The connection is looked up after that. If nobody has accepted it, its
//     listener is open still, was open before, and is in the list: all of the
//     list must be the instance's.
//   - A connection that was accepted has a socket of its own. One of the
//     group's processes must have that open, or all listeners must have been
//     known as the instance's before the dialling began.
//
// Whose a socket is says /proc/<pid>/fd, as it does to the launcher: the
// leader's, then all the group's, workers that were started later included.
// The sockets that listened when the instance became ready come with the
// identity.
//
// # What it does not do
//
//   - Programs of one user are not protected from one another: who can join
//     an app's SO_REUSEPORT group for the microseconds of one connect could
//     as well read the app's memory.
//   - An edge that runs as another user than the instances, and not as root,
//     knows only the sockets that come with the identity. It refuses an app
//     that has opened others since, or more than procgroup.MaxSockets.
//   - An edge in another network or process namespace, on another machine, or
//     after a restart of the machine, refuses: what answers at that address
//     there is not the instance.
//   - Endpoints without an identity are not checked: those of the launcher
//     manual, whose operator answers for them.
//   - Only Linux says whose a socket is. Elsewhere nothing is checked.
//
// Where netlink is forbidden, the same is read from /proc/net/tcp; that takes
// as long as the machine has connections.
package identity
