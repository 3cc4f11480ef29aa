package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// folder is an app as its developer has it.
func folder(t *testing.T, a app) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"app.toml": a.Manifest()}
	if a.Runtime == "" {
		raw, err := os.ReadFile(slipwaytest.Testapp)
		if err != nil {
			t.Fatal(err)
		}
		files["testapp*"] = string(raw)
	}
	for name, text := range a.Files {
		files[name] = text
	}
	for name, text := range files {
		plain, executable := strings.CutSuffix(name, "*")
		mode := os.FileMode(0o600)
		if executable {
			mode = 0o700
		}
		if err := os.WriteFile(filepath.Join(dir, plain), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// runs starts a command that goes on until it is ended.
func (s *slipway) runs(args ...string) *slipwaytest.Process {
	s.t.Helper()
	p := slipwaytest.Start(s.t, append(s.env, "SLIPWAY_CONFIG="+s.config()), args...)
	s.t.Cleanup(p.Kill)
	return p
}

func (s *slipway) holdsNothing() {
	s.t.Helper()
	if apps := s.must("app", "list", "-o", "name"); apps != "" {
		s.t.Errorf("apps are left: %s", apps)
	}
	if instances := s.must("instance", "list", "-o", "name"); instances != "" {
		s.t.Errorf("instances are left: %s", instances)
	}
	if p := s.processes(); len(p) > 0 {
		s.t.Errorf("processes are left: %v", p)
	}
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	s := up(t)
	dir := folder(t, app{Name: "deployed"})
	var both struct {
		App      v1.App
		Instance v1.Instance
	}
	if err := json.Unmarshal([]byte(s.must("bundle", "deploy", dir, "-v", "PUBLIC", "--wait", "-o", "json")), &both); err != nil {
		t.Fatal(err)
	}
	if both.Instance.Status != "DEPLOYED" || both.Instance.AppID != both.App.ID || !strings.HasPrefix(both.App.Version, "1.0.0-20") || len(both.App.Version) != len("1.0.0-20261120153012") {
		t.Errorf("%+v", both)
	}
	if a := s.get(s.host(both.Instance.ID), "/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	again := s.must("bundle", "deploy", dir, "--wait", "-o", "name")
	if strings.Contains(again, both.App.ID) || strings.Count(again, "\n") != 1 {
		t.Errorf("the second one: %s", again)
	}
}

func TestTryingAnApp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(p *slipwaytest.Process)
	}{
		{"Ctrl-C", func(p *slipwaytest.Process) { p.Signal(os.Interrupt) }},
		{"Ctrl-C twice", func(p *slipwaytest.Process) { p.Signal(os.Interrupt); p.Signal(os.Interrupt) }},
		{"a kill", func(p *slipwaytest.Process) { p.Signal(syscall.SIGTERM) }},
		{"the end of the terminal", func(p *slipwaytest.Process) { p.Signal(syscall.SIGHUP) }},
	}
	s := up(t)
	dir := folder(t, app{Name: "tried"})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := s.runs("bundle", "test", dir)
			eventually(t, "it says where the app is", func() bool { return strings.Contains(p.Stderr.String(), "\nURL  http://") })
			tt.end(p)
			p.Exits(t, 130)
			if said := p.Stderr.String(); !strings.Contains(said, "took app tried 1.0.0-20") {
				t.Error(said)
			}
			s.holdsNothing()
		})
	}
	t.Run("a restart of the control plane", func(t *testing.T) {
		p := s.runs("bundle", "test", dir)
		eventually(t, "it says where the app is", func() bool { return strings.Contains(p.Stderr.String(), "\nURL  http://") })
		s.kill()
		s.start()
		p.Exits(t, 8)
		if said := p.Stderr.String(); !strings.Contains(said, "took app tried 1.0.0-20") {
			t.Error(said)
		}
		s.holdsNothing()
	})
}

// TestExecIsAsAnInstance compares what a program finds that exec runs with what
// it finds as an instance.
func TestExecIsAsAnInstance(t *testing.T) {
	t.Parallel()
	s := up(t)
	a := app{Name: "shown", Mode: "BASE_URL", Env: map[string]string{"GREETING": "hi"}, Runtime: "AppMode = \"binary\"\nAppEntryPoint = [\"./show\"]",
		Files: map[string]string{"show*": "#!/bin/sh\nenv | cut -d= -f1 | sort\necho end\nexec sleep 1000\n"}}
	dir := folder(t, a)
	instance := id(s.must("app", "run", id(s.must("bundle", "import", dir, "-o", "name")), "-o", "name"))
	names := func(text string) []string {
		before, _, _ := strings.Cut(text, "end\n")
		list := strings.Split(strings.TrimSpace(before), "\n")
		// The shell's own, the launcher's, and the notes at the head of a log.
		return slices.DeleteFunc(list, func(n string) bool {
			return n == "PWD" || n == "OLDPWD" || n == "SHLVL" || n == "_" || strings.HasPrefix(n, "slipway:")
		})
	}
	var log string
	eventually(t, "the instance's log", func() bool {
		log = s.cli("instance", "logs", instance).out
		return strings.Contains(log, "end\n")
	})
	p := s.runs("exec", dir, "--port", freePort(t))
	eventually(t, "what exec prints", func() bool { return strings.Contains(p.Stdout.String(), "end\n") })
	if got, want := names(p.Stdout.String()), names(log); !slices.Equal(got, want) {
		t.Errorf("exec gives   %q\nan instance %q", got, want)
	}
	p.Signal(os.Interrupt)
	p.Exits(t, 130)
}

