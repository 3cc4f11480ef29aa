//go:build linux

package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// logs are the two log files of an instance. Readers hold mu while they read,
// so that a file is never cut between finding a position and reading there.
type logs struct {
	dir   string
	limit int64

	mu      sync.RWMutex
	file    *logFile // what current.log is
	changed chan struct{}
	ended   chan struct{}
}

// logFile is one file through its renaming. cut is how many bytes its head has
// lost, so that a reader's position stays true.
type logFile struct {
	cut     int64
	rotated bool
}

func newLogs(dir string, limit int64) *logs {
	return &logs{
		dir:     dir,
		limit:   limit,
		file:    &logFile{},
		changed: make(chan struct{}),
		ended:   make(chan struct{}),
	}
}

func (l *logs) current() string  { return filepath.Join(l.dir, "current.log") }
func (l *logs) previous() string { return filepath.Join(l.dir, "previous.log") }

// rotate makes the current log the previous one and opens a new one.
func (l *logs) rotate() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, fmt.Errorf("rotate log: %w", err)
	}
	err := l.trimLocked()
	if err == nil {
		err = os.Rename(l.current(), l.previous())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("rotate log: %w", err)
	}
	f, err := os.OpenFile(l.current(), os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("rotate log: %w", err)
	}
	l.file.rotated = true
	l.file = &logFile{}
	close(l.changed)
	l.changed = make(chan struct{})
	return f, nil
}

// end ends all readers that follow.
func (l *logs) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
}

// trim cuts the head off the current log if that is over the limit.
func (l *logs) trim() error {
	info, err := os.Stat(l.current())
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= l.limit {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trimLocked()
}

func (l *logs) trimLocked() error {
	f, err := os.OpenFile(l.current(), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= l.limit {
		return err
	}
	cut, err := cutHead(f, info.Size()-l.limit/2)
	l.file.cut += cut
	return err
}

// cutHead removes about the first n bytes of a file that others append to, and
// says how many it removed.
func cutHead(f *os.File, n int64) (int64, error) {
	var fsys unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fsys); err == nil && fsys.Bsize > 0 {
		whole := n / fsys.Bsize * fsys.Bsize
		if whole > 0 && unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, whole) == nil {
			return whole, nil
		}
	}
	return copyTail(f, n)
}

// copyTail is cutHead for file systems that cannot take a range out of a file.
// What is appended between its last read and the truncation is lost.
func copyTail(f *os.File, n int64) (int64, error) {
	tail, err := io.ReadAll(io.NewSectionReader(f, n, 1<<62))
	if err != nil {
		return 0, fmt.Errorf("cut log: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return 0, fmt.Errorf("cut log: %w", err)
	}
	if _, err := f.Write(tail); err != nil {
		return n, fmt.Errorf("cut log: %w", err)
	}
	return n, nil
}

// boundLogs keeps the logs of running workloads within their limit.
func (l *Launcher) boundLogs() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		l.mu.Lock()
		instances := make([]*instance, 0, len(l.instances))
		for _, i := range l.instances {
			instances = append(instances, i)
		}
		l.mu.Unlock()
		for _, i := range instances {
			if r := i.current(); r == nil || r.over() {
				continue
			}
			if err := i.logs.trim(); err != nil && !errors.Is(err, fs.ErrNotExist) {
				l.cfg.Log.Error("bound a log", zap.String("instance", i.id), zap.Error(err))
			}
		}
	}
}
