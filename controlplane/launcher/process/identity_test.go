//go:build linux

package process

import (
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream/identity"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
	"github.com/seed-dbc68772/slipway/routing"
)

// An edge takes the workload for the one that its identity names, in each life
// of the launcher, and nobody who comes to its port later.
func TestTheIdentityOfAWorkload(t *testing.T) {
	dir := tempDir(t)
	l := openLauncher(t, dir)
	o := start(t, l, workload("one", 1, launchertest.Serves))
	first := o.Ready("one", 1)
	id, err := procgroup.Parse(first.Identity)
	if err != nil || len(id.Sockets) != 1 {
		t.Fatalf("%+v, %v", id, err)
	}
	checker := identity.New(zap.NewNop())
	defer checker.Close()
	wantIts(t, checker, first)
	if err := l.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	l = opened(t, dir)
	adopted := launchertest.Observe(t, l).Initial()["one"]
	if adopted.Identity != first.Identity {
		t.Errorf("adopted as %s, was %s", adopted.Identity, first.Identity)
	}
	// Without what the launcher told of its sockets, and with its mark alone.
	id.Sockets = nil
	wantIts(t, checker, launcher.Fact{Endpoint: first.Endpoint, Identity: id.String()})
	id.PID = 1 << 22
	wantIts(t, checker, launcher.Fact{Endpoint: first.Endpoint, Identity: id.String()})

	o = launchertest.Observe(t, l)
	pid, _ := procgroup.Parse(first.Identity)
	syscall.Kill(pid.PID, syscall.SIGKILL)
	o.Ended("one", 1)
	stranger, err := net.Listen("tcp", first.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := check(t, checker, first); err == nil {
		t.Error("the stranger was taken for the workload")
	}
}

func wantIts(t *testing.T, c *identity.Checker, f launcher.Fact) {
	t.Helper()
	if err := check(t, c, f); err != nil {
		t.Error(err)
	}
}

func check(t *testing.T, c *identity.Checker, f launcher.Fact) error {
	t.Helper()
	began := time.Now()
	conn, err := net.Dial("tcp", f.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return c.Check(conn, began, &routing.Instance{Identity: f.Identity})
}
