//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/python"
)

// How long a look-up of python3 holds.
const (
	pythonFound   = time.Minute
	pythonMissing = 10 * time.Second
)

// interpreter finds the first python3 of the PATH that can be executed and is
// new enough, and remembers it for a while.
type interpreter struct {
	cfg Config
	may func(program string) bool // be executed by the instances' users

	mu    sync.Mutex
	last  python.Interpreter
	err   error
	until time.Time

	otherOnes   []python.Interpreter // see others
	othersUntil time.Time
}

func newInterpreter(cfg Config, may func(string) bool) *interpreter {
	return &interpreter{cfg: cfg, may: may}
}

func (i *interpreter) find() (python.Interpreter, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.After(i.until) {
		i.last, i.err = i.search()
		i.until = now.Add(pythonFound)
		if i.err != nil {
			i.until = now.Add(pythonMissing)
		}
	}
	return i.last, i.err
}

func (i *interpreter) search() (python.Interpreter, error) {
	var faults error
	for _, dir := range filepath.SplitList(i.cfg.path()) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, "python3")
		if info, err := os.Stat(file); err != nil || info.IsDir() || unix.Access(file, unix.X_OK) != nil || !i.may(file) {
			continue
		}
		p, err := i.ask(file)
		if err == nil && !i.may(p.Path) {
			err = fmt.Errorf("%s is %s, which users of instances may not execute", file, p.Path)
		}
		if err == nil {
			return p, nil
		}
		faults = errors.Join(faults, err)
	}
	if faults != nil {
		return python.Interpreter{}, fmt.Errorf("no usable python3: %w", faults)
	}
	return python.Interpreter{}, errors.New("there is no python3 on the PATH")
}

// ask lets a program say which Python it is, with nothing of our environment.
func (i *interpreter) ask(file string) (python.Interpreter, error) {
	return python.Ask(context.Background(), file, []string{"PATH=" + i.cfg.path(), "HOME=" + i.cfg.environ("HOME", "/"), "LANG=C.UTF-8"})
}
