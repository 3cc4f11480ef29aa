//go:build linux

package machine

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits are what a control group is granted. The zero value of each is no
// limit.
type Limits struct {
	Memory int64 // bytes, swap included: none of it is used
	CPU    int64 // thousandths of a core
	// Processes counts threads, too, and those that have ended and that nobody
	// has waited for.
	Processes int64
}

// Cgroup is the control groups of one run, one for each hierarchy that a limit
// needs. It is found again by its name.
type Cgroup struct {
	name  string
	parts []part
}

// part is one control group in one hierarchy.
type part struct {
	folder string
	kind   kind
}

// kind is what a hierarchy controls.
type kind string

const (
	unified  kind = "unified" // version 2: everything
	memoryV1 kind = "memory"
	cpuV1    kind = "cpu"
	pidsV1   kind = "pids"
)

// period is of CPU quotas, in µs; the kernel's default.
const period = 100_000

// NewCgroup makes control groups of that name below the caller's own ones, so
// that what bounds the caller bounds them all. A name must be used by one run
// on this machine. Limits that cannot be had are an error, and nothing is left.
func NewCgroup(name string, l Limits) (*Cgroup, error) {
	c := &Cgroup{name: name}
	if name == "" || strings.ContainsAny(name, "/.\n") {
		return nil, fmt.Errorf("make control group %q: it is no name", name)
	}
	h, err := hierarchies()
	if err != nil {
		return nil, fmt.Errorf("make control group %s: %w", name, err)
	}
	if err := c.make(h, l); err != nil {
		return nil, fmt.Errorf("make control group %s: %w", name, errors.Join(err, c.Remove()))
	}
	return c, nil
}

func (c *Cgroup) make(h hierarchySet, l Limits) error {
	if h.unified.mount != "" {
		parent, err := h.delegated()
		if err != nil {
			return err
		}
		return c.part(unified, parent, l)
	}
	for _, want := range []struct {
		kind   kind
		wanted bool
		at     hierarchy
	}{{memoryV1, l.Memory > 0, h.memory}, {cpuV1, l.CPU > 0, h.cpu}, {pidsV1, l.Processes > 0, h.pids}} {
		switch {
		case !want.wanted:
		case want.at.mount == "":
			return fmt.Errorf("this machine has no controller of %s", want.kind)
		default:
			if err := c.part(want.kind, want.at.own(), l); err != nil {
				return err
			}
		}
	}
	return nil
}

// part makes one control group and sets its limits.
func (c *Cgroup) part(k kind, parent string, l Limits) error {
	p := part{filepath.Join(parent, c.name), k}
	if err := os.Mkdir(p.folder, 0o755); err != nil {
		return err
	}
	c.parts = append(c.parts, p)
	return p.limit(l)
}

