package bundle

import (
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

// maxIgnore is the largest .appignore that is read.
const maxIgnore = 256 << 10

// ValidateFolder checks what [Pack] would write of dir: its paths, links and
// limits, the manifest and the lists. It returns the manifest and warnings.
func ValidateFolder(dir string, o Options) (controlplane.Manifest, []controlplane.Fault, error) {
	x, err := openFolder(dir, o.withDefaults())
	if err != nil {
		return controlplane.Manifest{}, nil, err
	}
	defer x.root.Close()
	err = x.validate()
	return x.bundle.Manifest, x.f.warnings, err
}

// folder is a folder seen as the bundle that it would be.
type folder struct {
	root    *os.Root
	o       Options
	f       faults
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

func openFolder(dir string, o Options) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, &controlplane.Error{Code: controlplane.CodeNotFound, What: "read folder " + dir, Cause: err}
	}
	return &folder{root: root, o: o}, nil
}

// validate walks the folder and applies the rules.
func (x *folder) validate() error {
	ignore, err := x.ignore()
	if err != nil {
		return err
	}
	paths := newTree(x.o.Limits.Entries)
	if _, err := x.walk(".", ignore, paths); err != nil {
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
	return c.check(x.o, &x.f, &x.bundle)
}

// ignore reads .appignore.
func (x *folder) ignore() (gitignore.Matcher, error) {
	data, err := x.read(ignoreName, maxIgnore)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return gitignore.NewMatcher(ignorePatterns(string(data))), nil
}

func ignorePatterns(data string) []gitignore.Pattern {
	var out []gitignore.Pattern
	for line := range strings.Lines(strings.TrimPrefix(data, "\ufeff")) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) != "" && line[0] != '#' {
			out = append(out, gitignore.ParsePattern(line, nil))
		}
	}
	return out
}

// walk adds what is below dir and reports whether dir is empty. One that only
// has what is left out is not, and gets no entry.
func (x *folder) walk(dir string, ignore gitignore.Matcher, paths *tree) (empty bool, err error) {
	list, err := fs.ReadDir(x.root.FS(), dir)
	if err != nil {
		return false, broken("read folder", err)
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if x.leaveOut(name, d.IsDir(), ignore) {
			x.skipped++
			continue
		}
		if text := checkPath(name); text != "" {
			x.f.add(controlplane.Fault{Code: CodeEntryPath, Where: strings.ToValidUTF8(name, "\ufffd"), Message: text, Hint: "rename it, or name it in .appignore"})
			continue
		}
		e := folderFile{name: name, folder: d.IsDir()}
		if d.IsDir() {
			if empty, err := x.walk(name, ignore, paths); err != nil {
				return false, err
			} else if !empty {
				continue
			}
		} else if !x.stat(&e) {
			continue
		}
		if fault := paths.add(name, e.folder); fault != nil {
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

// leaveOut reports what is never packed, and what .appignore names. The
// manifest is always packed.
func (x *folder) leaveOut(name string, dir bool, ignore gitignore.Matcher) bool {
	switch base := path.Base(name); {
	case name == manifestName || name == oldManifestName:
		return false
	case base == ".git" || base == ".slipway", name == macFolder:
		return true
	case name == base && !dir && (strings.HasSuffix(base, ".wave") || strings.HasSuffix(base, ".qz")):
		return true
	}
	return ignore.Match(strings.Split(name, "/"), dir)
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
		fault.Code, fault.Message, fault.Hint = CodeUnreadable, "cannot be read: "+err.Error(), ""
	case link && info.IsDir():
		fault.Message = "a symbolic link to a folder"
	case !info.Mode().IsRegular():
		fault.Code, fault.Message = CodeSpecialFile, "neither a file nor a folder"
	default:
		e.size, e.exec = info.Size(), info.Mode()&unixExec != 0
		return true
	}
	x.f.add(fault)
	return false
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

// read is the content of a file of up to limit bytes.
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
	return data, nil
}
