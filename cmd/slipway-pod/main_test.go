//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// binary is slipway-pod as pods have it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "slipway-pod-")
	if err == nil {
		binary = filepath.Join(dir, "slipway-pod")
		cmd := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build slipway-pod:", err)
		os.Exit(1)
	}
	code := 1
	defer func() { os.RemoveAll(dir); os.Exit(code) }()
	etcdtest.Main(m)
}

// place is where a pod's steps work in a test.
type place struct {
	*testing.T
	dir string
	env []string // of all steps, beside PATH
}

func newPlace(t *testing.T) *place {
	p := &place{T: t, dir: t.TempDir()}
	for _, name := range []string{"app", "bin", "env", "tmp", "work"} {
		if err := os.Mkdir(p.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p *place) path(parts ...string) string {
	return filepath.Join(append([]string{p.dir}, parts...)...)
}

// give writes what a step is given.
func (p *place) give(v any) (file string) {
	p.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		file = p.path("given.json")
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		p.Fatal(err)
	}
	return file
}

// files are written below the app's root.
func (p *place) files(all map[string]string) {
	p.Helper()
	for name, text := range all {
		file := p.path("app", name)
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}

// result is how a step ended.
type result struct {
	code   int
	out    string              // stdout and stderr
	reason controlplane.Reason // its last words
}

// command is a step that is not started.
func (p *place) command(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	os.Remove(p.path("message"))
	cmd := exec.CommandContext(ctx, binary, append([]string{"-message", p.path("message")}, args...)...)
	var out bytes.Buffer
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir}, p.env...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	cmd.SysProcAttr = first()
	return cmd, &out
}

// first makes a process that is the first of its namespace, as in a container:
// with it all end that come from it.
func first() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return a
}

func (p *place) step(args ...string) result {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 2*time.Minute)
	defer cancel()
	cmd, out := p.command(ctx, args...)
	return p.result(cmd.Run(), out)
}

func (p *place) result(err error, out *bytes.Buffer) (r result) {
	p.Helper()
	r.out = out.String()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
	} else if errors.Is(err, syscall.EPERM) {
		p.Skipf("an ordinary user makes no namespaces here: %v", err)
	} else if err != nil {
		p.Fatalf("%v\n%s", err, r.out)
	}
	if text, err := os.ReadFile(p.path("message")); err == nil {
		if err := json.Unmarshal(text, &r.reason); err != nil {
			p.Errorf("%s: %v", text, err)
		}
	}
	return r
}

// refused checks that a step said why it cannot go on.
func (p *place) refused(r result, code controlplane.ReasonCode, words string) {
	p.Helper()
	if r.code != inpod.Failed || r.reason.Code != code || !strings.Contains(r.reason.Text, words) {
		p.Errorf("exit code %d, %v, want %s with %q\n%s", r.code, r.reason, code, words, r.out)
	}
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestACallOfNoStep(t *testing.T) {
	p := newPlace(t)
	for _, args := range [][]string{{}, {"run"}, {"bundle", "a", "b"}, {"serve", "x"}, {"-x"}} {
		if r := p.step(args...); r.code != 2 || !strings.Contains(r.out, "called by Slipway's launcher") {
			t.Errorf("%q: %d %s", args, r.code, r.out)
		}
	}
	p.refused(p.step("run", p.path("nothing")), controlplane.LauncherDown, "read what the launcher gives")
}
