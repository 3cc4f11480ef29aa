//go:build linux

package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/python/venv"
)

// builder runs the steps of one installation, each as a process group of its
// own that does not outlive it.
type builder struct {
	e      *environments
	key    string
	nonce  string   // of this installation
	log    *os.File // its log, what the steps write to
	output *os.File // the instance's log, a copy
	home   string   // HOME and TMPDIR
	dir    string   // requirements.txt and wheels, what is installed from

	isolation buildIsolation

	copied   int64 // how far the log is in the instance's
	progress venv.Progress
}

// run executes a step. When ctx ends it kills the step's group.
func (b *builder) run(ctx context.Context, path string, args ...string) error {
	own := marker(b.e.t.folder, "envs/"+b.key, 0, b.nonce)
	c, err := b.e.t.spawn(command{path: path, args: args, dir: b.dir, env: b.environ(), confine: b.isolation.spec}, own, b.log)
	if err != nil {
		return err
	}
	defer c.close()
	g := b.e.t.group(c.Ident, own)
	for {
		look, cancel := context.WithTimeout(ctx, followInterval)
		e, err := c.wait(look)
		cancel()
		b.copy(err == nil)
		switch {
		case err == nil:
			// Nothing of a step may write to the environment after it.
			err = g.kill(ctx)
			if err == nil && !(e.known && e.status.Exited() && e.status.ExitStatus() == 0) {
				err = venv.ErrStep
			}
			return err
		case ctx.Err() != nil:
			grave, cancel := context.WithTimeout(context.WithoutCancel(ctx), reapTime)
			defer cancel()
			err = g.kill(grave)
			if _, waitErr := c.wait(grave); err == nil {
				err = waitErr
			}
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// longestLine bounds a line of a step, in bytes: a longer one is taken in parts.
const longestLine = 64 << 10

// copy appends the lines that the steps have written to the instance's log, but
// for those that are for programs. One that has no end yet waits for it, unless
// the step is over. What it has copied the log loses where it is too long.
func (b *builder) copy(over bool) {
	chunk := make([]byte, longestLine)
	// What comes meanwhile is for the next time: a step may write faster.
	length, _, err := sizes(b.log)
	if length < b.copied {
		b.copied = 0 // it was written anew
	}
	for err == nil && b.copied < length {
		var n int
		var from int64
		n, from, err = readAt(b.log, chunk, b.copied)
		whole := chunk[:n]
		if end := bytes.LastIndexByte(whole, '\n') + 1; end > 0 {
			whole = whole[:end]
		} else if n < len(chunk) && !over {
			whole = nil
		}
		for line := range bytes.Lines(whole) {
			if !b.progress.Line(string(line)) {
				_, _ = b.output.Write(line)
			}
		}
		if b.copied = from + int64(len(whole)); len(whole) == 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err := trimFile(b.log, b.e.t.cfg.LogLimit); err != nil {
		b.e.t.cfg.Log.Warn("bound the log of an installation", zap.Error(err))
	}
	b.progress.Look()
}

// said is what the steps have written, its last 64 KiB.
func (b *builder) said() string {
	var from int64
	if info, err := b.log.Stat(); err == nil {
		from = max(0, info.Size()-64<<10)
	}
	text, _ := io.ReadAll(io.NewSectionReader(b.log, from, 64<<10))
	return string(text)
}

// environ is what pip gets: never the control plane's environment, which holds
// its secrets, but the operator's settings for pip and the way out.
func (b *builder) environ() []string {
	cfg := b.e.t.cfg
	return append([]string{"PATH=" + cfg.path(), "HOME=" + b.home, "TMPDIR=" + b.home, "LANG=C.UTF-8"}, venv.Settings(cfg.Environ)...)
}
