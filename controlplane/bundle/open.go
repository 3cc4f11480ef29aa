package bundle

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const (
	manifestName    = "app.toml"
	oldManifestName = "q-app.toml"
	ignoreName      = ".appignore"
	macFolder       = "__MACOSX"

	maxManifest     = 256 << 10
	maxPackages     = 256 << 10
	maxRequirements = 4 << 20
)

// MaxReadFile is the largest file that ReadFile returns, 16 MiB.
const MaxReadFile = 16 << 20

// Bundle is an archive that passed every check. Its paths are relative to the
// folder that app.toml is in. It reads from what Open was given, and may be
// used from several goroutines as long as that may.
type Bundle struct {
	Manifest        controlplane.Manifest
	Warnings        []controlplane.Fault
	ManifestFile    string // "app.toml" or "q-app.toml"
	Files           int    // without folders and __MACOSX
	UnpackedSize    int64  // bytes of all entries
	HasRequirements bool   // requirements.txt asks for something
	HasPackages     bool   // packages.txt asks for something
	Icon            string // path of static/icon*, PNG or JPEG; may be empty
	Screenshots     []string

	r       io.ReaderAt
	entries []entry // by path
	prefix  string  // the wrapping folder with its slash, or ""

	// unpacked reads a file of a folder that is no archive yet; nil for an
	// archive.
	unpacked func(name string, limit int64) ([]byte, error)
}

// Open checks the archive of that size in r: the whole of it, every entry's
// bytes included, then app.toml, requirements.txt and packages.txt.
func Open(r io.ReaderAt, size int64, o Options) (*Bundle, error) {
	o = o.withDefaults()
	if size > o.Limits.Upload {
		return nil, tooLarge(size, o.Limits.Upload)
	}
	f := &faults{}
	b, err := openStructure(r, size, o.Limits, f)
	if err != nil {
		return nil, err
	}
	if b.UnpackedSize, err = checkContents(r, size, b.entries, o.Limits); err != nil {
		return nil, err
	}
	b.unwrap()
	c := contents{read: b.read, files: map[string]bool{}, folders: map[string]bool{}}
	for i := range b.entries {
		e := &b.entries[i]
		c.add(strings.TrimPrefix(e.path(), b.prefix), e.folder(), e.exec)
	}
	b.Files = len(c.files)
	if err := c.check(o, f, b); err != nil {
		return nil, err
	}
	return b, nil
}

// Reopen opens an archive that an installation has let in, maybe by other
// settings than it has now: limits and the rules of app.toml are not asked again.
// What could harm whoever reads it is refused all the same, the bytes of an entry
// once they are read. The Bundle is for Unpack, ReadFile and Meta; it has no
// Manifest and no figures.
func Reopen(r io.ReaderAt, size int64) (*Bundle, error) {
	f := &faults{}
	b, err := openStructure(r, size, Limits{Entries: math.MaxInt}, f)
	if err != nil {
		return nil, err
	}
	b.unwrap()
	for _, b.ManifestFile = range []string{manifestName, oldManifestName} {
		if b.find(b.prefix+b.ManifestFile) != nil {
			return b, nil
		}
	}
	f.add(controlplane.Fault{Code: CodeNoManifest, Message: "no app.toml at the root"})
	return nil, f.err()
}

// openStructure reads what the archive says of its entries.
func openStructure(r io.ReaderAt, size int64, limits Limits, f *faults) (*Bundle, error) {
	d, err := findDirectory(r, size)
	if err != nil {
		return nil, err
	}
	entries, err := readDirectory(r, d, limits, f)
	if err != nil {
		return nil, err
	}
	if err := readLocal(r, entries, d.offset, f); err != nil {
		return nil, err
	}
	return &Bundle{r: r, entries: entries}, nil
}

// unwrap drops __MACOSX, finds the one folder that wraps everything, if there
// is one with a manifest, and sorts by path.
func (b *Bundle) unwrap() {
	b.entries = slices.DeleteFunc(b.entries, func(e entry) bool {
		return e.path() == macFolder || strings.HasPrefix(e.name, macFolder+"/")
	})
	slices.SortFunc(b.entries, func(x, y entry) int { return strings.Compare(x.path(), y.path()) })
	if len(b.entries) == 0 {
		return
	}
	top, _, _ := strings.Cut(b.entries[0].name, "/")
	for i := range b.entries {
		if !strings.HasPrefix(b.entries[i].name, top+"/") {
			return
		}
	}
	if b.find(top+"/"+manifestName) == nil && b.find(top+"/"+oldManifestName) == nil {
		return
	}
	b.prefix = top + "/"
	if b.entries[0].name == b.prefix {
		b.entries = b.entries[1:]
	}
}

