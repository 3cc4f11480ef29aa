//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A log is a file of its run that loses its head while the workload appends to
// it. What goes is made a hole, so that positions in the file stay true for
// readers in every control plane, and two who cut at once do no harm.

// longest is the length at which a file is written anew after all: file systems
// have a limit, holes or not.
const longest = 1 << 40

// sizes are a file's length and what it takes on the disk.
func sizes(f *os.File) (length, taken int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), info.Sys().(*syscall.Stat_t).Blocks * 512, nil
}

// trim cuts the head off a log that is over the limit.
func trim(path string, limit int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	defer f.Close()
	return trimFile(f, limit)
}

func trimFile(f *os.File, limit int64) error {
	length, taken, err := sizes(f)
	if err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	if min(length, taken) <= limit {
		return nil
	}
	return cutHead(f, length-limit/2)
}

// cutHead removes about the first n bytes of a file that others append to.
func cutHead(f *os.File, n int64) error {
	var fsys unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fsys); err == nil && fsys.Bsize > 0 && n < longest {
		whole := n / fsys.Bsize * fsys.Bsize
		if whole > 0 && unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, whole) == nil {
			return nil
		}
	}
	return copyTail(f, n)
}

// copyTail is cutHead for file systems that cannot take a range out of a file.
// What is appended between its last read and the truncation is lost.
func copyTail(f *os.File, n int64) error {
	tail, err := io.ReadAll(io.NewSectionReader(f, n, 1<<62))
	if err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	if _, err := f.Write(tail); err != nil {
		return fmt.Errorf("cut log: %w", err)
	}
	return nil
}

// readAt reads what the log still has from a position on, and says at which
// position that was. Of a hole it reads nothing.
func readAt(f *os.File, p []byte, at int64) (n int, from int64, err error) {
	for {
		from = at
		length, _, err := sizes(f)
		if err != nil {
			return 0, at, err
		}
		if length < at {
			from = 0 // it was written anew
		}
		data, err := unix.Seek(int(f.Fd()), from, unix.SEEK_DATA)
		switch {
		case err == nil:
			from = data
		case errors.Is(err, unix.ENXIO):
			return 0, from, io.EOF
		}
		n, err = f.ReadAt(p, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, from, err
		}
		// What was cut meanwhile was read as zeros.
		if again, seekErr := unix.Seek(int(f.Fd()), from, unix.SEEK_DATA); n == 0 || seekErr != nil || again == from {
			return n, from, err
		}
	}
}

// boundLogs keeps the logs of running workloads within their limit.
func (t *term) boundLogs() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-t.Context().Done():
			return
		case <-tick.C:
		}
		for _, i := range t.list() {
			if err := i.boundLog(); err != nil {
				t.cfg.Log.Error("bound a log", zap.String("instance", i.id), zap.Error(err))
			}
		}
	}
}

// boundLog keeps the newest log within its limit, and once more when its run
// is over.
func (i *instance) boundLog() error {
	i.mu.Lock()
	name, over := i.state.Log, i.run == nil || i.run.over()
	due := name != "" && !(over && i.bounded == name)
	if over {
		i.bounded = name
	}
	i.mu.Unlock()
	if !due {
		return nil
	}
	return trim(filepath.Join(i.dir, "logs", name), i.t.cfg.LogLimit)
}
