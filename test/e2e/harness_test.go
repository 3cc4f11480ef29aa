package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
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

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// patience is how long anything may take that is not measured.
const patience = 30 * time.Second

// places limits how many slipways run at a time: with more, the figures would
// be those of the machine's scheduler.
var places = make(chan struct{}, 2)

// slipway is one data folder, and the `slipway up` that runs on it.
type slipway struct {
	t       *testing.T
	data    string
	sockets string // XDG_RUNTIME_DIR
	port    string
	args    []string // beside --data and --listen
	env     []string

	cmd     *exec.Cmd
	stderr  *buffer
	lines   []string // of stdout, up to ready
	exited  chan error
	toReady time.Duration
}

// newSlipway prepares a data folder; start starts. All that it leaves, started
// by it or by what it ran, ends with the test.
func newSlipway(t *testing.T, args ...string) *slipway {
	t.Helper()
	places <- struct{}{}
	s := &slipway{t: t, data: filepath.Join(t.TempDir(), "data"), port: freePort(t), args: args}
	var err error
	if s.sockets, err = os.MkdirTemp(runtimeDir, ""); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.sockets)
	t.Cleanup(func() {
		defer func() { <-places }()
		s.kill()
		for _, p := range s.processes() {
			syscall.Kill(p.pid, syscall.SIGKILL)
		}
		if t.Failed() {
			s.showLog()
		}
	})
	return s
}

// up is a running slipway without the sample app.
func up(t *testing.T, args ...string) *slipway {
	t.Helper()
	s := newSlipway(t, append([]string{"--no-sample"}, args...)...)
	s.start()
	return s
}

// start starts `slipway up` and waits for its line ready.
func (s *slipway) start() {
	s.t.Helper()
	begin := time.Now()
	args := append([]string{"up", "--listen", s.address(), "--data", s.data}, s.args...)
	s.cmd = exec.Command(slipwayBinary, args...)
	s.stderr, s.lines, s.exited = new(buffer), nil, make(chan error, 1)
	s.cmd.Env, s.cmd.Stderr = s.env, s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan struct{})
	go func(cmd *exec.Cmd, exited chan error) {
		seen := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if !seen {
				s.lines = append(s.lines, lines.Text())
			}
			if lines.Text() == "ready" && !seen {
				seen = true
				close(ready)
			}
		}
		exited <- cmd.Wait()
	}(s.cmd, s.exited)
	select {
	case <-ready:
		s.toReady = time.Since(begin)
	case err := <-s.exited:
		s.cmd = nil
		s.t.Fatalf("slipway up ended: %v\n%s", err, s.stderr)
	case <-time.After(patience):
		s.t.Fatalf("slipway up is not ready after %s\n%s", patience, s.stderr)
	}
}

// stop ends `slipway up` as Ctrl-C would, and wants that to be clean.
func (s *slipway) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		if err != nil || s.stderr.String() != "" {
			s.t.Errorf("slipway up ended with %v and said: %s", err, s.stderr)
		}
	case <-time.After(patience):
		s.t.Errorf("slipway up did not end by TERM in %s", patience)
		s.cmd.Process.Kill()
		<-s.exited
	}
	s.cmd = nil
	if left, err := os.ReadDir(s.sockets); err != nil || len(left) > 0 {
		s.t.Errorf("it left sockets behind: %v, %v", left, err)
	}
}

// kill ends `slipway up`, and it alone, as the kernel does when memory is out.
func (s *slipway) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
}

func (s *slipway) showLog() {
	raw, err := os.ReadFile(filepath.Join(s.data, "slipway.log"))
	if err != nil {
		return
	}
	s.t.Logf("the end of slipway.log:\n%s", raw[max(0, len(raw)-4000):])
}

func (s *slipway) address() string { return "127.0.0.1:" + s.port }

// origin is the base URL with another host: a label, or "" for the base domain.
func (s *slipway) origin(label string) string { return "http://" + s.host(label) }

func (s *slipway) host(label string) string {
	if label != "" {
		label += "."
	}
	return label + "localhost:" + s.port
}

// api is a client with the token that slipway wrote.
func (s *slipway) api() *client.Client {
	s.t.Helper()
	context, err := cli.ReadContext(s.config())
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: context.Endpoint, Token: context.Token, HTTP: &http.Client{Transport: client.LoopbackTransport()}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *slipway) config() string { return filepath.Join(s.data, "cli.toml") }

// result is what a command did.
type result struct {
	out, err string
	code     int
}

// cli runs a command of the real binary against this slipway.
func (s *slipway) cli(args ...string) result {
	s.t.Helper()
	return s.command(append(s.env, "SLIPWAY_CONFIG="+s.config()), args...)
}

// must is cli for a command that has to succeed; it returns its stdout.
func (s *slipway) must(args ...string) string {
	s.t.Helper()
	r := s.cli(args...)
	if r.code != 0 {
		s.t.Fatalf("slipway %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return strings.TrimSpace(r.out)
}

func (s *slipway) command(env []string, args ...string) result {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), slipwayBinary, args...)
	var out, faults bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = env, &out, &faults, s.t.TempDir()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return result{out.String(), faults.String(), cmd.ProcessState.ExitCode()}
}

// wants checks the exit code and that the words are in what was said to the
// user.
func (r result) wants(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, word := range words {
		if !strings.Contains(r.err, word) {
			t.Errorf("stderr does not say %q:\n%s", word, r.err)
		}
	}
}

// process is one process of an instance.
type process struct {
	pid      int
	instance string
}

// processes are the living processes of this folder's instances, whoever
// started them: the launcher puts the instance's ID and a HOME below the data
// folder into their environment. Zombies have none.
func (s *slipway) processes() []process {
	var found []process
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range entries {
		raw, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(raw, []byte("HOME="+s.data+"/")) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
		for line := range strings.SplitSeq(string(raw), "\x00") {
			if id, ok := strings.CutPrefix(line, "H2O_CLOUD_INSTANCE_ID="); ok {
				found = append(found, process{pid, id})
			}
		}
	}
	slices.SortFunc(found, func(a, b process) int { return a.pid - b.pid })
	return found
}

// pids are the processes of one instance.
func (s *slipway) pids(instance string) []int {
	var pids []int
	for _, p := range s.processes() {
		if p.instance == instance {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// eventually polls until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not so: %s", patience, what)
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	data bytes.Buffer
}

var _ io.Writer = (*buffer)(nil)

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data.String()
}
