package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// patience is how long people wait for an app without asking what it does.
const patience = 10 * time.Second

// ended is the end of one program.
type ended struct {
	program program
	err     error
}

// supervise starts the programs, says when the app answers, and ends them all
// when one of them has ended or ctx has.
func (r *run) supervise(ctx context.Context, programs []program) error {
	g := &group{mark: "exec-" + rand.Text()}
	ends := make(chan ended, len(programs))
	started := 0
	var first error
	for _, p := range programs {
		cmd := exec.Command(p.path, p.args...)
		cmd.Dir, cmd.Env = p.dir, p.env
		cmd.Stdout, cmd.Stderr = r.Out, r.Err
		cmd.WaitDelay = time.Second // what has got away may keep the pipes
		if err := g.start(cmd); err != nil {
			first = controlplane.Errorf(controlplane.CodeInvalid, "run %s: it cannot be executed on this machine: %s", p.name, procgroup.Unrunnable(p.path, err))
			break
		}
		started++
		go func() { ends <- ended{p, cmd.Wait()} }() // ends with the program
	}
	over := started
	if first == nil {
		watch, stop := context.WithCancel(ctx)
		answered := make(chan bool, 1)
		go func() { answered <- r.awaitReady(watch, g) }() // ends with watch
		select {
		case <-ctx.Done():
			first = ctx.Err()
		case e := <-ends:
			over--
			first = e.why()
		}
		stop()
		if !<-answered && first == nil {
			r.Warn("the app ended, and nothing had answered at %s: on the platform that is a start that failed", r.url())
		}
	}
	r.end(g)
	for ; over > 0; over-- {
		<-ends
	}
	return first
}

// why is nil for a program that ended well.
func (e ended) why() error {
	exit, ok := e.err.(*exec.ExitError) //nolint:errorlint // as Wait returns it
	switch {
	case e.err == nil:
		return nil
	case ok && exit.Exited():
		return fmt.Errorf("%w: %s, with status %d", errEnded, e.program.name, exit.ExitCode())
	}
	return fmt.Errorf("%w: %s: %w", errEnded, e.program.name, e.err)
}

// end asks all processes to end, and forces them when the grace is over or
// somebody is in a hurry.
func (r *run) end(g *group) {
	hurry, stop := r.Hurry()
	defer stop()
	grace := time.After(r.Grace)
	g.signal(false)
	for forced := false; g.alive(); {
		if forced {
			g.signal(true)
		}
		select {
		case <-hurry:
			forced = true
		case <-grace:
			r.Say("the app did not end in %s and is killed", r.Grace)
			forced = true
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitReady says where the app is, once it answers, and reports whether it did
// before ctx ended. Where that takes longer than people wait without asking, it
// says once what is missing.
func (r *run) awaitReady(ctx context.Context, g *group) bool {
	impatient := r.Impatient
	if impatient == nil {
		impatient = time.After(patience)
	}
	for wait := (probe.Backoff{}); ; {
		if r.answers(ctx) {
			r.Say("%s %s is at %s (Ctrl-C ends it)", r.m.Name, r.m.Version, r.url())
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-impatient:
			r.Warn("%s", r.unanswered(ctx, g))
		case <-time.After(wait.Next()):
		}
	}
}

// unanswered is what an app does not do that runs and does not answer.
func (r *run) unanswered(ctx context.Context, g *group) string {
	for _, port := range r.ports {
		if probe.Connect(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) == nil {
			continue
		}
		text := fmt.Sprintf("nothing listens on port %d", port)
		if port == r.Port {
			text += ", which the app finds in PORT"
		}
		if at := g.listens(r.ports); len(at) > 0 {
			text += "; it listens on " + strings.Join(at, ", ")
		}
		return text
	}
	return fmt.Sprintf("Runtime.HealthPath %s does not answer 2xx or 3xx", r.m.Runtime.HealthPath)
}

func (r *run) answers(ctx context.Context) bool {
	for _, port := range r.ports {
		if probe.Connect(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) != nil {
			return false
		}
	}
	path, port := r.m.Runtime.HealthPath, strconv.Itoa(r.Port)
	return path == "" || probe.Health(ctx, net.JoinHostPort("127.0.0.1", port), "localhost:"+port, path) == nil
}

// unusable is an error of the developer's machine.
func unusable(hint, format string, args ...any) error {
	return controlplane.Errorf(controlplane.CodeInternal, format, args...).WithHint("%s", hint)
}

// executable reports a file that may be run.
func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
