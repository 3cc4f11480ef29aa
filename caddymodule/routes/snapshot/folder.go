package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-dbc68772/slipway/routing"
)

// The names in a folder, the newest first.
const (
	newestName = "routes.snap"
	beforeName = "routes.snap.1"
	partName   = "routes.snap.part" // being written
)

// Folder keeps the last two snapshots of one edge. It is for one goroutine.
type Folder struct {
	dir  string
	good bool // the newest is whole, and worth to be kept as the one before
}

// NewFolder makes nothing: Save creates the folder (mode 0700).
func NewFolder(dir string) *Folder { return &Folder{dir: dir} }

// Load reads the newest snapshot that is whole and of the prefix. The table is
// nil where there is none; the error then says what is wrong with those that
// are there, and is nil if none is. With a table, the error says why a newer
// one was passed over.
func (f *Folder) Load(prefix string) (h Header, table *routing.Table, err error) {
	var errs []error
	for _, name := range []string{newestName, beforeName} {
		h, table, err := f.read(name, prefix)
		switch {
		case err == nil:
			f.good = name == newestName
			return h, table, errors.Join(errs...)
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, err)
		}
	}
	return Header{}, nil, errors.Join(errs...)
}

func (f *Folder) read(name, prefix string) (Header, *routing.Table, error) {
	path := filepath.Join(f.dir, name)
	file, err := os.Open(path)
	if err != nil {
		return Header{}, nil, err
	}
	defer file.Close()
	h, table, err := Read(file)
	if err == nil && h.Prefix != prefix {
		err = fmt.Errorf("it is of the prefix %q", h.Prefix)
	}
	if err != nil {
		return Header{}, nil, fmt.Errorf("load %s: %w", path, err)
	}
	return h, table, nil
}

// Save makes the table the newest snapshot. If it fails, those that are there
// stay.
func (f *Folder) Save(h Header, table *routing.Table) error {
	if err := f.save(h, table); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}

func (f *Folder) save(h Header, table *routing.Table) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	part, newest := filepath.Join(f.dir, partName), filepath.Join(f.dir, newestName)
	if err := writeFile(part, h, table); err != nil {
		_ = os.Remove(part) // a full disk needs the room
		return err
	}
	// A newest that could not be read must not push out the one before it.
	if f.good {
		if err := os.Rename(newest, filepath.Join(f.dir, beforeName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(part, newest); err != nil {
		return err
	}
	f.good = true
	return syncDir(f.dir)
}

func writeFile(path string, h Header, table *routing.Table) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = Write(file, h, table)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
