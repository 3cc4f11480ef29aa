//go:build linux

package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Abilities are what this process is permitted to do here. Each is nil, or
// says why not.
type Abilities struct {
	Users  error // give instances users of their own
	Mounts error // make mount namespaces, in user namespaces where not root
	Memory error // limit memory
	CPU    error // limit CPU
}

// probeName is what a process is called that Probe starts, and probeTime how
// long it may take.
const (
	probeName = "slipway: what is permitted here"
	probeTime = 10 * time.Second
)

// A process that Probe has started gets no further than here.
func init() {
	if len(os.Args) != 2 || os.Args[0] != probeName {
		return
	}
	runtime.LockOSThread()
	if err := tryMounts(os.Args[1]); err != nil {
		fmt.Print(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Probe finds what is permitted by trying it. What it makes is gone when it
// returns. folder is one that it may write to, best that of the instances.
func Probe(ctx context.Context, folder string) Abilities {
	var a Abilities
	if os.Geteuid() != 0 {
		a.Users = errors.New("instances run as the user of the control plane, since that is not root")
	}
	a.Mounts = probeMounts(ctx, folder)
	a.Memory = probeCgroup("memory", Limits{Memory: 64 << 20})
	a.CPU = probeCgroup("cpu", Limits{CPU: 1000})
	return a
}

func probeCgroup(what string, l Limits) error {
	c, err := NewCgroup(fmt.Sprintf("slipway-probe-%d-%s", os.Getpid(), what), l)
	if err != nil {
		return err
	}
	return c.Remove()
}

// probeMounts lets a process of its own make the mounts that instances need.
func probeMounts(ctx context.Context, folder string) error {
	place, err := os.MkdirTemp(folder, ".probe-")
	if err == nil {
		err = os.Mkdir(filepath.Join(place, "scratch"), 0o700)
	}
	if err != nil {
		return fmt.Errorf("try a mount namespace: %w", err)
	}
	defer os.RemoveAll(place)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", place)
	cmd.Args[0] = probeName
	cmd.Env = []string{}
	var said bytes.Buffer
	cmd.Stdout = &said
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	spec := Spec{Mounts: trial(place)}
	spec.Attr(cmd.SysProcAttr)
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(said.String()); text != "" {
			return errors.New(text)
		}
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("make user namespace: %w", err)
		}
		return fmt.Errorf("try a mount namespace: %w", err)
	}
	return nil
}

// trial is a mount of each kind, at points that the machine does not have.
func trial(place string) []Mount {
	return []Mount{
		{Target: "/slipway-probe/memory"},
		{Target: filepath.Join(place, "absent", "folder"), Source: "/dev", ReadOnly: true},
	}
}

func tryMounts(place string) error {
	return Apply(Spec{Mounts: trial(place), Scratch: filepath.Join(place, "scratch"), Dir: filepath.Join(place, "absent", "folder")})
}
