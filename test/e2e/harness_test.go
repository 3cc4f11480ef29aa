package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

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

	process *slipwaytest.Process
	lines   []string // of stdout, up to ready
	toReady time.Duration
}

// newSlipway prepares a data folder; start starts. All that it leaves, started
// by it or by what it ran, ends with the test.
func newSlipway(t *testing.T, args ...string) *slipway {
	t.Helper()
	places <- struct{}{}
	s := &slipway{t: t, data: filepath.Join(t.TempDir(), "data"), port: freePort(t), args: args}
	var err error
	if s.sockets, err = os.MkdirTemp(slipwaytest.RuntimeDir, ""); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.sockets)
	t.Cleanup(func() {
		defer func() { <-places }()
		s.kill()
		slipwaytest.KillApps(s.data)
		if t.Failed() {
			t.Log(slipwaytest.LogTail(s.data))
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

// configure gives the next start a file of settings.
func (s *slipway) configure(settings string) {
	s.t.Helper()
	s.args = append(s.args, "--no-sample", "--config", s.file("settings", []byte("slipway {\n"+settings+"\n}\n")))
}

// start starts `slipway up` and waits for its line ready.
func (s *slipway) start() {
	s.t.Helper()
	args := append([]string{"up", "--listen", s.address(), "--data", s.data}, s.args...)
	s.process = slipwaytest.Start(s.t, s.env, args...)
	s.lines = s.process.AwaitReady(s.t)
	s.toReady = time.Since(s.process.Began)
}

// stop ends `slipway up` as Ctrl-C would, and wants that to be clean.
func (s *slipway) stop() {
	s.t.Helper()
	s.process.Stop(s.t)
	if said := s.process.Stderr.String(); said != "" {
		s.t.Errorf("slipway up said: %s", said)
	}
	if left, err := os.ReadDir(s.sockets); err != nil || len(left) > 0 {
		s.t.Errorf("it left sockets behind: %v, %v", left, err)
	}
}

// kill ends `slipway up`, and it alone, as the kernel does when memory is out.
func (s *slipway) kill() {
	s.process.Kill()
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
	return slipwaytest.Client(s.t, s.config())
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
	cmd := exec.CommandContext(s.t.Context(), slipwaytest.Binary, args...)
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

func (s *slipway) processes() []slipwaytest.AppProcess { return slipwaytest.AppProcesses(s.data) }

// pids are the processes of one instance.
func (s *slipway) pids(instance string) []int { return slipwaytest.AppPIDs(s.data, instance) }
