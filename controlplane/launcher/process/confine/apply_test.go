//go:build linux

package confine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

func TestAConfinedProcessHasNothingOfItsMaker(t *testing.T) {
	dir := confinetest.Open(t)
	leak, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0) // without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	r := order{Spec: Spec{User: mine(), Dir: dir}}.run(t)
	if r.UID != me().UID || r.GID != me().GID || r.Dir != dir {
		t.Errorf("user %d:%d in %s, want %v in %s", r.UID, r.GID, r.Dir, me(), dir)
	}
	if os.Geteuid() == 0 && len(r.Groups) > 0 {
		t.Errorf("groups %v", r.Groups)
	}
	const none = "0000000000000000"
	for name, want := range map[string]string{
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "NoNewPrivs": "1",
	} {
		if r.Status[name] != want {
			t.Errorf("%s is %s, want %s", name, r.Status[name], want)
		}
	}
	if os.Geteuid() == 0 && r.Status["CapBnd"] != none {
		t.Errorf("bounding set %s", r.Status["CapBnd"])
	}
	if got := strings.Join(r.FDs, " "); got != "0 1 2" {
		t.Errorf("descriptors %s", got)
	}
}

func TestWhatIsOthersIsNotReadable(t *testing.T) {
	needRoot(t)
	dir := confinetest.Open(t)
	own := mkdir(t, filepath.Join(dir, "own"), 0o700, me())
	confinetest.Write(t, filepath.Join(own, "token"), "mine", 0o600)
	if err := give(own, me()); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	confinetest.Write(t, filepath.Join(other, "token"), "another's", 0o644)
	if err := os.Chmod(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := give(other, User{61003, 61003}); err != nil {
		t.Fatal(err)
	}
	secret := []string{"/etc/shadow", filepath.Join(other, "token")}
	r := order{
		Spec:  Spec{User: mine(), Dir: own},
		Read:  append(secret, filepath.Join(own, "token")),
		Write: []string{filepath.Join(own, "new"), filepath.Join(other, "new")},
	}.run(t)
	for _, path := range secret {
		if !strings.Contains(r.Read[path], "permission denied") {
			t.Errorf("%s: %q", path, r.Read[path])
		}
	}
	if got := r.Read[filepath.Join(own, "token")]; got != "mine" {
		t.Errorf("own token: %q", got)
	}
	if r.Write[filepath.Join(own, "new")] != "" || r.Write[filepath.Join(other, "new")] == "" {
		t.Errorf("wrote %v", r.Write)
	}
}

func TestApplySaysWhichStepFailed(t *testing.T) {
	dir := confinetest.Open(t)
	for _, c := range []struct {
		name string
		spec Spec
		step Step
		root bool
	}{
		{"a control group that is not there", Spec{Cgroups: []string{filepath.Join(dir, "group")}}, StepCgroup, false},
		{"a network that is not there", Spec{Network: filepath.Join(dir, "network")}, StepNetwork, false},
		{"a source that is not there", Spec{Mounts: []Mount{{Source: filepath.Join(dir, "x"), Target: "/absent"}}, Scratch: dir}, StepMounts, false},
		{"a target that is relative", Spec{Mounts: []Mount{{Target: "absent"}}, Scratch: dir}, StepMounts, false},
		{"a target that is all", Spec{Mounts: []Mount{{Target: "/x/.."}}, Scratch: dir}, StepMounts, false},
		{"a target below a file", Spec{Mounts: []Mount{{Target: "/etc/passwd/x"}}, Scratch: dir}, StepMounts, false},
		{"a scratch that is not there", Spec{Mounts: []Mount{{Target: "/absent"}}, Scratch: filepath.Join(dir, "x")}, StepMounts, false},
		{"root as the user", Spec{User: &User{0, 0}}, StepPrivileges, true},
		{"a folder that is not there", Spec{Dir: filepath.Join(dir, "x")}, StepDir, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root {
				needRoot(t)
			}
			_, err := order{Spec: c.spec}.try(t)
			if err == nil || !strings.Contains(err.Error(), "confine ("+string(c.step)+"): ") {
				t.Errorf("got %v, want step %s", err, c.step)
			}
		})
	}
	cause := &Error{StepDir, fs.ErrNotExist}
	if !errors.Is(cause, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

func TestANetworkNamespaceOfOnesOwn(t *testing.T) {
	needRoot(t)
	r := order{Spec: Spec{User: mine(), Network: "new"}, Read: []string{"/proc/net/dev"}}.run(t)
	if devices := r.Read["/proc/net/dev"]; strings.Count(devices, "\n") != 3 || !strings.Contains(devices, "lo:") {
		t.Errorf("devices %s", devices)
	}
}
