// Package blobs keeps bundles in a folder: the implementation of
// controlplane.Blobs for one machine, or for several that share a file system.
//
// A blob is the file <first two digits>/<digest> below the folder, digest
// being the SHA-256 of its bytes in lower-case hexadecimal. It appears by a
// rename after its bytes were synced, so that it is there whole or not at all,
// also after a power cut; it is never changed.
//
// What is being written is a file pending-* in the folder itself, locked by
// the process that writes it. [New] removes those that nobody has locked any
// more: what a killed process left behind. A committed blob stays locked, shared
// with others who commit the same bytes, until each of them has decided whether
// it is kept; who drops a blob needs that lock for itself. unkept-<digest> says
// that no record is known to refer to a blob. The file .lock is held for moments,
// while names are given and taken. Several processes may use a folder at the
// same time.
package blobs
