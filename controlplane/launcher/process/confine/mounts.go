//go:build linux

package confine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// maxEntries bounds how many entries a folder may have that lacks a mount
// point: each becomes a mount.
const maxEntries = 4096

// tree is a new root while it is built at scratch. Paths of the machine are
// resolved at the old root until the end.
type tree struct {
	scratch string
	root    int // an O_PATH descriptor of the new root
	// ours are the mounts that mount points may be made in: those of the Spec
	// and the folders in memory. Nothing else is ever written.
	ours     map[int]bool
	readonly []string // what becomes read-only once all is in place
}

// enterMounts makes a mount namespace in which the mounts exist, and enters it.
func enterMounts(mounts []Mount, scratch string) error {
	covers, err := plan(mounts)
	if err != nil {
		return err
	}
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make mount namespace: %w", err)
	}
	// The machine's later mounts still come in; none of these goes out.
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, ""); err != nil {
		return err
	}
	scratch, missing, err := resolve(path.Clean(scratch))
	if err != nil || missing {
		return errors.Join(fmt.Errorf("find scratch folder %s", scratch), err)
	}
	t := tree{scratch: scratch, ours: map[int]bool{}}
	if err := t.open(covers); err != nil {
		return err
	}
	defer syscall.Close(t.root)
	for _, folder := range covers {
		if err := t.cover(folder); err != nil {
			return err
		}
	}
	for _, m := range mounts {
		if err := t.add(m); err != nil {
			return err
		}
	}
	for _, path := range t.readonly {
		if err := t.protect(path); err != nil {
			return err
		}
	}
	return t.enter()
}

// open begins the new root: all that the machine has, or a folder in memory
// where / itself is to be covered.
func (t *tree) open(covers []string) error {
	var err error
	if slices.Contains(covers, "/") {
		err = mount("tmpfs", t.scratch, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755")
	} else {
		err = mount("/", t.scratch, "", syscall.MS_BIND|syscall.MS_REC, "")
	}
	if err != nil {
		return err
	}
	// So that what is bound recursively does not hold the new root again.
	if err := mount("", t.scratch, "", syscall.MS_UNBINDABLE, ""); err != nil {
		return err
	}
	if t.root, err = syscall.Open(t.scratch, oPath|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open new root: %w", err)
	}
	return nil
}

// cover lays a folder in memory over one of the machine, with all that is in
// it.
func (t *tree) cover(folder string) error {
	var stat syscall.Stat_t
	if err := syscall.Stat(folder, &stat); err != nil {
		return fmt.Errorf("look at folder %s: %w", folder, err)
	}
	// Read before anything is mounted: covers do not show at the old root.
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("list folder %s: %w", folder, err)
	}
	if len(entries) > maxEntries {
		return fmt.Errorf("cover folder %s: it has %d entries, at most %d can be shown beside a mount point", folder, len(entries), maxEntries)
	}
	if folder != "/" {
		at, err := t.find(folder)
		if err != nil {
			return err
		}
		err = mount("tmpfs", fdPath(at), "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755")
		syscall.Close(at)
		if err != nil {
			return err
		}
	}
	at, err := t.find(folder)
	if err != nil {
		return err
	}
	defer syscall.Close(at)
	if err := t.own(at); err != nil {
		return err
	}
	for _, e := range entries {
		if err := t.show(path.Join(folder, e.Name()), e, at); err != nil {
			return err
		}
	}
	return t.dress(folder, at, stat)
}

// dress gives a folder in memory owner and permissions of the one it covers.
// In a user namespace the owner may have no number; what the caller could not
// write then becomes read-only.
func (t *tree) dress(folder string, at int, stat syscall.Stat_t) error {
	if err := syscall.Chown(fdPath(at), int(stat.Uid), int(stat.Gid)); err != nil {
		if !mayWrite(folder) {
			t.readonly = append(t.readonly, folder)
		}
	}
	if err := syscall.Chmod(fdPath(at), stat.Mode&0o7777); err != nil {
		return fmt.Errorf("set permissions of folder %s: %w", folder, err)
	}
	return nil
}

