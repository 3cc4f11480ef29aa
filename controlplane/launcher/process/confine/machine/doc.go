// Package machine is what instances get of the machine that they run on, as
// package confine puts them there: control groups of either version
// ([NewCgroup]), and users ([Users]). [CanEnter] and [CanExecute] ask the kernel
// what a user may reach, and [Probe] finds what of all this is permitted here,
// by trying it. It needs Linux.
package machine

// The users that instances get where the operator names no others: a range
// that distributions leave to subordinate users, above those of accounts.
const (
	FirstUser = 200000
	LastUser  = 265535
)
