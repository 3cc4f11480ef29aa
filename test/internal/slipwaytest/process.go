package slipwaytest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// Patience is how long anything may take that is not measured.
const Patience = 30 * time.Second

// Process is a running slipway of whatever command, or another program.
type Process struct {
	Began          time.Time
	PID            int
	Stdout, Stderr *Buffer

	cmd    *exec.Cmd
	exited chan error // holds what Wait returned
}

// Start runs the binary. Who starts it ends it, with Kill at the latest.
func Start(t testing.TB, env []string, args ...string) *Process {
	t.Helper()
	return StartProgram(t, Binary, env, args...)
}

// StartProgram is Start for another program than slipway.
func StartProgram(t testing.TB, program string, env []string, args ...string) *Process {
	t.Helper()
	if err := touchOnce(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: exec.Command(program, args...), Stdout: new(Buffer), Stderr: new(Buffer), exited: make(chan error, 1)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.Stdout, p.Stderr
	p.Began = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.PID = p.cmd.Process.Pid
	go func() { p.exited <- p.cmd.Wait() }() // ends with the process
	return p
}

// AwaitReady waits for the line ready of `slipway up`, and returns what it
// printed up to and with it. A process that ends before that fails the test.
func (p *Process) AwaitReady(t testing.TB) []string {
	t.Helper()
	for end := time.Now().Add(Patience); ; {
		lines := strings.Split(p.Stdout.String(), "\n")
		if i := slices.Index(lines[:len(lines)-1], "ready"); i >= 0 {
			return lines[:i+1]
		}
		select {
		case err := <-p.exited:
			p.exited <- err
			t.Fatalf("slipway ended: %v\n%s", err, p.Stderr)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("slipway is not ready after %s\n%s", Patience, p.Stderr)
		}
	}
}

// Signal sends a signal to a process that may have ended.
func (p *Process) Signal(signal os.Signal) { _ = p.cmd.Process.Signal(signal) }

// Freeze stops the process until Thaw, as if it got no time any more.
func (p *Process) Freeze() { p.Signal(syscall.SIGSTOP) }

// Thaw has a frozen process go on.
func (p *Process) Thaw() { p.Signal(syscall.SIGCONT) }

// Stop ends the process as Ctrl-C would, and wants that to be clean.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	select {
	case err := <-p.exited:
		p.exited <- err
		if err != nil {
			t.Errorf("%s ended with %v", p.cmd, err)
		}
	case <-time.After(Patience):
		t.Errorf("%s did not end by TERM in %s", p.cmd, Patience)
		p.Kill()
	}
}

// Exits waits for the process to end by itself, and wants this exit code.
func (p *Process) Exits(t testing.TB, code int) {
	t.Helper()
	select {
	case err := <-p.exited:
		p.exited <- err
		if got := p.cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s ended with %d, want %d: %s", p.cmd, got, code, p.Stderr)
		}
	case <-time.After(Patience):
		t.Errorf("%s did not end in %s: %s", p.cmd, Patience, p.Stderr)
	}
}

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case err := <-p.exited:
		p.exited <- err
		return true
	default:
		return false
	}
}

// Kill ends the process, and it alone, as the kernel does when memory is out.
// One that has not begun, nil, or has ended stays as it is.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	p.Signal(os.Kill)
	p.exited <- <-p.exited
}

// AppProcess is one process of an instance.
type AppProcess struct {
	PID      int
	Instance string
}

// AppProcesses are the living processes of a data folder's instances, whoever
// started them: the launcher puts the instance's ID and a HOME below the data
// folder into their environment. Zombies have none.
func AppProcesses(data string) []AppProcess {
	var found []AppProcess
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range entries {
		raw, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(raw, []byte("HOME="+data+"/")) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
		for line := range strings.SplitSeq(string(raw), "\x00") {
			if id, ok := strings.CutPrefix(line, "H2O_CLOUD_INSTANCE_ID="); ok {
				found = append(found, AppProcess{pid, id})
			}
		}
	}
	slices.SortFunc(found, func(a, b AppProcess) int { return a.PID - b.PID })
	return found
}

// AppPIDs are the processes of one instance.
func AppPIDs(data, instance string) (pids []int) {
	for _, p := range AppProcesses(data) {
		if p.Instance == instance {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// KillApps ends every process of a data folder's instances. Slipway has to have
// ended: what it has begun there, by processes that outlive it for a moment, ends
// too before KillApps returns.
func KillApps(data string) {
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		busy := handsAtWork(data) // first: they may become an app
		apps := AppProcesses(data)
		for _, p := range apps {
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may have ended
		}
		if !busy && len(apps) == 0 {
			return
		}
	}
}

// handsAtWork reports whether a process of the launcher acts below the data
// folder.
func handsAtWork(data string) bool {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range entries {
		raw, _ := os.ReadFile(name) // it may have ended
		if args := strings.Split(string(raw), "\x00"); len(args) > 2 && args[1] == hand.Arg && strings.HasPrefix(args[2]+"/", data+"/") {
			return true
		}
	}
	return false
}

// LogTail is the end of the log that `slipway up` keeps in its data folder.
func LogTail(data string) string {
	raw, err := os.ReadFile(filepath.Join(data, "slipway.log"))
	if err != nil {
		return err.Error()
	}
	return tail("slipway.log", string(raw))
}

// Tail is the end of what the process, if it has begun, has said to stderr.
func (p *Process) Tail() string {
	if p == nil {
		return "it has not begun"
	}
	return tail("what "+p.cmd.String()+" said", p.Stderr.String())
}

func tail(of, text string) string {
	return fmt.Sprintf("the end of %s:\n%s", of, text[max(0, len(text)-4000):])
}

// Buffer is a bytes.Buffer that may be read while it is written.
type Buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}
