//go:build linux

package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// frozen is a control plane that is stopped, or killed, at one step of an act.
type frozen struct{ act, step string }

var frozenAt = []frozen{
	{"start", "start: accepted"},
	{"start", "signal: chosen"}, // of the generation before
	{"start", "stop: signalled"},
	{"start", "end: known"},
	{"start", "start: log opened"},
	{"start", "start: prepared"},
	{"start", "start: intended"},
	{"start", "start: ordered"},
	{"start", "start: executed"},
	{"start", "start: recorded"},
	{"start", "discard: chosen"},
	{"start", "discard: moved"},
	{"start", "start: ready"},
	{"start slowly", "start: recorded"}, // its time to be ready passes meanwhile
	{"give up", "signal: chosen"},
	{"give up", "end: known"},
	{"stop", "stop: asked"},
	{"stop", "signal: chosen"},
	{"stop", "stop: signalled"},
	{"stop", "end: known"},
	{"remove", "signal: chosen"},
	{"remove", "remove: stopped"},
	{"remove", "discard: chosen"},
	{"remove", "discard: moved"},
	{"lead", "lead: fenced"},
}

// slowTime is how long a slow start may take.
const slowTime = 4 * time.Second

// runFrozen starts a workload, generation 1, and then does the act. It says
// where it is, what came of it, and what becomes of a later act.
func runFrozen(dir string) {
	var armed atomic.Bool
	l, err := New(Config{DataDir: dir, Unpack: unzip, reached: func(step string) {
		if step != os.Getenv("PROCESSTEST_STEP") || !armed.CompareAndSwap(true, false) {
			return
		}
		fmt.Println("at", step)
		sig := syscall.SIGSTOP
		if os.Getenv("PROCESSTEST_HOW") == "killed" {
			sig = syscall.SIGKILL
		}
		runtime.LockOSThread() // stopped in this very call, not some time after
		defer runtime.UnlockOSThread()
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), sig); err != nil {
			panic(err)
		}
	}})
	ctx := context.Background()
	if err == nil {
		err = l.Lead(ctx, 1)
	}
	work := func(g int64, b launchertest.Behaviour) launcher.Workload {
		return workload("one", g, b, launchertest.EnvCensus+"="+os.Getenv(launchertest.EnvCensus))
	}
	facts := l.Observe(ctx)
	await := func(g int64) {
		for f := range facts {
			if f.Generation == g && (f.State == launcher.Ready || f.State == launcher.Ended) {
				return
			}
		}
	}
	if err == nil {
		if err = l.Start(ctx, work(1, launchertest.Serves)); err == nil {
			await(1)
		}
	}
	armed.Store(true)
	if err == nil {
		switch os.Getenv("PROCESSTEST_ACT") {
		case "start":
			if err = l.Start(ctx, work(2, launchertest.Serves)); err == nil {
				await(2)
				for armed.Load() { // what is cleared is cleared in the background
					time.Sleep(time.Millisecond)
				}
			}
		case "start slowly":
			w := work(2, launchertest.SlowStart)
			w.HealthTimeout = slowTime
			if err = l.Start(ctx, w); err == nil {
				await(2)
			}
		case "give up":
			w := work(2, launchertest.NeverOpen)
			w.HealthTimeout = time.Second
			armed.Store(false)
			if err = l.Start(ctx, w); err == nil {
				for f := range facts {
					if f.Generation == 2 && f.Stage == controlplane.StageStarting {
						break
					}
				}
				armed.Store(true)
				await(2)
			}
		case "stop":
			err = l.Stop(ctx, "one", 1, 5*time.Second)
		case "remove":
			err = l.Remove(ctx, "one")
		case "lead":
			l.Resign()
			err = l.Lead(ctx, 2)
		}
	}
	fmt.Println("came to", err)
	err = l.Start(ctx, work(1000, launchertest.Serves))
	fmt.Println("later", errors.Is(err, launcher.ErrFenced) || errors.Is(err, launcher.ErrNotLeading))
	if err := l.Close(ctx, true, 0); err != nil {
		fmt.Println("close", err)
	}
	os.Exit(0)
}

// Wherever a control plane is stopped, and for however long, or killed: the
// next one goes on from there, and the first changes nothing when it goes on.
func TestAControlPlaneThatIsHeldUpChangesNothing(t *testing.T) {
	for _, c := range frozenAt {
		for _, how := range []string{"stopped", "killed"} {
			for _, next := range []string{"adopts", "starts", "removes"} {
				t.Run(fmt.Sprintf("%s at %s, the next %s", c.act+" "+how, c.step, next), func(t *testing.T) {
					ordinary := next != "removes" && (how == "stopped") == (next == "starts") ||
						next == "removes" && how == "stopped" && c.step == "start: accepted"
					switch {
					case testing.Short():
						t.Skip("-short: programs that are started by the hundred take long under the race detector")
					case !ordinary && os.Getenv("SLIPWAY_E2E") != "all":
						t.Skip("it takes minutes: run with SLIPWAY_E2E=all")
					}
					t.Parallel() // they wait for most of the time
					heldUp(t, c, how, next)
				})
			}
		}
	}
}