func TestExecEndsAllProcesses(t *testing.T) {
	t.Parallel()
	const script = "#!/bin/sh\ntrap '' TERM INT\nsetsid sleep 1234.5 &\nsleep 1234.5 &\nexec ./testapp\n"
	dir := folder(t, app{Name: "local", Files: map[string]string{"run*": script}})
	manifest := app{Name: "local", Runtime: "AppMode = \"binary\"\nAppEntryPoint = [\"./run\"]"}.Manifest()
	if err := os.WriteFile(filepath.Join(dir, "app.toml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	temporary := t.TempDir()
	p := slipwaytest.Start(t, append(os.Environ(), "TMPDIR="+temporary), "exec", dir, "--port", port)
	t.Cleanup(p.Kill)
	eventually(t, "it says where the app is", func() bool {
		return strings.Contains(p.Stderr.String(), "local 1.0.0 is at http://localhost:"+port+"/")
	})
	answer, err := http.Get("http://127.0.0.1:" + port + "/")
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	eventually(t, "two processes sleep", func() bool { return len(sleepers(temporary)) == 2 })
	busy := slipwaytest.Start(t, os.Environ(), "exec", dir, "--port", port)
	busy.Exits(t, 6)
	p.Signal(os.Interrupt)
	p.Signal(os.Interrupt)
	eventually(t, "somebody may be in a hurry", func() bool {
		p.Signal(os.Interrupt)
		return len(sleepers(temporary)) == 0
	})
	p.Exits(t, 130)
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
		c.Close()
		t.Error("the app still listens")
	}
}

// sleepers are the processes that have their home below a folder, and sleep.
func sleepers(home string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		environ, _ := os.ReadFile(dir + "/environ")
		if line, _ := os.ReadFile(dir + "/cmdline"); bytes.Contains(environ, []byte("HOME="+home)) && bytes.HasPrefix(line, []byte("sleep\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestALargeBundleIsStreamed imports 200 MB of noise: neither side holds it.
func TestALargeBundleIsStreamed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it writes some 800 MB")
	}
	const most, size = 64 << 20, 200 << 20
	s := up(t)
	dir := folder(t, app{Name: "large", Runtime: "AppMode = \"binary\"\nAppEntryPoint = [\"./run\"]", Files: map[string]string{"run*": "#!/bin/sh\n"}})
	s.must("bundle", "import", s.file("small.wave", app{Name: "small"}.Bundle(t)))
	noise, err := os.Create(filepath.Join(dir, "noise"))
	if err != nil {
		t.Fatal(err)
	}
	defer noise.Close()
	if _, err := io.CopyN(noise, rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	server := fmt.Sprintf("/proc/%d/", s.process.PID)
	before := memory(t, server+"status", "VmRSS")
	if err := os.WriteFile(server+"clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	p := s.runs("bundle", "import", dir)
	peak := int64(0)
	for end := time.Now().Add(5 * time.Minute); !p.Ended(); time.Sleep(5 * time.Millisecond) {
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID)); err == nil {
			peak = max(peak, field(string(data), "RssAnon"))
		}
		if time.Now().After(end) {
			t.Fatal("it does not end: ", p.Stderr)
		}
	}
	p.Exits(t, 0)
	t.Logf("the client had %d MiB at most", peak>>20)
	if peak > most {
		t.Errorf("the client took %d MiB of memory", peak>>20)
	}
	after := memory(t, server+"status", "VmHWM")
	t.Logf("the server had %d MiB, and %d MiB at most", before>>20, after>>20)
	if after-before > most {
		t.Errorf("the server took %d MiB of memory", (after-before)>>20)
	}
}

// memory is a figure of a process, in bytes.
func memory(t *testing.T, status, name string) int64 {
	t.Helper()
	data, err := os.ReadFile(status)
	if err != nil {
		t.Fatal(err)
	}
	return field(string(data), name)
}

func field(status, name string) int64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}
