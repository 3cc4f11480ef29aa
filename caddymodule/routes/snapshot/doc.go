// Package snapshot keeps a route table on disk, for an edge that starts while
// its store is away (spec routing.md §8).
//
// # Format
//
// A file is a header, records, and an end:
//
//	magic     8 bytes "SLWROUTE"
//	version   1 byte, 4 (before 3, an edge could not have told who may open what)
//	cluster   uvarint: the ID of etcd's cluster
//	revision  uvarint: of the table
//	instances uvarint: how many
//	aliases   uvarint: how many
//	policies  uvarint: how many
//	records   uvarint: how many others
//	prefix    string: of all keys in the store
//
//	instance  byte 1, ID (16 bytes), mode, status, visibility, wake policy
//	          (1 byte each), generation (varint), strings app, endpoint, its
//	          identity, primary alias, owner
//	alias     byte 2, assigned (1 byte, 0 or 1), ID of its instance (16 bytes),
//	          string name
//
//	policy    byte 3, managed, visibility, identity (1 byte each), strings app,
//	          owner, title, icon, visitor roles (uvarint how many, then strings)
//	record    byte 4, epoch (varint), strings name, value
//
//	end       byte 0, then the CRC-32C of all before it, 4 bytes big endian;
//	          nothing follows
//
// A string is its length (uvarint, at most 64 KiB) and its bytes. A reader
// takes nothing from a file that is not whole and right in every part, and
// never more memory than a small multiple of the file's size.
//
// # Generations
//
// A [Folder] holds two: routes.snap and, the one before, routes.snap.1. A new
// one is written beside them, synced, and comes into place by rename, so that
// a crash at any point leaves a whole one. The folder belongs to one edge.
package snapshot
