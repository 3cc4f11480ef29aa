package controlplane

import (
	"context"
	"io"
)

// Blobs keeps bundles, and their icons, by the SHA-256 of their bytes. Bundles are never in the
// store: they may be a thousand times larger than what etcd takes.
type Blobs interface {
	// Create starts a new blob. Nothing is visible before Commit.
	Create(ctx context.Context) (PendingBlob, error)
	// Open opens a blob by its digest, 64 lower-case hexadecimal digits. The
	// error is CodeNotFound where there is none.
	Open(ctx context.Context, digest string) (Blob, error)
	// Drop removes a blob unless used says that a record refers to it, or another
	// import of the same bytes, of whatever control plane, is between Commit and
	// Discard. What stays without a record that is known to refer to it is among
	// the Unkept. A blob that is gone is no error.
	Drop(ctx context.Context, digest string, used func(context.Context) (bool, error)) error
	// Keep notes that a record refers to a committed blob. Unkept lists those
	// of which that has never been noted: an import was killed between blob
	// and record, or between record and note. Those that a living process of
	// whatever control plane is importing are not among them.
	Keep(ctx context.Context, digest string) error
	Unkept(ctx context.Context) (digests []string, err error)
}

// Blob is an open blob. ReadAt may be called from several goroutines.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// PendingBlob is a blob that is being written. It can be read while pending,
// so that a bundle is checked before it is kept.
type PendingBlob interface {
	io.Writer
	io.ReaderAt
	// Size is the number of bytes written.
	Size() int64
	// Commit makes it a blob, not kept yet, and returns its digest.
	// Committing bytes that exist already is no error. No Drop takes them away
	// before Discard.
	Commit() (digest string, err error)
	// Discard ends it, and removes what was written unless it was committed. It
	// is due in the end whatever happened, once the record is written or will not
	// be: until then a blob is not Unkept.
	Discard() error
}
