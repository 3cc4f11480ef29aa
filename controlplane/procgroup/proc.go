//go:build linux

package procgroup

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Ident names a process for as long as the machine runs and beyond: a number
// alone is used again, and start times begin anew with each boot.
type Ident struct {
	PID    int    `json:"pid,omitempty"`
	Start  uint64 `json:"start,omitempty"` // clock ticks since boot
	BootID string `json:"boot_id,omitempty"`
}

// Alive reports whether the process runs; a zombie does not.
func (i Ident) Alive() bool {
	if i.PID == 0 || i.BootID != BootID() {
		return false
	}
	p, err := ReadProc(i.PID)
	return err == nil && p.Start == i.Start && !p.Zombie()
}

// Proc is what /proc/PID/stat says of a process.
type Proc struct {
	PID, Parent, Group, Session int
	State                       byte
	Threads                     int
	Start                       uint64 // clock ticks since boot
}

// Zombie reports whether nothing of the process runs any more. One whose first
// thread has ended looks like a zombie too, while its other threads run, or
// still have its files and sockets open.
func (p Proc) Zombie() bool { return (p.State == 'Z' || p.State == 'X') && p.Threads <= 1 }

// ReadProc looks at the process of that number.
func ReadProc(pid int) (Proc, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Proc{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return parseStat(b)
}

// parseStat reads proc_pid_stat(5). The command in parentheses may hold
// anything, so that fields are counted from the last parenthesis.
func parseStat(b []byte) (Proc, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return Proc{}, fmt.Errorf("read process: %q is no stat line", b)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:open])))
	if err != nil {
		return Proc{}, fmt.Errorf("read process: %w", err)
	}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 20 || len(fields[0]) != 1 {
		return Proc{}, fmt.Errorf("read process %d: %d fields", pid, len(fields))
	}
	p := Proc{PID: pid, State: fields[0][0]}
	for i, to := range map[int]*int{1: &p.Parent, 2: &p.Group, 3: &p.Session, 17: &p.Threads} {
		if *to, err = strconv.Atoi(fields[i]); err != nil {
			return Proc{}, fmt.Errorf("read process %d: %w", pid, err)
		}
	}
	if p.Start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return Proc{}, fmt.Errorf("read process %d: %w", pid, err)
	}
	return p, nil
}

// Processes lists what runs. Processes that end meanwhile are left out.
func Processes() (map[int]Proc, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := make(map[int]Proc, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, err := ReadProc(pid); err == nil {
			all[pid] = p
		}
	}
	return all, nil
}

// MarkerName is the variable in the environment of an instance's processes that
// tells whose they are.
const MarkerName = "SLIPWAY_PROCESS"

// MarkerOf is the value of the marker variable in the environment that the
// process was started with; empty where there is none or it may not be read.
func MarkerOf(pid int) (value string, readable bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil || len(b) == 0 {
		return "", false
	}
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		if v, ok := bytes.CutPrefix(entry, []byte(MarkerName+"=")); ok {
			return string(v), true
		}
	}
	return "", true
}

// BootID names the present run of the machine: until it is started again.
var BootID = sync.OnceValue(func() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
})
