//go:build linux

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

// cgroup is one of the test's own that is gone after it.
func cgroup(t *testing.T, l Limits) *Cgroup {
	t.Helper()
	a := Probe(t.Context(), t.TempDir())
	if l.Memory > 0 && a.Memory != nil {
		t.Skipf("memory cannot be limited here: %v", a.Memory)
	}
	if l.CPU > 0 && a.CPU != nil {
		t.Skipf("CPU cannot be limited here: %v", a.CPU)
	}
	if l.Processes > 0 && a.Processes != nil {
		t.Skipf("processes cannot be limited here: %v", a.Processes)
	}
	name := fmt.Sprintf("slipway-test-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
	c, err := NewCgroup(name, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
		for _, folder := range c.Folders() {
			confinetest.Absent(t, folder)
		}
	})
	return c
}

func TestAMemoryLimitKillsAndIsSeen(t *testing.T) {
	c := cgroup(t, Limits{Memory: 64 << 20})
	if err := (order{Spec: confine.Spec{User: mine(), Cgroups: c.Folders()}, Eat: 16 << 20}).try(t); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	if kills, err := c.OOMKills(); kills != 0 || err != nil {
		t.Errorf("within the limit: %d were killed, %v", kills, err)
	}
	err := order{Spec: confine.Spec{User: mine(), Cgroups: c.Folders()}, Eat: 256 << 20}.try(t)
	if err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("over the limit: %v", err)
	}
	again, err := OpenCgroup(c.Name())
	if err != nil {
		t.Fatal(err)
	}
	if kills, err := again.OOMKills(); kills != 1 || err != nil {
		t.Errorf("over the limit: %d were killed, %v", kills, err)
	}
}

func TestACPULimitThrottles(t *testing.T) {
	c := cgroup(t, Limits{CPU: 50})
	if err := (order{Spec: confine.Spec{User: mine(), Cgroups: c.Folders()}, Spin: 150 * time.Millisecond}).try(t); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.parts {
		if p.kind == memoryV1 {
			continue
		}
		if n, err := p.count("cpu.stat", "nr_throttled"); n == 0 || err != nil {
			t.Errorf("throttled %d times, %v", n, err)
		}
	}
}

func TestKillingAControlGroupEndsAllOfIt(t *testing.T) {
	c := cgroup(t, Limits{Memory: 256 << 20, CPU: 2000})
	o := order{Spec: confine.Spec{User: mine(), Cgroups: c.Folders()}, Sleep: time.Minute}
	ended := make(chan error, 3)
	for range cap(ended) {
		cmd := o.command(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- cmd.Wait() }()
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		pids, err := c.Processes()
		if err != nil {
			t.Fatal(err)
		}
		if len(pids) == cap(ended) {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("processes %v", pids)
		}
	}
	found, err := ListCgroups(c.Name())
	if err != nil || len(found) != 1 || len(found[0].parts) != len(c.parts) {
		t.Fatalf("listed %v, %v", found, err)
	}
	if err := found[0].Kill(); err != nil {
		t.Error(err)
	}
	for range cap(ended) {
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), "killed") {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a process is left")
		}
	}
	if err := found[0].Remove(); err != nil {
		t.Error(err)
	}
	if again, err := ListCgroups(c.Name()); err != nil || len(again) > 0 {
		t.Errorf("left %v, %v", again, err)
	}
}

func TestASealedControlGroupMakesNoProcesses(t *testing.T) {
	c := cgroup(t, Limits{Processes: 64})
	o := order{Spec: confine.Spec{User: mine(), Cgroups: c.Folders()}, Fork: true}
	if err := o.try(t); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	seals := c.Seals()
	if len(seals) != 1 {
		t.Fatalf("seals %v", seals)
	}
	confinetest.Write(t, seals[0], "0", 0o644)
	if err := o.try(t); err == nil {
		t.Error("a process was made in a sealed group")
	}
}

func TestACgroupIsMadeWholeOrNotAtAll(t *testing.T) {
	c := cgroup(t, Limits{Memory: 64 << 20, CPU: 1000})
	if _, err := NewCgroup(c.Name(), Limits{Memory: 1 << 20}); err == nil {
		t.Error("a name was used twice")
	}
	for _, name := range []string{"", ".", "../x", "a/b"} {
		if _, err := NewCgroup(name, Limits{}); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

// Of version 2 this only holds the files: what the kernel does with them shows
// on machines that have it, by the tests above.
func TestLimitsOfVersion2(t *testing.T) {
	dir := t.TempDir()
	files := []string{"memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max", "cgroup.procs"}
	for _, f := range files {
		confinetest.Write(t, filepath.Join(dir, f), "", 0o600)
	}
	p := part{dir, unified}
	if err := p.limit(Limits{Memory: 512 << 20, CPU: 1500, Processes: 100}); err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"536870912", "0", "1", "150000 100000", "100", ""} {
		if b, _ := os.ReadFile(filepath.Join(dir, files[n])); string(b) != want {
			t.Errorf("%s is %q, want %q", files[n], b, want)
		}
	}
	c := &Cgroup{"x", []part{p}}
	for text, want := range map[string]int64{
		"low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 1\n": 2,
		"low 0\nhigh 0\nmax 5\noom 1\noom_kill 0\noom_group_kill 0\n": 0,
	} {
		confinetest.Write(t, filepath.Join(dir, "memory.events"), text, 0o600)
		if kills, err := c.OOMKills(); kills != want || err != nil {
			t.Errorf("%d were killed, %v with %q", kills, err, text)
		}
	}
}

func TestParseHierarchies(t *testing.T) {
	const v1 = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
	for _, c := range []struct {
		name, mounts, own string
		want              hierarchySet
	}{
		{"version 1 beside 2", v1, "8:pids:/c\n4:memory:/a/b\n2:cpu,cpuacct:/\n0::/x\n", hierarchySet{
			unified: hierarchy{"/sys/fs/cgroup/unified", "x"},
			memory:  hierarchy{"/sys/fs/cgroup/memory", "a/b"},
			cpu:     hierarchy{"/sys/fs/cgroup/cpu,cpuacct", "."},
			pids:    hierarchy{"/sys/fs/cgroup/pids", "c"},
		}},
		{"version 2", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n", "0::/user.slice/x.scope\n", hierarchySet{
			unified: hierarchy{"/sys/fs/cgroup", "user.slice/x.scope"},
		}},
		{"a container's part", "30 23 0:26 /docker/1 /sys/fs/cg\\040x rw - cgroup2 cgroup2 rw\n", "0::/docker/1/inner\n", hierarchySet{
			unified: hierarchy{"/sys/fs/cg x", "inner"},
		}},
		{"a container's part with a namespace", "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n", hierarchySet{
			unified: hierarchy{"/sys/fs/cgroup", "."},
		}},
		{"nothing", "", "", hierarchySet{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseHierarchies(c.mounts, c.own); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCgroupsAreFoundWhereverTheyAre(t *testing.T) {
	c := cgroup(t, Limits{Memory: 64 << 20})
	inner := filepath.Join(c.Folders()[0], "made-by-the-app")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	again, err := OpenCgroup(c.Name())
	if err != nil || len(again.parts) != 1 {
		t.Fatalf("found %v, %v", again, err)
	}
	if err := again.Remove(); err != nil {
		t.Error(err)
	}
	confinetest.Absent(t, inner)
	if gone, err := OpenCgroup(c.Name()); err != nil || len(gone.parts) != 0 || gone.Remove() != nil || gone.Kill() != nil {
		t.Errorf("found %v, %v", gone, err)
	}
}
