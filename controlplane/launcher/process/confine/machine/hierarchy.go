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
	"strings"

	"golang.org/x/sys/unix"
)

// hierarchy is a tree of control groups that is mounted, and where in it the
// caller is.
type hierarchy struct {
	mount string // empty: there is none
	path  string // of the caller's group, below mount
}

func (h hierarchy) own() string { return filepath.Join(h.mount, h.path) }

// hierarchySet is what this machine has. unified is set only where version 2
// has the controllers of memory and CPU; a hierarchy of version 2 beside those
// of version 1 has none that matter here.
type hierarchySet struct{ unified, memory, cpu, pids hierarchy }

var errNoController = errors.New("no controller of memory or CPU is mounted")

func hierarchies() (hierarchySet, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return hierarchySet{}, fmt.Errorf("find control groups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return hierarchySet{}, fmt.Errorf("find control groups: %w", err)
	}
	h := parseHierarchies(string(mounts), string(own))
	if h.unified.mount != "" {
		b, err := os.ReadFile(filepath.Join(h.unified.mount, "cgroup.controllers"))
		if err != nil {
			return hierarchySet{}, fmt.Errorf("find control groups: %w", err)
		}
		if has := strings.Fields(string(b)); !slices.Contains(has, "memory") || !slices.Contains(has, "cpu") {
			h.unified = hierarchy{}
		}
	}
	if h == (hierarchySet{}) {
		return h, fmt.Errorf("find control groups: %w", errNoController)
	}
	return h, nil
}

// parseHierarchies reads /proc/self/mountinfo and /proc/self/cgroup.
func parseHierarchies(mounts, own string) hierarchySet {
	paths := map[string]string{}
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 {
			for _, controller := range strings.Split(fields[1], ",") {
				paths[controller] = fields[2]
			}
		}
	}
	var h hierarchySet
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || len(tail) < 3 {
			continue
		}
		at := func(controller string) hierarchy {
			// A container sees a part of the tree at its mount point.
			path, err := filepath.Rel(fields[3], paths[controller])
			if err != nil || strings.HasPrefix(path, "..") {
				path = "."
			}
			return hierarchy{unescape(fields[4]), path}
		}
		options := strings.Split(tail[2], ",")
		switch {
		case tail[0] == "cgroup2":
			h.unified = at("")
		case tail[0] == "cgroup" && slices.Contains(options, "memory"):
			h.memory = at("memory")
		case tail[0] == "cgroup" && slices.Contains(options, "cpu"):
			h.cpu = at("cpu")
		case tail[0] == "cgroup" && slices.Contains(options, "pids"):
			h.pids = at("pids")
		}
	}
	return h
}

// unescape undoes the octal numbers of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// keeper is the group that the caller moves to where its own is to have groups
// inside: version 2 has processes in leaves only.
const keeper = "slipway-control"

// delegated finds a group of version 2 that may have groups with limits: the
// caller's own if it is alone there, else, for root, the uppermost.
func (h hierarchySet) delegated() (string, error) {
	own := h.unified.own()
	if filepath.Base(own) == keeper {
		own = filepath.Dir(own)
	}
	err := grant(own)
	if errors.Is(err, unix.EBUSY) {
		err = moveAside(own)
	}
	if err == nil {
		return own, nil
	}
	if os.Geteuid() == 0 && own != h.unified.mount && grant(h.unified.mount) == nil {
		return h.unified.mount, nil
	}
	return "", fmt.Errorf("hand controllers on in %s: %w; start slipway in a group of its own: a unit with Delegate=yes, or `systemd-run --scope -p Delegate=yes`", own, err)
}

// grant gives the groups inside the controllers of memory and CPU, and of the
// number of processes where the folder has that.
func grant(folder string) error {
	file := filepath.Join(folder, "cgroup.subtree_control")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	has := strings.Fields(string(b))
	if b, err = os.ReadFile(filepath.Join(folder, "cgroup.controllers")); err != nil {
		return err
	}
	want := []string{"memory", "cpu"}
	if slices.Contains(strings.Fields(string(b)), "pids") {
		want = append(want, "pids")
	}
	want = slices.DeleteFunc(want, func(c string) bool { return slices.Contains(has, c) })
	if len(want) == 0 {
		return unix.Access(folder, unix.W_OK)
	}
	return os.WriteFile(file, []byte("+"+strings.Join(want, " +")), 0)
}

// moveAside moves the caller to a group inside its own, which others may not
// be in.
func moveAside(own string) error {
	b, err := os.ReadFile(filepath.Join(own, "cgroup.procs"))
	if err != nil {
		return err
	}
	if pids := strings.Fields(string(b)); !slices.Equal(pids, []string{strconv.Itoa(os.Getpid())}) {
		return fmt.Errorf("other processes are in it: %w", unix.EBUSY)
	}
	inner := filepath.Join(own, keeper)
	if err := os.Mkdir(inner, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.WriteFile(filepath.Join(inner, "cgroup.procs"), []byte("0"), 0); err != nil {
		return err
	}
	return grant(own)
}

// OpenCgroup finds the control groups of that name, wherever the caller was
// when they were made. A group of which nothing is left is empty, and no error.
func OpenCgroup(name string) (*Cgroup, error) {
	all, err := find(func(n string) bool { return n == name })
	if err != nil {
		return nil, err
	}
	if c, ok := all[name]; ok {
		return c, nil
	}
	return &Cgroup{name: name}, nil
}

// ListCgroups finds the control groups whose names begin so: those of earlier
// lives of the caller, too.
func ListCgroups(prefix string) ([]*Cgroup, error) {
	all, err := find(func(n string) bool { return strings.HasPrefix(n, prefix) })
	if err != nil {
		return nil, err
	}
	var list []*Cgroup
	for _, c := range all {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Cgroup) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// find walks all hierarchies. Their trees are small, and a group has moved
// along with the caller that made it, so that its place cannot be known.
func find(wanted func(name string) bool) (map[string]*Cgroup, error) {
	h, err := hierarchies()
	if errors.Is(err, errNoController) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := map[string]*Cgroup{}
	for _, at := range []struct {
		kind
		hierarchy
	}{{unified, h.unified}, {memoryV1, h.memory}, {cpuV1, h.cpu}, {pidsV1, h.pids}} {
		if at.mount == "" {
			continue
		}
		err := filepath.WalkDir(at.mount, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission): // gone meanwhile, or not ours
				return nil
			case err != nil:
				return err
			case !d.IsDir() || path == at.mount || !wanted(d.Name()):
				return nil
			}
			c, ok := found[d.Name()]
			if !ok {
				c = &Cgroup{name: d.Name()}
				found[d.Name()] = c
			}
			c.parts = append(c.parts, part{path, at.kind})
			return fs.SkipDir
		})
		if err != nil {
			return nil, fmt.Errorf("find control groups: %w", err)
		}
	}
	return found, nil
}