// show makes an entry of the machine appear in the folder at. The scratch folder
// appears empty.
func (t *tree) show(source string, e os.DirEntry, at int) error {
	if e.Type()&os.ModeSymlink != 0 {
		to, err := os.Readlink(source)
		if err == nil {
			err = os.Symlink(to, fdPath(at)+"/"+e.Name())
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("show %s: %w", source, err)
		}
		return nil
	}
	target, err := makePoint(at, e.Name(), e.IsDir())
	if err != nil {
		return fmt.Errorf("show %s: %w", source, err)
	}
	defer syscall.Close(target)
	if source == t.scratch {
		return nil
	}
	err = mount(source, fdPath(target), "", syscall.MS_BIND|syscall.MS_REC, "")
	if errors.Is(err, syscall.ENOENT) { // gone meanwhile
		return os.Remove(fdPath(at) + "/" + e.Name())
	}
	return err
}

// add mounts m, at a mount point that it makes where there is none.
func (t *tree) add(m Mount) error {
	folder := true
	if m.Source != "" {
		info, err := os.Stat(m.Source)
		if err != nil {
			return fmt.Errorf("mount at %s: %w", m.Target, err)
		}
		folder = info.IsDir()
	}
	at, err := t.point(path.Clean(m.Target), folder)
	if err != nil {
		return fmt.Errorf("mount at %s: %w", m.Target, err)
	}
	defer syscall.Close(at)
	if m.Source != "" {
		err = mount(m.Source, fdPath(at), "", syscall.MS_BIND|syscall.MS_REC, "")
	} else {
		mode := m.Mode
		if mode == 0 {
			mode = 0o755
		}
		options := fmt.Sprintf("mode=%#o", mode)
		if m.Size > 0 {
			options += ",size=" + strconv.FormatInt(m.Size, 10)
		}
		err = mount("tmpfs", fdPath(at), "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, options)
	}
	if err != nil {
		return fmt.Errorf("mount at %s: %w", m.Target, err)
	}
	if m.ReadOnly {
		t.readonly = append(t.readonly, m.Target)
	}
	made, err := t.find(m.Target)
	if err != nil {
		return err
	}
	defer syscall.Close(made)
	return t.own(made)
}

// point is a descriptor of the mount point at path, made with its parents
// where that is permitted.
func (t *tree) point(path string, folder bool) (int, error) {
	at, err := t.find("/")
	if err != nil {
		return -1, err
	}
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for n, name := range parts {
		next, err := t.find("/" + strings.Join(parts[:n+1], "/"))
		if errors.Is(err, syscall.ENOENT) {
			if id, idErr := mountID(at); idErr != nil || !t.ours[id] {
				err = errors.Join(fmt.Errorf("there is no %s, and its folder is not the instance's to write", name), idErr)
			} else {
				next, err = makePoint(at, name, folder || n < len(parts)-1)
			}
		}
		syscall.Close(at)
		if err != nil {
			return -1, err
		}
		at = next
	}
	return at, nil
}

// find opens a path of the new tree, whose links lead nowhere out of it.
func (t *tree) find(path string) (int, error) {
	fd, err := openInRoot(t.root, path)
	if err != nil {
		return -1, fmt.Errorf("find %s: %w", path, err)
	}
	return fd, nil
}

// own permits mount points in the mount that the descriptor is in.
func (t *tree) own(fd int) error {
	id, err := mountID(fd)
	if err == nil {
		t.ours[id] = true
	}
	return err
}

func (t *tree) protect(path string) error {
	fd, err := t.find(path)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	// Not what is mounted below: each mount has its own say.
	if err := readOnly(fd); err != nil {
		return fmt.Errorf("make %s read-only: %w", path, err)
	}
	return nil
}

// enter makes the new tree this thread's root and lets go of the old one.
func (t *tree) enter() error {
	if err := syscall.Fchdir(t.root); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("leave old root: %w", err)
	}
	if err := syscall.Chdir("/"); err != nil {
		return fmt.Errorf("enter new root: %w", err)
	}
	return nil
}

// makePoint makes an empty file or folder and opens it.
func makePoint(at int, name string, folder bool) (int, error) {
	var err error
	if folder {
		err = syscall.Mkdirat(at, name, 0o755)
	} else {
		var fd int
		if fd, err = syscall.Openat(at, name, syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW|syscall.O_WRONLY|syscall.O_CLOEXEC, 0o644); err == nil {
			err = syscall.Close(fd)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("make mount point %s: %w", name, err)
	}
	fd, err := syscall.Openat(at, name, oPath|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open mount point %s: %w", name, err)
	}
	return fd, nil
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s%s at %s: %w", source, kind, target, err)
	}
	return nil
}
