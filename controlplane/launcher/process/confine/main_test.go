//go:build linux

package confine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

// The tests' own program plays all parts: it confines itself as an order says,
// executes itself, and does there what the order asks.
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

// order is what a confined process is to do. It prints a report.
type order struct {
	Spec  Spec
	Read  []string // files
	Write []string // paths to make files at
}

type report struct {
	UID, GID int
	Groups   []int
	Dir      string
	Status   map[string]string // of /proc/self/status
	FDs      []string
	Read     map[string]string // content, or the error
	Write    map[string]string // "", or the error
	Mounts   string
}

func (o order) confine() {
	runtime.LockOSThread()
	fd, err := Open("/proc/self/exe")
	if err == nil {
		err = Apply(o.Spec)
	}
	if err == nil {
		err = Exec(fd, []string{"confined"}, os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (o order) act() {
	r := report{UID: os.Getuid(), GID: os.Getgid(), Status: map[string]string{}, Read: map[string]string{}, Write: map[string]string{}}
	r.Groups, _ = os.Getgroups()
	r.Dir, _ = os.Getwd()
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		r.Status[name] = strings.TrimSpace(value)
	}
	for fd := range 64 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); err == nil && !ofRuntime(to) {
			r.FDs = append(r.FDs, fmt.Sprint(fd))
		}
	}
	for _, path := range o.Read {
		b, err := os.ReadFile(path)
		if r.Read[path] = string(b); err != nil {
			r.Read[path] = "error: " + err.Error()
		}
	}
	for _, path := range o.Write {
		r.Write[path] = ""
		if err := os.WriteFile(path, []byte("written inside"), 0o600); err != nil {
			r.Write[path] = err.Error()
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	r.Mounts = string(mounts)
	json.NewEncoder(os.Stdout).Encode(r)
}

// ofRuntime reports what Go opens by itself, as it starts.
func ofRuntime(file string) bool {
	return strings.HasPrefix(file, "anon_inode:[event") || strings.HasPrefix(file, "/sys/fs/cgroup/")
}

// command is the order as a process, yet to be started.
func (o order) command(t *testing.T) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{orderName + "=" + string(text)}
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, &out, &faults
}

// run carries the order out and returns its report.
func (o order) run(t *testing.T) report {
	t.Helper()
	r, err := o.try(t)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (o order) try(t *testing.T) (report, error) {
	t.Helper()
	cmd, out, faults := o.command(t)
	o.Spec.Attr(cmd.SysProcAttr)
	if err := cmd.Run(); err != nil {
		return report{}, fmt.Errorf("%w: %s", err, faults)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return report{}, fmt.Errorf("%w: %s", err, out)
	}
	return r, nil
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

func needMounts(t *testing.T) {
	t.Helper()
	err := tryTrial(t)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "not permitted"), strings.Contains(err.Error(), "fork/exec"):
		t.Skipf("no mount namespaces here: %v", err)
	default:
		t.Fatal(err)
	}
}

func tryTrial(t *testing.T) error {
	t.Helper()
	trial := Trial(t.TempDir())
	mkdir(t, trial.Scratch, 0o700, User{})
	_, err := order{Spec: trial}.try(t)
	return err
}

func mkdir(t *testing.T, path string, mode os.FileMode, owner User) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, owner.UID, owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// me is the user that orders run as: an instance's for root, else one's own.
func me() User {
	if os.Geteuid() == 0 {
		return User{61002, 61002}
	}
	return User{os.Geteuid(), os.Getegid()}
}

func mine() *User {
	u := me()
	if os.Geteuid() != 0 {
		return nil
	}
	return &u
}

func give(folder string, owner User) error {
	return filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, owner.UID, owner.GID))
	})
}

func hostMounts(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAsAnOrdinaryUser runs the tests of this package once more without root's
// rights, in user namespaces.
func TestAsAnOrdinaryUser(t *testing.T) { confinetest.RunAsOrdinaryUser(t) }
