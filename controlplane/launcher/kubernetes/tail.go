package kubernetes

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// tail is the end of what was written to it. It is a file without a name: an app
// writes as much as it likes, many of them may end at once, and memory is for
// other things.
type tail struct {
	file    *os.File
	limit   int64 // bytes that are kept
	written int64
}

// readTail reads to the end and keeps the last of it. What was read before an
// error counts, and is there beside it.
func (l *Launcher) readTail(r io.Reader) (*tail, error) {
	f, err := os.CreateTemp(l.cfg.DataDir, "tail-")
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	t := &tail{file: f, limit: l.cfg.LogLimit}
	if err := os.Remove(f.Name()); err != nil { // it is open still
		return nil, fmt.Errorf("read log: %w", errors.Join(err, f.Close()))
	}
	if _, err = io.CopyBuffer(t, struct{ io.Reader }{r}, make([]byte, 32<<10)); err != nil {
		return t, fmt.Errorf("read log: %w", err)
	}
	return t, nil
}

func (t *tail) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		at := t.written % t.limit
		var some int
		some, err = t.file.WriteAt(p[n:n+int(min(int64(len(p)-n), t.limit-at))], at)
		n, t.written = n+some, t.written+int64(some)
	}
	return n, err
}

// reader is of all that was kept, in its order.
func (t *tail) reader() io.Reader {
	if t.written <= t.limit {
		return io.NewSectionReader(t.file, 0, t.written)
	}
	at := t.written % t.limit
	return io.MultiReader(io.NewSectionReader(t.file, at, t.limit-at), io.NewSectionReader(t.file, 0, at))
}

func (t *tail) Close() error { return t.file.Close() }
