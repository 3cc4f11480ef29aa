package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// ValidateFolder checks what [Pack] would write of dir: its paths, links and
// limits, the manifest and the lists, and then the pictures and the long
// description as an import does ([Bundle.Show]). It returns the manifest and
// warnings.
func ValidateFolder(ctx context.Context, dir string, o Options) (controlplane.Manifest, []controlplane.Fault, error) {
	x, err := openFolder(dir, PackOptions{Options: o})
	if err != nil {
		return controlplane.Manifest{}, nil, err
	}
	defer x.root.Close()
	if err := x.validate(ctx); err != nil {
		return x.bundle.Manifest, x.f.warnings, err
	}
	x.bundle.unpacked = x.readFile
	unusable, err := x.bundle.Show(ctx, func(controlplane.Part) error { return nil })
	return x.bundle.Manifest, append(x.f.warnings, unusable...), err
}

// folder is a folder seen as the bundle that it would be.
type folder struct {
	root    *os.Root
	o       PackOptions
	f       faults
	ignored gitignore.Matcher
	paths   *tree
	files   []folderFile // in the order of the walk
	skipped int          // files and folders left out
	size    int64
	bundle  Bundle // what the checks found
}

type folderFile struct {
	name   string
	size   int64
	exec   bool
	folder bool // an empty one: others need no entry
}

func openFolder(dir string, o PackOptions) (*folder, error) {
	o.Options = o.withDefaults()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &controlplane.Error{Code: controlplane.CodeNotFound, What: "read folder " + dir, Cause: err}
	}
	return &folder{root: root, o: o}, nil
}

// validate walks the folder and applies the rules.
func (x *folder) validate(ctx context.Context) (err error) {
	if x.ignored, err = x.ignore(); err != nil {
		return err
	}
	x.paths = newTree(x.o.Limits.Entries)
	if _, err := x.walk(ctx, "."); err != nil {
		return err
	}
	x.dropArchives()
	slices.SortFunc(x.files, func(a, b folderFile) int { return strings.Compare(a.name, b.name) })
	c := contents{read: x.read, files: map[string]bool{}, folders: map[string]bool{}}
	for _, e := range x.files {
		c.add(e.name, e.folder, e.exec)
		if x.size += e.size; x.size > x.o.Limits.Unpacked {
			x.f.add(controlplane.Fault{Code: CodeTooLarge, Where: e.name, Message: fmt.Sprintf("the folder has more than %d bytes", x.o.Limits.Unpacked), Hint: "name what the app does not need in .appignore"})
			break
		}
	}
	return c.check(x.o.Options, &x.f, &x.bundle)
}

// walk adds what is below dir and reports whether dir is empty. One that only
// has what is left out is not, and gets no entry.
func (x *folder) walk(ctx context.Context, dir string) (empty bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	list, err := fs.ReadDir(x.root.FS(), dir)
	if err != nil {
		x.unreadable(dir, err)
		return false, nil
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if x.leaveOut(name, d.IsDir()) {
			x.skipped++
			continue
		}
		if text := checkPath(name); text != "" {
			x.f.add(controlplane.Fault{Code: CodeEntryPath, Where: strings.ToValidUTF8(name, "\ufffd"), Message: text, Hint: "rename it, or name it in .appignore"})
			continue
		}
		e := folderFile{name: name, folder: d.IsDir()}
		if d.IsDir() {
			if empty, err := x.walk(ctx, name); err != nil {
				return false, err
			} else if !empty {
				continue
			}
		} else if !x.stat(&e) {
			continue
		}
		if fault := x.paths.add(name, e.folder); fault != nil {
			x.f.add(controlplane.Fault{Code: fault.code, Where: name, Message: fault.text})
			if fault.code != CodeDuplicate {
				return false, x.f.err()
			}
			continue
		}
		x.files = append(x.files, e)
	}
	return len(list) == 0, nil
}

// stat fills in size and mode of a file, or adds the fault why it cannot be
// packed. A link is followed within the folder, to a file only.
func (x *folder) stat(e *folderFile) bool {
	info, err := x.root.Lstat(e.name)
	link := err == nil && info.Mode()&fs.ModeSymlink != 0
	if link {
		info, err = x.root.Stat(e.name)
	}
	fault := controlplane.Fault{Code: CodeSymlink, Where: e.name, Hint: "name it in .appignore, or put a copy in its place"}
	switch {
	case err != nil && link:
		fault.Message = "a symbolic link that leaves the folder, or leads nowhere"
	case err != nil:
		x.unreadable(e.name, err)
		return false
	case link && info.IsDir():
		fault.Message = "a symbolic link to a folder"
	case !info.Mode().IsRegular():
		fault.Code, fault.Message = CodeSpecialFile, "neither a file nor a folder"
	default:
		e.size, e.exec = info.Size(), info.Mode()&unixExec != 0
		return x.readable(e)
	}
	x.f.add(fault)
	return false
}

// readable opens a file as Pack will: what may not be read is told with all
// else, before anything is written. The manifest's size may be another then.
func (x *folder) readable(e *folderFile) bool {
	file, err := x.root.Open(e.name)
	if err != nil {
		x.unreadable(e.name, err)
		return false
	}
	file.Close()
	if x.o.Suffix != "" && (e.name == manifestName || e.name == oldManifestName) {
		if data, err := x.read(e.name, maxManifest); err == nil {
			e.size = int64(len(data))
		}
	}
	return true
}

func (x *folder) unreadable(name string, err error) {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is said already
	}
	x.f.add(controlplane.Fault{
		Code: CodeUnreadable, Where: name, Message: "cannot be read: " + err.Error(),
		Hint: "let it be read with chmod, or name it in .appignore",
	})
}

// dropArchives leaves out *.zip at the root that an earlier pack wrote: those
// that begin with the app's name.
func (x *folder) dropArchives() {
	data, err := x.read(manifestName, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = x.read(oldManifestName, maxManifest)
	}
	if err != nil {
		return // which the checks report
	}
	doc := parseDocument("", data, &faults{})
	if doc == nil {
		return
	}
	name := doc.root.get("App").get("Name")
	if name == nil || name.text == "" {
		return
	}
	x.files = slices.DeleteFunc(x.files, func(e folderFile) bool {
		rest, ok := strings.CutPrefix(e.name, name.text)
		own := ok && !e.folder && !strings.Contains(rest, "/") && strings.HasSuffix(rest, ".zip") && strings.ContainsAny(rest[:1], ".-")
		if own {
			x.skipped++
		}
		return own
	})
}

// readFile is the content of a file that is to be packed, and nothing else.
func (x *folder) readFile(name string, limit int64) ([]byte, error) {
	i, found := slices.BinarySearchFunc(x.files, name, func(e folderFile, s string) int { return strings.Compare(e.name, s) })
	switch {
	case !found || x.files[i].folder:
		return nil, noFile(name)
	case x.files[i].size > limit:
		return nil, overLimit(name, uint64(x.files[i].size), limit)
	}
	return x.read(name, limit)
}

// read is the content of a file of up to limit bytes, of the manifest as it is
// to be packed.
func (x *folder) read(name string, limit int64) ([]byte, error) {
	file, err := x.root.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &controlplane.Error{Code: controlplane.CodeNotFound, What: "no file " + name, Cause: err}
		}
		return nil, broken("read "+name, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, broken("read "+name, err)
	case int64(len(data)) > limit:
		return nil, controlplane.Errorf(controlplane.CodeTooLarge, "has more than %d bytes", limit)
	}
	if name == manifestName || name == oldManifestName {
		data = withSuffix(data, x.o.Suffix)
	}
	return data, nil
}
