// Package hand is what a control plane lets act for it on a data folder that
// it shares with others: a short-lived process that does one thing, and only
// while its control plane still leads there. It needs Linux.
//
// Who leads is in the folder's file epoch. A hand holds the folder's lock from
// reading that file to the end of its act: shared for most acts, exclusively
// to make somebody else the leader. A control plane holds no lock itself, so
// that one which is stopped (SIGSTOP, a frozen container) is in nobody's way,
// and whatever it still wants when it goes on, a hand refuses to do.
//
// A hand that starts a program becomes it: the lock goes with the execution.
// Once a new leader has the lock, every program that an earlier one could start
// is there to be seen, and no other comes.
//
// A hand is this very program, called with [Arg]. It is served from the init
// function of this package and never returns: other packages of a large program
// take 50 ms and more to initialise, and do not begin to. For that this package
// and confine import little. GODEBUG=inittrace=1 shows the order.
package hand

// Arg is the first argument of every hand. The second is the folder.
const Arg = "process-hand"
