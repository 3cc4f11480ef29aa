package blobs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Several who commit the same bytes share one file: each has a shared lock on
// it until it is decided what becomes of its import. Who drops a blob has an
// exclusive one. The folder's lock is held for as long as it takes to find that
// out and to give a name to a file, or to take it away, never longer.

// place gives the file its name, or takes a share of the one that has it.
func (p *pending) place(digest string) error {
	unlock, err := p.folder.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if p.hold = p.folder.share(digest, p.size); p.hold != nil {
		return os.Remove(p.file.Name())
	}
	// There is none, or a broken one, or one that somebody is about to drop, who
	// leaves alone what has come in its place.
	if err := p.folder.note(digest); err != nil {
		return err
	}
	if err := os.Rename(p.file.Name(), p.folder.path(digest)); err != nil {
		return err
	}
	tryShare(p.file) // from exclusive, and nobody else can get that meanwhile
	return nil
}

// share opens a blob with a shared lock; nil is none that can be had.
func (b *Folder) share(digest string, size int64) *os.File {
	f, err := os.Open(b.path(digest))
	if err != nil {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Size() != size || !tryShare(f) {
		f.Close()
		return nil
	}
	return f
}

// Drop implements controlplane.Blobs. Whoever has the blob open reads on.
func (b *Folder) Drop(ctx context.Context, digest string, used func(context.Context) (bool, error)) error {
	if !validDigest(digest) {
		return nil
	}
	f, err := b.claim(digest)
	if f == nil {
		return err
	}
	defer f.Close()
	isUsed, err := used(ctx)
	if err == nil && isUsed {
		if err := b.Keep(ctx, digest); err != nil {
			return err
		}
		// A record may have gone since, and who deleted it found a note, and this
		// lock: then it is for this call to look again.
		isUsed, err = used(ctx)
	}
	if err != nil || isUsed {
		return err
	}
	return b.remove(digest, f)
}

// claim locks a blob that is to be dropped, unless somebody who lives has it in
// hand, and notes in any case that it is not kept.
func (b *Folder) claim(digest string) (*os.File, error) {
	unlock, err := b.lock()
	if err != nil {
		return nil, broken("delete blob", err)
	}
	defer unlock()
	f, err := os.OpenFile(b.path(digest), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.Keep(context.Background(), digest) // nothing is left to look after
	}
	if err != nil {
		return nil, broken("delete blob", err)
	}
	if err := b.write(b.unkept(digest)); err != nil {
		return nil, broken("delete blob", errors.Join(err, f.Close()))
	}
	if !tryLock(f) {
		return nil, f.Close()
	}
	return f, nil
}

// remove takes the blob away if it is that file still.
func (b *Folder) remove(digest string, claimed *os.File) error {
	unlock, err := b.lock()
	if err != nil {
		return broken("delete blob", err)
	}
	defer unlock()
	mine, err := claimed.Stat()
	if err != nil {
		return broken("delete blob", err)
	}
	if now, err := os.Stat(b.path(digest)); err != nil || !os.SameFile(mine, now) {
		return nil
	}
	for _, name := range []string{b.path(digest), b.unkept(digest)} { // the note last: it finds the blob again
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return broken("delete blob", err)
		}
	}
	return nil
}

// inHand reports whether somebody who lives has committed a blob and not
// decided yet what becomes of it.
func inHand(name string) bool {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false // it never came to be, or is gone
	}
	defer f.Close()
	return !tryLock(f)
}

func (b *Folder) unkept(digest string) string { return filepath.Join(b.dir, unkeptPrefix+digest) }

// note marks a blob that is about to appear as not kept. One that is there
// already stays what it is.
func (b *Folder) note(digest string) error {
	if _, err := os.Lstat(b.path(digest)); err == nil {
		return nil
	}
	return b.write(b.unkept(digest))
}

// write makes an empty file that outlives the machine's end.
func (b *Folder) write(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncFolder(b.dir))
}

// lock waits for the folder's lock.
func (b *Folder) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(b.dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := awaitLock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { f.Close() }, nil
}
