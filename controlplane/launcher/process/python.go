//go:build linux

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How long a look-up of python3 holds, and how long one may take.
const (
	pythonFound   = time.Minute
	pythonMissing = 10 * time.Second
	pythonAnswer  = 10 * time.Second
)

// python is one interpreter.
type python struct {
	path    string // as it calls itself: the file behind shims of version managers
	real    string // without links
	version string
}

// interpreter finds the first python3 of the PATH that can be executed and is
// new enough, and remembers it for a while.
type interpreter struct {
	cfg Config
	may func(program string) bool // be executed by the instances' users

	mu    sync.Mutex
	last  python
	err   error
	until time.Time
}

func newInterpreter(cfg Config, may func(string) bool) *interpreter {
	return &interpreter{cfg: cfg, may: may}
}

func (i *interpreter) find() (python, error) {
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

func (i *interpreter) search() (python, error) {
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
		if err == nil && !i.may(p.path) {
			err = fmt.Errorf("%s is %s, which users of instances may not execute", file, p.path)
		}
		if err == nil {
			return p, nil
		}
		faults = errors.Join(faults, err)
	}
	if faults != nil {
		return python{}, fmt.Errorf("no usable python3: %w", faults)
	}
	return python{}, errors.New("there is no python3 on the PATH")
}

// ask lets an interpreter introduce itself.
func (i *interpreter) ask(file string) (python, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pythonAnswer)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, "-I", "-c",
		"import json, os, sys; print(json.dumps([sys.executable, os.path.realpath(sys.executable), sys.version, sys.version_info[:2]]))")
	cmd.Env = []string{"PATH=" + i.cfg.path(), "HOME=" + i.cfg.environ("HOME", "/"), "LANG=C.UTF-8"}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return python{}, fmt.Errorf("ask %s for its version: %w", file, err)
	}
	var p python
	var version [2]int
	if err := json.Unmarshal(out, &[]any{&p.path, &p.real, &p.version, &version}); err != nil {
		return python{}, fmt.Errorf("ask %s for its version: %w", file, err)
	}
	if version[0] != 3 || version[1] < 8 {
		return python{}, fmt.Errorf("%s is Python %d.%d, 3.8 or newer is needed", file, version[0], version[1])
	}
	if p.path == "" {
		p.path, p.real = file, file
	}
	return p, nil
}
