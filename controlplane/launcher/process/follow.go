//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// followInterval is how often a reader at the end of a log looks for more.
const followInterval = 100 * time.Millisecond

// openLog opens a log of the instance in that folder. It goes by what is on
// disk alone: whoever leads writes it. own ends readers as ctx does.
func openLog(ctx, own context.Context, dir string, o launcher.LogOptions) (io.ReadCloser, error) {
	s, err := readState(dir)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	r := &logReader{ctx: ctx, own: own, dir: dir, follow: o.Follow && !o.Previous, closed: make(chan struct{})}
	name := s.Log
	if o.Previous {
		name = s.PreviousLog
	}
	if err := r.open(name); err != nil {
		return nil, err
	}
	if r.f == nil && !r.follow {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if !r.follow {
		if r.limit, _, err = sizes(r.f); err != nil {
			return nil, errors.Join(fmt.Errorf("open log: %w", err), r.f.Close())
		}
	}
	return r, nil
}

// logReader reads a log; one that follows goes on over restarts. It has no
// goroutine: Read waits.
type logReader struct {
	ctx, own context.Context
	dir      string
	follow   bool
	limit    int64 // the position to end at, of one that does not follow
	once     sync.Once
	closed   chan struct{}

	mu     sync.Mutex
	folder *os.File // the instance's; another one of that name is another life of it
	f      *os.File // nil while there is no log
	name   string
	at     int64
}

// open opens the log of that name, if there is one.
func (r *logReader) open(name string) error {
	if name == "" {
		return nil
	}
	f, err := os.Open(filepath.Join(r.dir, "logs", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if r.folder == nil {
		if r.folder, err = os.Open(r.dir); err != nil {
			return errors.Join(fmt.Errorf("open log: %w", err), f.Close())
		}
	}
	if r.f != nil {
		r.f.Close()
	}
	r.f, r.name, r.at = f, name, 0
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
		n, err := r.read(p)
		if n > 0 || err != nil {
			return n, err
		}
		if more, err := r.next(); more || err != nil {
			if err != nil {
				return 0, err
			}
			continue
		}
		timer := time.NewTimer(followInterval)
		select {
		case <-timer.C:
		case <-r.closed:
		case <-r.own.Done():
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

// read takes what there is; nothing is no error.
func (r *logReader) read(p []byte) (int, error) {
	if r.f == nil {
		return 0, nil
	}
	n, from, err := readAt(r.f, p, r.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read log: %w", err)
	}
	if !r.follow {
		n = int(min(int64(n), max(r.limit-from, 0)))
	}
	r.at = from + int64(n)
	return n, nil
}

// next goes on, at the end of a log, to that of the next run. io.EOF is the end
// of all.
func (r *logReader) next() (more bool, err error) {
	if !r.follow {
		return false, io.EOF
	}
	if r.folder != nil {
		mine, err := r.folder.Stat()
		if err != nil {
			return false, fmt.Errorf("read log: %w", err)
		}
		if now, err := os.Stat(r.dir); err != nil || !os.SameFile(mine, now) {
			return false, io.EOF // removed
		}
	}
	s, err := readState(r.dir)
	if err != nil || s.Log == r.name {
		return false, nil // a state that cannot be read will be written again
	}
	// What its run wrote before the next one began.
	if length, _, err := r.length(); err == nil && length > r.at {
		return true, nil
	}
	was := r.name
	if err := r.open(s.Log); err != nil {
		return false, err
	}
	return r.name != was, nil
}

func (r *logReader) length() (length, taken int64, err error) {
	if r.f == nil {
		return 0, 0, nil
	}
	return sizes(r.f)
}

// Close ends a Read that waits.
func (r *logReader) Close() error {
	r.once.Do(func() { close(r.closed) })
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	for _, f := range []*os.File{r.f, r.folder} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	r.f, r.folder = nil, nil
	return err
}
