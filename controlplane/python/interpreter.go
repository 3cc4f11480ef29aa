package python

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"
)

// answer is how long an interpreter may take to say who it is.
const answer = 10 * time.Second

// Interpreter is a Python that can be executed.
type Interpreter struct {
	Path    string // as it calls itself: the file behind shims of version managers
	Real    string // without links
	Version string // in its own words
	Minor   int    // 11 of 3.11
}

// Ask lets a program say which Python it is, within 10 s. It is run with this
// environment; nil is that of this process. One that is older than 3.8 is an
// error.
func Ask(ctx context.Context, file string, env []string) (Interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, "-I", "-c",
		"import json, os, sys; print(json.dumps([sys.executable, os.path.realpath(sys.executable), sys.version, sys.version_info[:2]]))")
	cmd.Env, cmd.WaitDelay = env, time.Second
	out, err := cmd.Output()
	if err != nil {
		return Interpreter{}, fmt.Errorf("ask %s for its version: %w", file, err)
	}
	var p Interpreter
	var version [2]int
	if err := json.Unmarshal(out, &[]any{&p.Path, &p.Real, &p.Version, &version}); err != nil {
		return Interpreter{}, fmt.Errorf("ask %s for its version: %w", file, err)
	}
	if version[0] != 3 || version[1] < 8 {
		return Interpreter{}, fmt.Errorf("%s is Python %d.%d, 3.8 or newer is needed", file, version[0], version[1])
	}
	p.Minor = version[1]
	if p.Path == "" {
		p.Path, p.Real = file, file
	}
	return p, nil
}