func heldUp(t *testing.T, c frozen, how, next string) {
	starts, removes := next == "starts", next == "removes"
	dir, census := tempDir(t), t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROCESSTEST_FROZEN="+dir, "PROCESSTEST_ACT="+c.act, "PROCESSTEST_STEP="+c.step,
		"PROCESSTEST_HOW="+how, launchertest.EnvCensus+"="+census)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer deadline.Stop()
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "at "+c.step {
		t.Fatalf("the first control plane says %q", lines.Text())
	}
	if how == "killed" {
		cmd.Wait()
	} else {
		awaitStopped(t, cmd.Process.Pid)
	}

	l := unled(t, dir)
	if err := l.Lead(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	defer l.Close(context.Background(), true, 0)
	o := launchertest.Observe(t, l)
	live, runs := o.Initial()["one"]
	switch {
	case starts:
		if err := l.Start(t.Context(), workload("one", 3, launchertest.Serves, launchertest.EnvCensus+"="+census)); err != nil {
			t.Fatal(err)
		}
		live, runs = o.Ready("one", 3), true
	case removes:
		if err := l.Remove(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		live, runs = launcher.Fact{}, false
	case runs && live.State == launcher.Starting && c.act != "give up":
		live = o.Ready("one", live.Generation)
	}
	runs = runs && live.State == launcher.Ready
	if s, err := readState(l.instanceDir("one")); c.act == "start slowly" && err == nil && s.Run != nil {
		time.Sleep(time.Until(s.Run.StartedAt.Add(slowTime + 100*time.Millisecond)))
	}

	if how == "stopped" {
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		var said []string
		for lines.Scan() {
			said = append(said, lines.Text())
		}
		if err := cmd.Wait(); err != nil || len(said) != 2 || said[1] != "later true" {
			t.Errorf("the first control plane ended with %v and said %q", err, said)
		}
	}
	settled := c.act != "give up" || starts || removes
	if settled {
		stillAsItWas(t, l, live, runs)
	}
	for _, overlap := range launchertest.Overlaps(census) {
		t.Errorf("two workloads of one instance: %s", overlap)
	}
	// What the first has written does not count for the one after the next.
	if err := l.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	third := unled(t, dir)
	if err := third.Lead(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	defer third.Close(context.Background(), true, 0)
	if settled {
		stillAsItWas(t, third, live, runs)
	}
	if left, err := names(filepath.Join(third.cfg.DataDir, "instances")); removes && (err != nil || slices.Contains(left, "one")) {
		t.Errorf("of the removed instance are left %q, %v", left, err)
	}
}

// stillAsItWas checks that exactly that workload runs, with all that it has.
func stillAsItWas(t *testing.T, l *Launcher, live launcher.Fact, runs bool) {
	t.Helper()
	now := launchertest.Observe(t, l).Initial()["one"]
	if now.State != live.State || now.Generation != live.Generation || now.Identity != live.Identity {
		t.Errorf("now %+v (%v), was %+v", now, now.Reason, live)
	}
	s, err := readState(l.instanceDir("one"))
	if err != nil {
		t.Fatal(err)
	}
	for pid, m := range markedBy(t, l.folder) {
		if !runs || !strings.HasSuffix(m, "/"+s.Run.Nonce) {
			t.Errorf("process %d is left: %s", pid, m)
		}
	}
	if !runs {
		return
	}
	if id, err := procgroup.Parse(now.Identity); err != nil || id.PID != s.Run.Process.PID || !s.Run.Process.Alive() {
		t.Errorf("the process is gone: %+v, %v", s.Run.Process, err)
	}
	for _, path := range []string{"run/" + s.Run.Folder + "/token", "run/" + s.Run.Folder + "/app/app.toml", "logs/" + s.Log} {
		if _, err := os.Stat(filepath.Join(l.instanceDir("one"), path)); err != nil {
			t.Error(err)
		}
	}
	if log := currentLog(t, l, "one"); !strings.Contains(log, "it serves") {
		t.Errorf("the log is %q", log)
	}
}

func awaitStopped(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		p, err := procgroup.ReadProc(pid)
		if err != nil {
			t.Fatal(err)
		}
		if p.State == 'T' {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not stop: %c", pid, p.State)
		}
	}
}
