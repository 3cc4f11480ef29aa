// Package failpoint lets a test hold a real process at a named place in its work,
// for as long as the test does something to that process or to another one. A
// program has the places only when it is built with the tag failpoints; without
// it, [Here] is nothing at all.
//
// With it, and with SLIPWAY_FAILPOINTS naming a folder, a place looks for a file
// of its name there, which holds the name of another one. The first that comes to
// the place takes the file away, and leaves one named "<place>.hit" with the
// number of its process. Then it waits there until there is no file of that other
// name in the folder. The rest of the process goes on.
package failpoint
