//go:build linux

package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// errStep is a step's own failure, whose cause is in the log.
var errStep = errors.New("the step failed")

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
	progress progress
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
				err = errStep
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
			if !b.progress.line(string(line)) {
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
	b.progress.look()
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

// failed types the failure of a step by the last error that it wrote.
func (b *builder) failed(step string, err error) *controlplane.Reason {
	if errors.Is(err, unix.ENOSPC) {
		return noCapacity(err)
	}
	if !errors.Is(err, errStep) {
		return reason(controlplane.Dependencies, "the Python environment cannot be built: %s: %v", step, err)
	}
	return reason(controlplane.Dependencies, "the packages of requirements.txt cannot be installed: %s", lastError(b.said(), step))
}

// lastError is pip's last line that begins with ERROR, or its last line at all.
func lastError(text, step string) string {
	last := ""
	for _, line := range slices.Backward(strings.Split(text, "\n")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "ERROR:") {
			return strings.TrimSpace(strings.TrimPrefix(line, "ERROR:"))
		}
		if last == "" {
			last = line
		}
	}
	if last == "" {
		return fmt.Sprintf("%s failed without a word", step)
	}
	return last
}

// environ is what pip gets: never the control plane's environment, which holds
// its secrets, but the operator's settings for pip and the way out.
func (b *builder) environ() []string {
	cfg := b.e.t.cfg
	env := []string{"PATH=" + cfg.path(), "HOME=" + b.home, "TMPDIR=" + b.home, "LANG=C.UTF-8"}
	for _, entry := range cfg.Environ {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
			"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE":
			env = append(env, entry)
		default:
			if strings.HasPrefix(name, "PIP_") {
				env = append(env, entry)
			}
		}
	}
	return env
}