// find is the file of that path in the archive, or nil.
func (b *Bundle) find(name string) *entry {
	i, ok := slices.BinarySearchFunc(b.entries, name, func(e entry, s string) int { return strings.Compare(e.path(), s) })
	if !ok || b.entries[i].folder() {
		return nil
	}
	return &b.entries[i]
}

// ReadFile is the content of one file, by its path below the manifest's
// folder. The error is CodeNotFound where there is none, and CodeTooLarge over
// MaxReadFile.
func (b *Bundle) ReadFile(name string) ([]byte, error) {
	return b.read(name, MaxReadFile)
}

func (b *Bundle) read(name string, limit int64) ([]byte, error) {
	if b.unpacked != nil {
		return b.unpacked(name, limit)
	}
	e := b.find(b.prefix + name)
	if e == nil {
		return nil, noFile(name)
	}
	if e.size > uint64(limit) {
		return nil, overLimit(name, e.size, limit)
	}
	var buf bytes.Buffer
	buf.Grow(int(e.size))
	if err := newInflater(b.r).copy(context.Background(), &buf, e); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func noFile(name string) error {
	return &controlplane.Error{Code: controlplane.CodeNotFound, What: "no file " + name + " in the bundle", Cause: fs.ErrNotExist}
}

func overLimit(name string, size uint64, limit int64) error {
	return controlplane.Errorf(controlplane.CodeTooLarge, "%s has %d bytes, the limit is %d", name, size, limit)
}

// contents is what the rules need to know of a bundle, packed or not.
type contents struct {
	read    func(name string, limit int64) ([]byte, error)
	files   map[string]bool // path to whether it is executable
	folders map[string]bool // written or implied
}

func (c *contents) add(name string, folder, exec bool) {
	if folder {
		c.folders[name] = true
	} else {
		c.files[name] = exec
	}
	for dir := path.Dir(name); dir != "." && !c.folders[dir]; dir = path.Dir(dir) {
		c.folders[dir] = true
	}
}

func (c *contents) has(name string) bool { _, ok := c.files[name]; return ok }

// check applies the rules of the manifest and of the two lists, and fills b.
func (c *contents) check(o Options, f *faults, b *Bundle) error {
	name := manifestName
	switch {
	case !c.has(manifestName) && !c.has(oldManifestName):
		f.add(c.noManifest())
		return f.err()
	case !c.has(manifestName):
		name = oldManifestName
	case c.has(oldManifestName):
		f.warn(controlplane.Fault{Code: WarnTwoManifests, Where: oldManifestName, Message: "not read, since there is app.toml too"})
	}
	b.ManifestFile = name
	data, err := c.load(name, maxManifest, CodeManifest, f)
	if err != nil {
		return err
	}
	if data != nil {
		m := newManifestReader(name, o, f)
		m.read(data)
		m.checkContents(c)
		b.Manifest = m.m
	}
	if data, err = c.load("requirements.txt", maxRequirements, CodeRequirements, f); err != nil {
		return err
	}
	b.HasRequirements = checkRequirements(data, c.has, f)
	b.Manifest.NoWave = b.Manifest.Runtime.AppMode == controlplane.Wave && b.Manifest.Lifecycle != controlplane.Link && !namesWave(data)
	if data, err = c.load("packages.txt", maxPackages, CodePackages, f); err != nil {
		return err
	}
	b.HasPackages = checkPackages(data, f)
	b.Icon, b.Screenshots = c.pictures(f)
	b.Warnings = f.warnings
	return f.err()
}

// load reads one of the files that have rules; one that is not there is nil,
// and one too large a fault.
func (c *contents) load(name string, limit int64, code string, f *faults) ([]byte, error) {
	if !c.has(name) {
		return nil, nil
	}
	data, err := c.read(name, limit)
	if controlplane.CodeOf(err) == controlplane.CodeTooLarge {
		f.add(controlplane.Fault{Code: code, Where: name, Message: err.Error()})
		return nil, nil
	}
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}

func (c *contents) noManifest() controlplane.Fault {
	least := ""
	for name := range c.files {
		base := foldCase(path.Base(name))
		if (base == manifestName || base == oldManifestName) && (least == "" || len(name) < len(least) || len(name) == len(least) && name < least) {
			least = name
		}
	}
	hint := "put app.toml at the root of the bundle"
	switch {
	case least == "":
	case strings.Contains(least, "/"):
		hint = "there is " + least + ": pack the folder that it is in"
	default:
		hint = "rename " + least + " to " + foldCase(least)
	}
	return controlplane.Fault{Code: CodeNoManifest, Message: "no app.toml at the root", Hint: hint}
}
