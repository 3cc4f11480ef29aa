// Package pair keeps two processes together as one: the server and the app of a
// Wave instance (spec apps.md §4). It needs Linux.
//
// The keeper is this very program, called with [Arg]. It leads the session of
// the instance, so that the launcher starts, adopts, signals and buries it as
// any other workload, and the two are its children: each leads a process group,
// writes to the instance's log by itself and has the keeper's environment.
//
//   - Either one's end is the keeper's, with a code that says whose
//     ([ServerEnded]). The launcher ends what is left.
//   - SIGTERM goes to the app first, and to the server once the app has ended:
//     an app takes its leave of the server.
//
// It is served from the init function and never returns, as in package hand:
// other packages of a large program take time and memory that no instance needs.
// For that this package imports little.
package pair
