//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// followInterval is how often a reader at the end of a log looks for more.
const followInterval = 100 * time.Millisecond

// open opens a log for reading.
func (l *logs) open(ctx context.Context, o launcher.LogOptions) (io.ReadCloser, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if o.Previous {
		f, err := os.Open(l.previous())
		if errors.Is(err, fs.ErrNotExist) {
			return io.NopCloser(strings.NewReader("")), nil
		}
		if err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
		return f, nil
	}
	r := &logReader{ctx: ctx, logs: l, limit: -1, closed: make(chan struct{})}
	if err := r.openLocked(); err != nil {
		return nil, err
	}
	if !o.Follow {
		r.limit = 0
		if r.f != nil {
			info, err := r.f.Stat()
			if err != nil {
				return nil, errors.Join(fmt.Errorf("open log: %w", err), r.f.Close())
			}
			r.limit = r.at + info.Size()
		}
	}
	return r, nil
}

// logReader reads the current log, and on over cuts and rotations if it has no
// limit. It has no goroutine: Read waits.
type logReader struct {
	ctx    context.Context // ends a reader that follows
	logs   *logs
	limit  int64 // the position to end at; -1 follows
	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex
	f    *os.File // nil while there is no log
	file *logFile
	at   int64 // position in all that was ever written to file
}

// openLocked opens what is the current log now. The caller holds logs.mu.
func (r *logReader) openLocked() error {
	f, err := os.Open(r.logs.current())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open log: %w", err)
	}
	if err == nil {
		r.f, r.file, r.at = f, r.logs.file, r.logs.file.cut
	}
	return nil
}

func (r *logReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(p) > 0 {
		select {
		case <-r.closed:
			return 0, fs.ErrClosed
		default:
		}
		n, changed, err := r.read(p)
		if n > 0 || err != nil {
			return n, err
		}
		if changed == nil {
			continue
		}
		if r.limit >= 0 {
			return 0, io.EOF
		}
		timer := time.NewTimer(followInterval)
		select {
		case <-changed:
		case <-timer.C:
		case <-r.closed:
		case <-r.logs.ended:
			err = io.EOF
		case <-r.ctx.Done():
			err = io.EOF
		}
		timer.Stop()
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// read takes what there is. At the end of the log it returns the channel that
// tells of a rotation, or nil if it went on to the next file.
func (r *logReader) read(p []byte) (n int, changed <-chan struct{}, err error) {
	r.logs.mu.RLock()
	defer r.logs.mu.RUnlock()
	if r.f == nil {
		if err := r.openLocked(); err != nil || r.f == nil {
			return 0, r.logs.changed, err
		}
	}
	r.at = max(r.at, r.file.cut)
	if r.limit >= 0 {
		p = p[:min(int64(len(p)), max(r.limit-r.at, 0))]
	}
	n, err = r.f.ReadAt(p, r.at-r.file.cut)
	r.at += int64(n)
	switch {
	case n > 0:
		return n, nil, nil
	case err != nil && !errors.Is(err, io.EOF):
		return 0, nil, fmt.Errorf("read log: %w", err)
	case r.file.rotated && r.limit < 0:
		r.f.Close()
		r.f = nil
		return 0, nil, nil
	}
	return 0, r.logs.changed, nil
}

// Close ends a Read that waits.
func (r *logReader) Close() error {
	r.once.Do(func() { close(r.closed) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f == nil {
		return nil
	}
	f := r.f
	r.f = nil
	return f.Close()
}
