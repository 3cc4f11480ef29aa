package blobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const (
	pendingPrefix = "pending-"
	// unkeptPrefix and a digest name an empty file: the blob is not kept yet.
	unkeptPrefix = "unkept-"
	// lockFile is locked while it is decided which file a digest names.
	lockFile = ".lock"
)

// Folder is a controlplane.Blobs in a folder. Its methods may be called from
// several goroutines.
type Folder struct{ dir string }

var _ controlplane.Blobs = (*Folder)(nil)

// New opens the folder dir, making it with mode 0700 if need be, and removes
// what writers that have ended left there.
func New(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make blob folder: %w", err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list blob folder: %w", err)
	}
	for _, d := range list {
		if !strings.HasPrefix(d.Name(), pendingPrefix) {
			continue
		}
		if err := removeDead(filepath.Join(dir, d.Name())); err != nil {
			return nil, fmt.Errorf("remove unfinished blob: %w", err)
		}
	}
	b := &Folder{dir: dir}
	if err := b.write(filepath.Join(dir, lockFile)); err != nil {
		return nil, fmt.Errorf("make lock of blob folder: %w", err)
	}
	return b, nil
}

// removeDead removes a pending file unless its writer lives.
func removeDead(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if !tryLock(f) {
		return nil
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (b *Folder) path(digest string) string { return filepath.Join(b.dir, digest[:2], digest) }

// validDigest keeps anything but a digest from becoming a path.
func validDigest(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Open implements controlplane.Blobs.
func (b *Folder) Open(_ context.Context, digest string) (controlplane.Blob, error) {
	if !validDigest(digest) {
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "no blob %.80q", digest)
	}
	f, err := os.Open(b.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &controlplane.Error{Code: controlplane.CodeNotFound, What: "no blob " + digest, Cause: err}
	}
	if err != nil {
		return nil, broken("open blob", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, broken("open blob", err)
	}
	return &blob{File: f, size: info.Size()}, nil
}

// Keep implements controlplane.Blobs.
func (b *Folder) Keep(_ context.Context, digest string) error {
	if !validDigest(digest) {
		return nil
	}
	if err := os.Remove(b.unkept(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return broken("keep blob", err)
	}
	return nil
}

// Unkept implements controlplane.Blobs.
func (b *Folder) Unkept(context.Context) (digests []string, err error) {
	list, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, broken("list blobs", err)
	}
	for _, d := range list {
		digest, found := strings.CutPrefix(d.Name(), unkeptPrefix)
		if found && validDigest(digest) && !inHand(b.path(digest)) {
			digests = append(digests, digest)
		}
	}
	return digests, nil
}

type blob struct {
	*os.File
	size int64
}

func (b *blob) Size() int64 { return b.size }

// Create implements controlplane.Blobs.
func (b *Folder) Create(ctx context.Context) (controlplane.PendingBlob, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("create blob: %w", err)
		}
		f, err := os.CreateTemp(b.dir, pendingPrefix+"*")
		if err != nil {
			return nil, broken("create blob", err)
		}
		// Another process may have taken the file for a dead writer's before
		// it was locked.
		if tryLock(f) {
			if _, err := os.Lstat(f.Name()); err == nil {
				return &pending{folder: b, file: f, sum: sha256.New()}, nil
			}
		}
		f.Close()
	}
}

// pending is a controlplane.PendingBlob. Write, Commit and Discard are for one
// goroutine at a time; ReadAt and Size for any.
type pending struct {
	folder *Folder
	file   *os.File
	sum    hash.Hash

	mu   sync.Mutex
	size int64
	err  error    // why it cannot be committed: a failed write, or its end
	hold *os.File // once committed, the blob, which nobody drops before Discard
	done bool
}

var errDone = errors.New("it was committed or discarded")

func (p *pending) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, broken("write blob", p.err)
	}
	n, err := p.file.Write(b)
	p.sum.Write(b[:n])
	p.size += int64(n)
	if err != nil {
		p.err = err
		return n, broken("write blob", err)
	}
	return n, nil
}

func (p *pending) ReadAt(b []byte, off int64) (int, error) {
	return p.file.ReadAt(b, off)
}

func (p *pending) Size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// Commit syncs the bytes, then renames the file to its digest, unless the same
// bytes are there already, and syncs the folders. After an error Discard is
// still due.
func (p *pending) Commit() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return "", broken("commit blob", p.err)
	}
	if err := p.file.Sync(); err != nil {
		p.err = err // what the failed sync dropped, a second would not miss
		return "", broken("commit blob", err)
	}
	digest := hex.EncodeToString(p.sum.Sum(nil))
	name := p.folder.path(digest)
	if err := os.Mkdir(filepath.Dir(name), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", broken("commit blob", err)
	}
	if err := p.place(digest); err != nil {
		return "", broken("commit blob", err)
	}
	p.done, p.err = true, errDone
	// The blob stays open, and so locked, until Discard.
	if err := errors.Join(syncFolder(filepath.Dir(name)), syncFolder(p.folder.dir)); err != nil {
		return "", broken("commit blob", err)
	}
	return digest, nil
}

func (p *pending) Discard() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		_ = p.file.Close() // it was synced; a second time it is closed already
		if p.hold != nil {
			_ = p.hold.Close()
		}
		return nil
	}
	p.done, p.err = true, errDone
	err := os.Remove(p.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, p.file.Close()); err != nil {
		return broken("discard blob", err)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func broken(what string, cause error) *controlplane.Error {
	if errors.Is(cause, syscall.ENOSPC) || errors.Is(cause, syscall.EDQUOT) {
		full := controlplane.Errorf(controlplane.CodeDiskFull, "there is no room for bundles on the server's disk")
		full.Cause = fmt.Errorf("%s: %w", what, cause)
		return full.WithHint("ask an admin to make room in the folder of the setting blobs, and send it again: nothing was kept")
	}
	return &controlplane.Error{Code: controlplane.CodeInternal, What: what, Cause: cause}
}
