//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// binaryApp is an app that is this script.
func (p *place) binaryApp(script string) string {
	p.Helper()
	p.files(map[string]string{"run.sh": "#!/bin/sh\n" + script})
	return p.give(inpod.Run{
		Mode: controlplane.Binary, EntryPoint: []string{"./run.sh", "one"}, Args: []string{"two"}, App: p.path("app"), Work: p.path("work"), Port: 1,
		Files: []inpod.File{{Path: "key", Value: []byte("a secret\n")}},
	})
}

func TestABinaryAppRuns(t *testing.T) {
	for name, c := range map[string]struct {
		script, out string
		code        int
	}{
		"its arguments, files and folder": {`echo "$@"; cat key; pwd; stat -c %a key; exit 7`, "one two\na secret\nAPP\n600\n", 7},
		"an end by a signal":              {"kill -SEGV $$", "", 128 + 11},
		"an end with orphans":             {"sleep 1000 & echo begun", "begun\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			r := p.step(inpod.StepRun, p.binaryApp(c.script))
			if want := strings.ReplaceAll(c.out, "APP", p.path("app")); r.code != c.code || r.out != want {
				t.Errorf("exit code %d\n%s\nwant %d\n%s", r.code, r.out, c.code, want)
			}
			if info, err := os.Stat(p.path("work", "home")); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("home: %v, %v", info, err)
			}
		})
	}
}

func TestABinaryThatCannotRun(t *testing.T) {
	for name, c := range map[string]struct {
		entry []string
		words string
	}{
		"none":       {nil, "no Runtime.AppEntryPoint"},
		"not there":  {[]string{"missing"}, "Runtime.AppEntryPoint missing cannot be executed"},
		"a folder":   {[]string{"folder"}, "not a file"},
		"outside":    {[]string{"../tmp"}, "cannot be executed"},
		"no program": {[]string{"text"}, "Runtime.AppEntryPoint text cannot be executed in the pod"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.files(map[string]string{"text": "\x00\x01no program", "folder/x": ""})
			p.refused(p.step(inpod.StepRun, p.give(inpod.Run{
				Mode: controlplane.Binary, EntryPoint: c.entry, App: p.path("app"), Work: p.path("work"),
			})), controlplane.BadBundle, c.words)
		})
	}
	p := newPlace(t)
	p.refused(p.step(inpod.StepRun, p.give(inpod.Run{Mode: controlplane.Container, App: p.path("app"), Work: p.path("work")})), controlplane.LauncherDown, "is not one of bundles")
}

// running is a step that goes on.
type running struct {
	*place
	cmd   *exec.Cmd
	lines chan string // of its output
}

func (p *place) begin(args ...string) *running {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd, _ := p.command(ctx, args...)
	r, w, err := os.Pipe()
	if err != nil {
		p.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		p.Skipf("an ordinary user makes no namespaces here: %v", err)
	} else if err != nil {
		p.Fatal(err)
	}
	w.Close()
	out := &running{place: p, cmd: cmd, lines: make(chan string, 1000)}
	go func() { // ends with the last that has the pipe
		defer close(out.lines)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			out.lines <- lines.Text()
		}
	}()
	p.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		for range out.lines {
		}
		r.Close()
	})
	return out
}

// says waits for a line.
func (r *running) says(words string) string {
	r.Helper()
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.Fatalf("it ended without %q", words)
			}
			if strings.Contains(line, words) {
				return line
			}
		case <-time.After(20 * time.Second):
			r.Fatalf("it does not say %q", words)
		}
	}
}

func (r *running) ends(code int) {
	r.Helper()
	_ = r.cmd.Wait()
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.Errorf("exit code %d, want %d", got, code)
	}
}

func (r *running) signal(s syscall.Signal) {
	r.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.Fatal(err)
	}
}

func TestSignalsGoToTheAppsGroup(t *testing.T) {
	p := newPlace(t)
	r := p.begin(inpod.StepRun, p.binaryApp(`
trap 'echo asked; exit 9' TERM
trap 'echo reread' HUP
sh -c 'trap "echo child asked; exit" TERM; echo child; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done`))
	r.says("child")
	r.signal(syscall.SIGHUP)
	r.says("reread")
	r.signal(syscall.SIGTERM)
	r.says("asked")
	r.ends(9)

	// As of any other program, an end by a signal that the app knows nothing of.
	p = newPlace(t)
	r = p.begin(inpod.StepRun, p.binaryApp("echo begun; while :; do sleep 0.05; done"))
	r.says("begun")
	r.signal(syscall.SIGTERM)
	r.ends(128 + 15)
}

