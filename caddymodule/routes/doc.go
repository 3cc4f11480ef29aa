// Package routes owns the live route table of an edge (spec routing.md §8).
//
// [Live] follows the store's feed and keeps a [routing.Table] behind an atomic
// pointer. A reader takes the pointer and nothing else; whatever happens to the
// store, the feed or the disk, the last table stays.
//
// # Changes
//
// What one revision of the store changes becomes visible at once, in one table.
// A record that does not parse, or has more than 64 KiB, is refused, and the
// last good one stays, across lists and restarts; it is logged once for each
// revision of its key.
//
// # Lists
//
// A list is read page by page at one revision and becomes visible as a whole.
// It is a difference, never a new beginning: records that are as before keep
// their *routing.Instance. Lists come at the start, after a compaction, and
// when a heartbeat (every 2 s) finds another cluster or a store that is younger
// than it was; those which all edges make at once wait for 0 to 5 s before. A
// list that takes down more than 20 routes and more than 30 % of all is not
// believed at once: its additions and changes count, its removals are held for
// 2 minutes, until the next list says the same, or until [Live.Acknowledge].
//
// What the watch tells as deleted is deleted at once, however much it is: an
// owner's word is not held. The exception is one revision that deletes more
// than a transaction of etcd can hold (128) and more than 30 % of all. No
// program of ours does that; a range deletion by hand does, and is held too.
//
// Every 5 minutes (± 20 %) the table is compared with a list of the store at
// the table's own revision, while the watch goes on. They should never differ.
// If they do, that is logged, and a list corrects it; so does a watch that is
// silent though the store has newer records.
//
// # Faults of its own
//
// A record that makes its reader panic is refused. If anything else panics in
// the loop that applies changes, or one batch takes it 30 s, that is logged with
// the stack and counted, the age of the table is told by [Status], and a new
// loop begins with a list, after 0.1 s and at most a minute where it happens
// again and again. One that stands still is left behind, and can change nothing
// any more. Readiness does not fall: all edges would be out of service at once,
// over one record.
//
// # On disk
//
// The table is saved at most every 10 s, at most a fiftieth of the time, and at
// the end, to a folder of [snapshot]. A pure edge whose store does not answer in
// its first second serves from there; if the store answers, it is waited for 4 s
// longer. Otherwise a snapshot only lends the last good record of what is
// refused. The edge of a process with a control plane has none: its routes may
// name ports that are strangers' by now.
package routes
