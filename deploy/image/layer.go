package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// File is an entry of a layer: one of Source, Data, Link and Dir says what.
type File struct {
	// Path in the image, absolute and clean.
	Path string
	// Permissions. Default: 0644, 0755 of folders. A folder's may have
	// [fs.ModeSticky].
	Mode fs.FileMode
	// A file of this machine, whose contents it has.
	Source string
	// The contents themselves.
	Data []byte
	// What a symbolic link leads to.
	Link string
	// Whether it is a folder.
	Dir bool
	// Who owns it.
	UID, GID int
}

// layer makes a layer of files. The contents are read twice: for the digests,
// and when the layer is written.
func layer(files []File) (v1.Layer, error) {
	all, err := complete(files)
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(write(w, all)) }() // ends when r is read or closed
		return r, nil
	}, tarball.WithMediaType(types.OCILayer))
}

// complete checks files, adds the folders above them, and puts all in order.
func complete(files []File) ([]File, error) {
	byPath := map[string]File{}
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return nil, fmt.Errorf("add %q: its path is not absolute and clean, as /usr/bin/slipway", f.Path)
		}
		if _, twice := byPath[f.Path]; twice {
			return nil, fmt.Errorf("add %s: it is there already", f.Path)
		}
		byPath[f.Path] = f
	}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			if above, there := byPath[dir]; there && !above.Dir {
				return nil, fmt.Errorf("add %s: %s is not a folder", f.Path, dir)
			}
			if _, there := byPath[dir]; !there {
				byPath[dir] = File{Path: dir, Dir: true}
			}
		}
	}
	all := slices.Collect(maps.Values(byPath))
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

func write(w io.Writer, files []File) error {
	t := tar.NewWriter(w)
	for _, f := range files {
		if err := writeFile(t, f); err != nil {
			return fmt.Errorf("add %s: %w", f.Path, err)
		}
	}
	return t.Close()
}

func writeFile(t *tar.Writer, f File) error {
	h := &tar.Header{
		Name: strings.TrimPrefix(f.Path, "/"), Mode: int64(f.Mode.Perm()), ModTime: epoch, Uid: f.UID, Gid: f.GID, Format: tar.FormatPAX,
	}
	if f.Mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	var contents io.Reader
	switch {
	case f.Dir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		if f.Mode == 0 {
			h.Mode = 0o755
		}
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
	case f.Source != "":
		source, err := os.Open(f.Source)
		if err != nil {
			return err
		}
		defer source.Close()
		info, err := source.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", f.Source)
		}
		h.Typeflag, h.Size, contents = tar.TypeReg, info.Size(), source
	default:
		h.Typeflag, h.Size, contents = tar.TypeReg, int64(len(f.Data)), strings.NewReader(string(f.Data))
	}
	if h.Typeflag == tar.TypeReg && f.Mode == 0 {
		h.Mode = 0o644
	}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if contents == nil {
		return nil
	}
	_, err := io.Copy(t, contents)
	return err
}
