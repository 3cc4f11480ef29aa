//go:build linux

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
)

// Abilities are what this process is permitted to do here. Each is nil, or
// says why not.
type Abilities struct {
	Users     error // give instances users of their own
	Mounts    error // make mount namespaces, in user namespaces where not root
	Memory    error // limit memory
	CPU       error // limit CPU
	Processes error // limit processes by control groups
}

// probeTime is how long a process may take that Probe starts.
const probeTime = 10 * time.Second

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
	a.Processes = probeCgroup("processes", Limits{Processes: 1000})
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
		err = os.Mkdir(confine.Trial(place).Scratch, 0o700)
	}
	if err != nil {
		return fmt.Errorf("try a mount namespace: %w", err)
	}
	defer os.RemoveAll(place)
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", place)
	cmd.Args[0] = confine.TrialName
	cmd.Env = []string{}
	var said bytes.Buffer
	cmd.Stdout = &said
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	confine.Trial(place).Attr(cmd.SysProcAttr)
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
