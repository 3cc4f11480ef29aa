//go:build linux

package process

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// A control plane is killed at random moments, between a fork and its record
// among them. Whatever moment it was, the next one accounts for every process.
func TestKilledControlPlaneLeavesNothingUnknown(t *testing.T) {
	dir, census := tempDir(t), t.TempDir()
	adopted := 0
	for round := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PROCESSTEST_CONTROL_PLANE="+dir, fmt.Sprintf("PROCESSTEST_EPOCH=%d", epochs.Add(1)), launchertest.EnvCensus+"="+census)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() || lines.Text() != "open" {
			t.Errorf("control plane: %q", lines.Text())
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		cmd.Process.Kill()
		for lines.Scan() {
			t.Errorf("control plane: %s", lines.Text())
		}
		cmd.Wait()

		l := openLauncher(t, dir)
		running := map[string]string{} // instance to marker
		for pid, m := range markedBy(t, l.folder) {
			id := strings.Split(m, "/")[1]
			if other, ok := running[id]; ok {
				t.Errorf("round %d: process %d of %s beside %s", round, pid, m, other)
			}
			running[id] = m
		}
		facts := launchertest.Observe(t, l).Initial()
		for id, m := range running {
			f, ok := facts[id]
			if !ok || !strings.Contains(m, fmt.Sprintf("/%d/", f.Generation)) {
				t.Errorf("round %d: %s runs, the fact is %+v", round, m, f)
			}
		}
		for id, f := range facts {
			if _, ok := running[id]; !ok && f.State == launcher.Ready && termOf(t, l).instances[id].run != nil && !termOf(t, l).instances[id].run.over() {
				t.Errorf("round %d: %+v, and nothing runs", round, f)
			}
		}
		adopted += len(running)
		if err := l.Close(context.Background(), round == 11, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if adopted == 0 {
		t.Error("no round left a process to adopt: the test tests nothing")
	}
	for _, o := range launchertest.Overlaps(census) {
		t.Errorf("two workloads of one instance: %s", o)
	}
	t.Logf("adopted %d processes", adopted)
}

// What a kill between the fork and its record leaves: an intent, and a process
// that carries its nonce. Another nonce is another start's.
func TestAnIntentAdoptsItsOwnProcessOnly(t *testing.T) {
	for _, c := range []struct {
		name  string
		nonce func(string) string
		state launcher.State
	}{
		{"the process of the intent goes on", func(n string) string { return n }, launcher.Ready},
		{"a process of another start is killed", func(string) string { return "OTHER" }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			l := openLauncher(t, dir)
			o := launchertest.Observe(t, l)
			if err := l.Start(t.Context(), workload("one", 3, launchertest.Serves)); err != nil {
				t.Fatal(err)
			}
			o.Ready("one", 3)
			if err := l.Close(t.Context(), false, 0); err != nil {
				t.Fatal(err)
			}
			s, err := readState(l.instanceDir("one"))
			if err != nil {
				t.Fatal(err)
			}
			s.Run.Process, s.Run.Ready, s.Run.Endpoint = procgroup.Ident{}, false, ""
			s.Run.Nonce = c.nonce(s.Run.Nonce)
			if err := writeState(l.instanceDir("one"), epochs.Load(), s); err != nil {
				t.Fatal(err)
			}
			l = opened(t, dir)
			o = launchertest.Observe(t, l)
			if c.state == launcher.Ready {
				o.Ready("one", 3)
				return
			}
			if all := o.Initial(); len(all) > 0 {
				t.Errorf("a start that was cut off is no workload: %v", all)
			}
			if left := markedBy(t, l.folder); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestAProcessOfNobodyIsKilled(t *testing.T) {
	dir := tempDir(t)
	l := openLauncher(t, dir)
	o := launchertest.Observe(t, l)
	for id := range 3 {
		if err := l.Start(t.Context(), workload(fmt.Sprint(id), 1, forks)); err != nil {
			t.Fatal(err)
		}
		o.Ready(fmt.Sprint(id), 1)
	}
	if err := l.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	os.RemoveAll(l.instanceDir("0"))                                                      // removed behind our back
	os.WriteFile(filepath.Join(l.instanceDir("1"), stateName(epochs.Load())), nil, 0o600) // a broken disk
	l = opened(t, dir)
	if all := launchertest.Observe(t, l).Initial(); len(all) != 1 || all["2"].State != launcher.Ready {
		t.Errorf("adopted %v", all)
	}
	for _, m := range markedBy(t, l.folder) {
		if strings.Split(m, "/")[1] != "2" {
			t.Errorf("%s still runs", m)
		}
	}
}

func TestACopyOfAFolderHasAnotherName(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	place := func(dir string) string {
		l, err := New(config(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close(t.Context(), false, 0)
		name, err := l.Place(t.Context())
		if err != nil {
			t.Error(err)
		}
		return name
	}
	first := place(a)
	if again := place(a); again != first || first == "" {
		t.Errorf("%s becomes %s", first, again)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(b, os.DirFS(a)); err != nil {
		t.Fatal(err)
	}
	if other := place(b); other == first {
		t.Errorf("the copy is %s too", other)
	}
}

func TestACopyOfAFolderLeavesTheFirstOnesProcessesAlone(t *testing.T) {
	a, b := tempDir(t), tempDir(t)
	first := opened(t, a)
	running := start(t, first, workload("one", 1, launchertest.Serves)).Ready("one", 1)
	// The last of its records is written: what is copied stands still.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if s, err := readState(first.instanceDir("one")); err == nil && s.Run.Ready {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not recorded as ready")
		}
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", a, b).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	copied := opened(t, b)
	if err := copied.Stop(t.Context(), "one", 1, 0); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + running.Endpoint + "/")
	if err != nil {
		t.Fatalf("the copy has stopped it: %v", err)
	}
	resp.Body.Close()
	started := start(t, copied, workload("one", 2, launchertest.Serves)).Ready("one", 2)
	if started.Endpoint == running.Endpoint {
		t.Errorf("both are at %s", started.Endpoint)
	}
	// A second leader of the copy adopts what is the copy's.
	copied.Resign()
	if err := copied.Lead(t.Context(), epochs.Add(1)); err != nil {
		t.Fatal(err)
	}
	launchertest.Observe(t, copied).Ready("one", 2)
}

// A process that nobody accounts for does not live on by the name of a hand.
func TestAProcessThatCallsItselfAHandIsReaped(t *testing.T) {
	dir := tempDir(t)
	l := opened(t, dir)
	script := t.TempDir()
	if err := os.WriteFile(filepath.Join(script, hand.Arg), []byte("read line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", hand.Arg, l.cfg.DataDir)
	cmd.Dir = script
	cmd.Env = []string{procgroup.MarkerName + "=" + marker(l.folder, "one", 1, "nonce")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	wait, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer wait.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !l.isHand(cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not look like a hand")
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	l.Resign()
	if err := l.Lead(t.Context(), epochs.Add(1)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err == nil || err.Error() != "signal: killed" {
			t.Errorf("it ended: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it lives on")
	}
}
