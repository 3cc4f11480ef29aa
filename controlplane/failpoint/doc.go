// Package failpoint lets a test kill or stop a real process at a named place in
// its work. A program has the places only when it is built with the tag
// failpoints; without it, [Here] is nothing at all.
//
// With it, and with SLIPWAY_FAILPOINTS naming a folder, a place looks for a file
// of its name there. The file is taken away by the first process that comes to
// the place, which leaves one named "<place>.hit" that holds its process number,
// and then does what the file said:
//
//	kill   ends the process, as kill -9 does
//	stop   stops it, as SIGSTOP does, until somebody continues it
package failpoint
