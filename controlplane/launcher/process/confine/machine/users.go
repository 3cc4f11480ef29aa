//go:build linux

package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
)

// Users gives names (instances) users of their own out of a range, and keeps
// who has which on disk: in Dir, a link named by the number that points to the
// name. Making a link is one step that only one caller wins, so that several
// control planes can share the folder without a lock.
type Users struct {
	// Dir is made, and belongs to root alone.
	Dir string
	// First and Last are the range. Two installations on one machine need
	// ranges that do not meet: a number says nothing of the installation.
	First, Last int
}

// Of finds the user of that name, or gives it the next free one. It stays the
// name's until Release.
func (u Users) Of(name string) (confine.User, error) {
	if err := os.MkdirAll(u.Dir, 0o700); err != nil {
		return confine.User{}, fmt.Errorf("find user of %s: %w", name, err)
	}
	for next := u.First; ; next++ {
		taken, err := u.list()
		if err != nil {
			return confine.User{}, fmt.Errorf("find user of %s: %w", name, err)
		}
		// Callers at one time may have made several. All stay the name's.
		if mine := numbers(taken, name); len(mine) > 0 {
			return confine.User{UID: mine[0], GID: mine[0]}, sync(u.Dir)
		}
		for taken[next] != "" || inUse(next) {
			next++
		}
		if next > u.Last {
			return confine.User{}, fmt.Errorf("find user of %s: each from %d to %d has an instance", name, u.First, u.Last)
		}
		err = os.Symlink(name, u.link(next))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return confine.User{}, fmt.Errorf("find user of %s: %w", name, err)
		}
	}
}

// Release gives the name's user back. Nothing that belongs to it may be left.
func (u Users) Release(name string) error {
	taken, err := u.list()
	if err == nil {
		err = u.free(numbers(taken, name))
	}
	if err != nil {
		return fmt.Errorf("release user of %s: %w", name, err)
	}
	return nil
}

// Names are those that have users, in no order.
func (u Users) Names() ([]string, error) {
	taken, err := u.list()
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	var names []string
	for _, name := range taken {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (u Users) link(number int) string { return filepath.Join(u.Dir, strconv.Itoa(number)) }

func (u Users) list() (map[int]string, error) {
	entries, err := os.ReadDir(u.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	taken := map[int]string{}
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		name, err := os.Readlink(u.link(number))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		taken[number] = name
	}
	return taken, nil
}

// numbers are those that name has, the lowest first.
func numbers(taken map[int]string, name string) []int {
	var found []int
	for number, n := range taken {
		if n == name {
			found = append(found, number)
		}
	}
	slices.Sort(found)
	return found
}

func (u Users) free(numbers []int) error {
	var faults error
	for _, n := range numbers {
		if err := os.Remove(u.link(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = errors.Join(faults, err)
		}
	}
	return faults
}

// inUse reports whether a process runs as the user: somebody else's, since a
// user is given back only after its processes have ended.
func inUse(uid int) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		var stat unix.Stat_t
		if unix.Stat("/proc/"+e.Name(), &stat) == nil && int(stat.Uid) == uid {
			return true
		}
	}
	return false
}

// sync makes what is in the folder outlive a power cut: files that belong to a
// number must never come to belong to another instance.
func sync(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// GiveOnce gives the folder at path to user, unless it is the user's already.
func GiveOnce(path string, user confine.User) error {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return fmt.Errorf("give %s to user %d: %w", path, user.UID, err)
	}
	if int(stat.Uid) == user.UID && int(stat.Gid) == user.GID {
		return nil
	}
	return Give(path, user)
}

// Give makes user the owner of everything below the folder, or of the file, at
// path. It follows no links. The folder must not be the user's yet: who can
// write it could lead the walk astray.
func Give(path string, user confine.User) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("give %s to user %d: %w", path, user.UID, err)
	}
	defer root.Close()
	var folders []string
	err = fs.WalkDir(root.FS(), filepath.Base(path), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			folders = append(folders, name)
			return nil
		}
		return root.Lchown(name, user.UID, user.GID)
	})
	// From the innermost out, so that no folder is the user's while it is walked.
	for _, name := range slices.Backward(folders) {
		err = errors.Join(err, root.Lchown(name, user.UID, user.GID))
	}
	if err != nil {
		return fmt.Errorf("give %s to user %d: %w", path, user.UID, err)
	}
	return nil
}