func (p part) limit(l Limits) error {
	switch p.kind {
	case unified:
		if l.Memory > 0 {
			// All of a group ends with one of it, so that none is left crippled.
			if err := errors.Join(p.set("memory.max", l.Memory), p.set("memory.oom.group", 1)); err != nil {
				return err
			}
			if err := p.set("memory.swap.max", 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if l.CPU > 0 {
			if err := p.write("cpu.max", fmt.Sprintf("%d %d", l.CPU*period/1000, period)); err != nil {
				return err
			}
		}
		if l.Processes > 0 {
			return p.set(processesFile, l.Processes)
		}
	case memoryV1:
		if err := p.set("memory.limit_in_bytes", l.Memory); err != nil {
			return err
		}
		// Without accounting of swap the least that can be done is not to like it.
		if err := p.set("memory.memsw.limit_in_bytes", l.Memory); errors.Is(err, fs.ErrNotExist) {
			return p.set("memory.swappiness", 0)
		} else if err != nil {
			return err
		}
	case cpuV1:
		return errors.Join(p.set("cpu.cfs_period_us", period), p.set("cpu.cfs_quota_us", max(l.CPU*period/1000, 1000)))
	case pidsV1:
		return p.set(processesFile, l.Processes)
	}
	return nil
}

func (p part) set(file string, value int64) error { return p.write(file, strconv.FormatInt(value, 10)) }

// write does not make files: a controller that is missing shows by its files.
func (p part) write(file, value string) error {
	f, err := os.OpenFile(filepath.Join(p.folder, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Name is what NewCgroup was given.
func (c *Cgroup) Name() string { return c.name }

// Folders are what a process joins, see [Spec].
func (c *Cgroup) Folders() []string {
	folders := make([]string, len(c.parts))
	for n, p := range c.parts {
		folders[n] = p.folder
	}
	return folders
}

// processesFile limits processes, in both versions.
const processesFile = "pids.max"

// Seals are files: 0 in each of them ends all making of processes in the group.
// Without that, processes that make another and end do so faster than anybody
// can list and kill them.
func (c *Cgroup) Seals() []string {
	var files []string
	for _, p := range c.parts {
		file := filepath.Join(p.folder, processesFile)
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// OOMKills is how many processes of the group the kernel has ended for want of
// memory; 0 where nothing counts them.
func (c *Cgroup) OOMKills() (int64, error) {
	for _, p := range c.parts {
		file := map[kind]string{unified: "memory.events", memoryV1: "memory.oom_control"}[p.kind]
		if file == "" {
			continue
		}
		n, err := p.count(file, "oom_kill")
		if errors.Is(err, fs.ErrNotExist) { // no such controller, or removed
			continue
		}
		return n, err
	}
	return 0, nil
}

// count reads a line "field number".
func (p part) count(file, field string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(p.folder, file))
	if err != nil {
		return 0, fmt.Errorf("read control group: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == field {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, nil
}

// Processes are those in the group, threads not told apart.
func (c *Cgroup) Processes() ([]int, error) {
	var pids []int
	for _, p := range c.parts {
		f, err := os.Open(filepath.Join(p.folder, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list control group: %w", err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if pid, err := strconv.Atoi(lines.Text()); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		f.Close()
	}
	slices.Sort(pids)
	return slices.Compact(pids), nil
}

// Kill ends every process of the group with SIGKILL and returns when none is
// left, or after five seconds with an error.
func (c *Cgroup) Kill() error {
	const patience = 5 * time.Second
	until := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		pids, err := c.Processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("kill control group %s: %d processes are left", c.name, len(pids))
		}
		for _, p := range c.parts {
			if p.kind == unified && p.set("cgroup.kill", 1) == nil {
				pids = nil
			}
		}
		for _, pid := range pids { // where there is no such file, before Linux 5.14
			if err := c.killMember(pid); err != nil {
				return err
			}
		}
		time.Sleep(pause)
	}
}

// killMember kills a process unless its number went to one outside the group.
func (c *Cgroup) killMember(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill control group %s: %w", c.name, err)
	}
	defer unix.Close(fd)
	if now, err := c.Processes(); err != nil || !slices.Contains(now, pid) {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill control group %s: %w", c.name, err)
	}
	return nil
}

// Remove deletes the group, which has no process any more. What is not there
// is no error. The last process may still be leaving: it is waited for, a second.
func (c *Cgroup) Remove() error {
	var faults error
	for _, p := range slices.Backward(c.parts) {
		faults = errors.Join(faults, removeFolder(p.folder, time.Now().Add(time.Second)))
	}
	if faults != nil {
		return fmt.Errorf("remove control group %s: %w", c.name, faults)
	}
	return nil
}

// removeFolder also removes groups that were made inside.
func removeFolder(folder string, until time.Time) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeFolder(filepath.Join(folder, e.Name()), until); err != nil {
				return err
			}
		}
	}
	for {
		err := unix.Rmdir(folder)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case !errors.Is(err, unix.EBUSY) || time.Now().After(until):
			return fmt.Errorf("remove %s: %w", folder, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
