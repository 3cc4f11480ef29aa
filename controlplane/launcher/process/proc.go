//go:build linux

package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// ident names a process for as long as the machine runs and beyond: a number
// alone is used again, and start times begin anew with each boot.
type ident struct {
	PID    int    `json:"pid,omitempty"`
	Start  uint64 `json:"start,omitempty"` // clock ticks since boot
	BootID string `json:"boot_id,omitempty"`
}

// alive reports whether the process runs; a zombie does not.
func (i ident) alive() bool {
	if i.PID == 0 || i.BootID != bootID() {
		return false
	}
	p, err := readProc(i.PID)
	return err == nil && p.start == i.Start && !p.zombie()
}

// proc is what /proc/PID/stat says of a process.
type proc struct {
	pid, parent, group, session int
	state                       byte
	threads                     int
	start                       uint64
}

// zombie reports whether nothing of the process runs any more. One whose first
// thread has ended looks like a zombie too, while its other threads run, or
// still have its files and sockets open.
func (p proc) zombie() bool { return (p.state == 'Z' || p.state == 'X') && p.threads <= 1 }

func readProc(pid int) (proc, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return parseStat(b)
}

// parseStat reads proc_pid_stat(5). The command in parentheses may hold
// anything, so that fields are counted from the last parenthesis.
func parseStat(b []byte) (proc, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return proc{}, fmt.Errorf("read process: %q is no stat line", b)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:open])))
	if err != nil {
		return proc{}, fmt.Errorf("read process: %w", err)
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 20 || len(fields[0]) != 1 {
		return proc{}, fmt.Errorf("read process %d: %d fields", pid, len(fields))
	}
	p := proc{pid: pid, state: fields[0][0]}
	for i, to := range map[int]*int{1: &p.parent, 2: &p.group, 3: &p.session, 17: &p.threads} {
		if *to, err = strconv.Atoi(fields[i]); err != nil {
			return proc{}, fmt.Errorf("read process %d: %w", pid, err)
		}
	}
	if p.start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return proc{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return p, nil
}

// processes lists what runs. Processes that end meanwhile are left out.
func processes() (map[int]proc, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := make(map[int]proc, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := readProc(pid); err == nil {
			all[pid] = p
		}
	}
	return all, nil
}

// markerOf is the value of the marker variable in the environment that the
// process was started with; empty where there is none or it may not be read.
func markerOf(pid int) (value string, readable bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || len(b) == 0 {
		return "", false
	}
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		if v, ok := bytes.CutPrefix(entry, []byte(markerName+"=")); ok {
			return string(v), true
		}
	}
	return "", true
}

var bootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
})