func TestOrphansAreReaped(t *testing.T) {
	p := newPlace(t)
	r := p.begin(inpod.StepRun, p.binaryApp(`
for i in 1 2 3 4 5; do (sleep 0.1 &) ; done
sleep 0.5; echo waited; while :; do sleep 0.05; done`))
	r.says("waited")
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] == "Z" && f[1] == strconv.Itoa(r.cmd.Process.Pid) {
			t.Errorf("a zombie: %s", text)
		}
	}
	r.signal(syscall.SIGTERM)
	r.ends(128 + 15)
}

// standIn serves what is asked of a Wave server, or of its app: it answers with
// who it is, ends when asked to by /end, and says goodbye.
const standIn = `
import http.server, os, signal, sys, time
who, address = %s
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/end":
            os._exit(4)
        self.send_response(200)
        self.end_headers()
        self.wfile.write((who + " for " + self.client_address[0]).encode())
    def log_message(self, *args): pass
def bye(*args):
    print(who, "says goodbye", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, bye)
time.sleep(float(os.environ.get(who + "_sleep", "0")))
host, port = address.rsplit(":", 1)
print(who, "listens", "oidc" if "H2O_WAVE_OIDC_CLIENT_SECRET" in os.environ else "", os.getcwd(), flush=True)
http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
`

// waveApp is a Wave app of stand-ins.
func waveApp(t *testing.T) (p *place, given string, port int) {
	t.Helper()
	if err := exec.Command("python3", "-c", "import http.server").Run(); err != nil {
		t.Skipf("this machine has no python3: %v", err)
	}
	p = newPlace(t)
	server := "#!/usr/bin/env python3\n" + fmt.Sprintf(standIn, `"server", os.environ["H2O_WAVE_LISTEN"]`)
	if err := os.WriteFile(p.path("bin", "waved"), []byte(server), 0o755); err != nil {
		t.Fatal(err)
	}
	p.files(map[string]string{"demo.py": fmt.Sprintf(standIn, `"app", os.environ["H2O_WAVE_APP_ADDRESS"].removeprefix("http://")`)})
	p.env = append(p.env, "PATH="+p.path("bin")+":"+os.Getenv("PATH"), "H2O_WAVE_OIDC_CLIENT_SECRET=s")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	given = p.give(inpod.Run{
		Mode: controlplane.Wave, Module: "demo", App: p.path("app"), Env: p.path("env"), Work: p.path("work"), Port: port, Patience: time.Minute,
	})
	return p, given, port
}

// get asks at the pod's port.
func get(port int, path string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func open(t *testing.T, port int) {
	t.Helper()
	for range 500 {
		if answer, err := get(port, "/"); err == nil {
			if answer != "server for 127.0.0.1" {
				t.Errorf("it answers %q", answer)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("it does not answer")
}

func TestAWaveAppIsOpenOnceBothAnswer(t *testing.T) {
	p, given, port := waveApp(t)
	p.env = append(p.env, "app_sleep=1")
	began := time.Now()
	r := p.begin(inpod.StepRun, given)
	if line := r.says("server listens"); line != "server listens oidc "+p.path("work", "wave") {
		t.Error(line)
	}
	time.Sleep(200 * time.Millisecond)
	if answer, err := get(port, "/"); err == nil && time.Since(began) < time.Second {
		t.Errorf("before the app listens it answers %q", answer)
	}
	// The provider's secret is the server's alone.
	if line := r.says("app listens"); line != "app listens  "+p.path("app") {
		t.Error(line)
	}
	open(t, port)
	r.signal(syscall.SIGTERM)
	r.says("app says goodbye")
	r.says("server says goodbye")
	r.ends(0)
}

func TestTheEndOfEitherOfAWaveApp(t *testing.T) {
	p, given, port := waveApp(t)
	r := p.begin(inpod.StepRun, given)
	open(t, port)
	_, _ = get(port, "/end")
	r.ends(inpod.Failed)
	text, err := os.ReadFile(p.path("message"))
	if err != nil || !strings.Contains(string(text), `"crashed","text":"the Wave server ended while the app ran`) {
		t.Errorf("%s %v", text, err)
	}

	p, given, _ = waveApp(t)
	p.files(map[string]string{"demo.py": "import sys; sys.exit(6)\n"})
	r = p.begin(inpod.StepRun, given)
	r.ends(6)
}

func TestNoWaveServer(t *testing.T) {
	p, given, _ := waveApp(t)
	if err := os.Remove(p.path("bin", "waved")); err != nil {
		t.Fatal(err)
	}
	p.refused(p.step(inpod.StepRun, given), controlplane.WaveServerMissing, "no waved on its PATH")
}
