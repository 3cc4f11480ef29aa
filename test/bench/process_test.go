package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// measured is the CPU of the proxy that is measured, others are those of
// everything else. On a machine with one they are the same.
func measured() []int { return []int{0} }

func others() (cpus []int) {
	for cpu := min(1, runtime.NumCPU()-1); cpu < runtime.NumCPU(); cpu++ {
		cpus = append(cpus, cpu)
	}
	return cpus
}

// pin keeps a process, all of its threads, on some CPUs.
func pin(pid int, cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", pid))
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(filepath.Base(thread))
		if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("pin process %d: %w", pid, err)
		}
	}
	return nil
}

// ticks is how many of the kernel's ticks are a second in /proc, on Linux.
const ticks = 100

// cpu is the processor time that a process has taken.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// The name of the program, in parentheses, may hold spaces.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticks
}

// memory reads a field of /proc/PID/status, e.g. VmRSS, in bytes.
func memory(b *testing.B, pid int, field string) int {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), field+":")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return kib << 10
}
