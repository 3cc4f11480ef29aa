//go:build linux

package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

// The tests' own program plays all parts: it joins what an order says, executes
// itself, and does there what the order asks.
const orderName = "CONFINETEST_ORDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderName); text != "" {
		var o order
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			panic(err)
		}
		if os.Args[0] == "confined" {
			o.act()
		} else {
			o.confine()
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// order is what a confined process is to do.
type order struct {
	Spec  confine.Spec
	Eat   int           // bytes of memory
	Spin  time.Duration // of CPU
	Sleep time.Duration
	Fork  bool // start a process
}

func (o order) confine() {
	runtime.LockOSThread()
	fd, err := confine.Open("/proc/self/exe")
	if err == nil {
		err = confine.Apply(o.Spec)
	}
	if err == nil {
		err = confine.Exec(fd, []string{"confined"}, os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (o order) act() {
	if o.Eat > 0 {
		eaten := make([]byte, o.Eat)
		for n := 0; n < len(eaten); n += 4096 {
			eaten[n] = 1
		}
		runtime.KeepAlive(eaten)
	}
	for used := time.Duration(0); used < o.Spin; {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		used = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	time.Sleep(o.Sleep)
	if o.Fork {
		cmd := exec.Command("/proc/self/exe", "-test.run=^$")
		cmd.Env = []string{"PATH="} // without the order
		if err := cmd.Run(); err != nil {
			panic(err)
		}
	}
}

// command is the order as a process, yet to be started.
func (o order) command(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{orderName + "=" + string(text)}
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (o order) try(t *testing.T) error {
	t.Helper()
	out, err := o.command(t).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// me is the user that orders run as: an instance's for root, else one's own.
func me() confine.User {
	if os.Geteuid() == 0 {
		return confine.User{UID: 61002, GID: 61002}
	}
	return confine.User{UID: os.Geteuid(), GID: os.Getegid()}
}

func mine() *confine.User {
	u := me()
	if os.Geteuid() != 0 {
		return nil
	}
	return &u
}

// TestAsAnOrdinaryUser runs the tests of this package once more without root's
// rights.
func TestAsAnOrdinaryUser(t *testing.T) { confinetest.RunAsOrdinaryUser(t) }
