//go:build linux

package process

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

func anybodyMay(string) bool { return true }

// apart is a launcher over a folder that the instances' users can enter.
func apart(t *testing.T, change ...func(*Config)) *Launcher {
	t.Helper()
	dir := tempDir(t)
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return opened(t, dir, change...)
}

func needUsers(t *testing.T, l *Launcher) {
	t.Helper()
	if l.able.Users != nil {
		t.Skip(l.able.Users)
	}
}

func needMounts(t *testing.T, l *Launcher) {
	t.Helper()
	if l.able.Mounts != nil {
		t.Skip(l.able.Mounts)
	}
}

func inspect(t *testing.T, l *Launcher, id string) inspection {
	t.Helper()
	_, text, _ := strings.Cut(currentLog(t, l, id), "inspection ")
	text, _, _ = strings.Cut(text, "\n")
	var got inspection
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, currentLog(t, l, id))
	}
	return got
}

func TestAnInstanceIsAUserOfItsOwn(t *testing.T) {
	l := apart(t)
	needUsers(t, l)
	seen := map[int]bool{}
	for _, id := range []string{"one", "two"} {
		w := workload(id, 1, inspects)
		w.Files = []controlplane.File{{Path: "conf/app.yaml", Value: id}}
		start(t, l, w).Ready(id, 1)
		got := inspect(t, l, id)
		if got.UID < l.users.First || got.UID > l.users.Last || seen[got.UID] {
			t.Errorf("%s is user %d", id, got.UID)
		}
		seen[got.UID] = true
		if got.File != id || got.Token != "token of "+id || !got.Leads {
			t.Errorf("%s found %+v", id, got)
		}
		if !got.Closed {
			t.Errorf("%s reads /etc/shadow", id)
		}
		run, err := filepath.Glob(filepath.Join(l.cfg.DataDir, "instances", id, "run", "*"))
		if err != nil || len(run) != 1 {
			t.Fatalf("runs %v, %v", run, err)
		}
		other := confine.User{UID: got.UID + 1000, GID: got.UID + 1000}
		for _, closed := range []string{run[0], filepath.Join(l.cfg.DataDir, "instances", id, "logs")} {
			if blocked, err := machine.CanEnter(other, closed); err != nil || blocked != closed {
				t.Errorf("another user enters %s: blocked at %q, %v", closed, blocked, err)
			}
		}
	}
}

// mountPoint is one that this machine does not have.
const mountPoint = "/slipway-process-test"

func TestVolumesAndFilesExistInsideAndOutliveRuns(t *testing.T) {
	l := apart(t)
	needMounts(t, l)
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	file := "/etc/slipway-process-test/app.yaml"
	for generation := int64(1); generation <= 2; generation++ {
		w := workload("one", generation, keeps, "KEPT="+mountPoint+"/count:"+resources+"/count", "READ="+file)
		w.App.Manifest.Runtime.VolumeMount, w.App.Manifest.Runtime.VolumeSize = mountPoint, "1Gi"
		w.App.Manifest.Runtime.ResourceVolumeSize = "1Gi"
		w.Files = []controlplane.File{{Path: file, Value: "a: 1"}}
		w.App.Manifest.Files = w.Files
		start(t, l, w).Ready("one", generation)
		log := currentLog(t, l, "one")
		for _, want := range []string{
			"kept " + mountPoint + `/count "` + strings.Repeat("+", int(generation)-1) + `" <nil>`,
			"kept " + resources + `/count "` + strings.Repeat("+", int(generation)-1) + `" <nil>`,
			"read " + file + ` "a: 1" <nil>`,
		} {
			if !strings.Contains(log, want+"\n") {
				t.Errorf("generation %d: no %q in %q", generation, want, log)
			}
		}
	}
	for _, path := range []string{mountPoint, resources, filepath.Dir(file)} {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is on the machine: %v", path, err)
		}
	}
	if after, _ := os.ReadFile("/proc/self/mountinfo"); string(after) != string(before) {
		t.Errorf("mounts were\n%sand are\n%s", before, after)
	}
	if b, err := os.ReadFile(filepath.Join(l.cfg.DataDir, "instances", "one", "volumes", "data", "count")); string(b) != "++" {
		t.Errorf("the volume holds %q, %v", b, err)
	}
	if err := l.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(l.cfg.DataDir, "instances")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if names, err := l.users.Names(); err != nil || len(names) > 0 {
		t.Errorf("users of %v, %v", names, err)
	}
}

func TestSharedMemoryHasTheConfiguredSize(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int64
		want  string
	}{
		"of the default": {0, "size=2097152k"},
		"configured":     {96 << 20, "size=98304k"},
	} {
		t.Run(name, func(t *testing.T) {
			l := apart(t, func(cfg *Config) { cfg.SharedMemory = c.bytes })
			needMounts(t, l)
			w := workload("one", 1, keeps, "KEPT=/dev/shm/slipway-process-test", "READ=/proc/self/mountinfo")
			w.App.Manifest.Runtime.EnableSHM = true
			start(t, l, w).Ready("one", 1)
			log := currentLog(t, l, "one")
			if !strings.Contains(log, `kept /dev/shm/slipway-process-test "" <nil>`) {
				t.Errorf("it cannot be written: %s", log)
			}
			shown := "none"
			for line := range strings.SplitSeq(log, `\n`) { // as it is quoted
				if f := strings.Fields(line); len(f) > 4 && f[4] == "/dev/shm" {
					shown = line
				}
			}
			if !strings.Contains(shown, c.want) {
				t.Errorf("/dev/shm is %s, want %s", shown, c.want)
			}
			if err := os.Remove("/dev/shm/slipway-process-test"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is the machine's: %v", err)
			}
		})
	}
}

func TestSharedMemoryThatCannotBeIsSaid(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := &isolation{able: machine.Abilities{Mounts: errors.New("forbidden here")}}
	want := "Runtime.EnableSHM is not granted by the process launcher; /dev/shm is the machine's: forbidden here"
	if got := s.unenforced(controlplane.Runtime{EnableSHM: true}, root); !slices.Equal(got, []string{want}) {
		t.Errorf("said %q", got)
	}
	if got := s.unenforced(controlplane.Runtime{}, root); len(got) > 0 {
		t.Errorf("said of an app that does not want it: %q", got)
	}
}

func TestWhatIsSecretIsHidden(t *testing.T) {
	secret, keys := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "keys", "file")
	l := apart(t, func(c *Config) {
		c.Hide, c.Secrets = []string{secret, filepath.Join(secret, "not-there")}, []string{keys}
	})
	needMounts(t, l)
	// As for an ordinary user, or where users cannot enter the data folder.
	l.able.Users = errors.New("apps run as the control plane's user")
	file := filepath.Join(secret, "inner", "token")
	for _, f := range []string{file, keys} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, []byte("sesame"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	epoch := filepath.Join(l.cfg.DataDir, "epoch")
	start(t, l, workload("one", 1, keeps, "READ="+file+":"+keys+":"+epoch, "KEPT="+filepath.Join(secret, "new"))).Ready("one", 1)
	log := currentLog(t, l, "one")
	for _, want := range []string{"read " + file + ` "" open`, "read " + keys + ` "" open`, "read " + epoch + ` "" open`, "kept " + filepath.Join(secret, "new") + ` "" open`} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in %q", want, log)
		}
	}
}

func TestFoldersToHide(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	for _, folder := range []string{"data/processes", "data-2", "sockets"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := &isolation{dir: filepath.Join(data, "processes"), secret: []string{
		filepath.Join(dir, "sockets"), data + "/", filepath.Join(dir, "data-2"), filepath.Join(dir, "none"), data,
	}}
	want := []string{data, filepath.Join(dir, "data-2"), filepath.Join(dir, "sockets")}
	if got := s.hidden(); !slices.Equal(got, want) {
		t.Errorf("hidden %q, want %q", got, want)
	}
}

func TestFoldersOfSecretFiles(t *testing.T) {
	c := Config{Environ: []string{"HOME=/var/lib/slipway", "PATH=/usr/bin:/opt/slipway/bin:/home/ada/bin"}, WaveServer: "/srv/wave/waved"}
	for file, hidden := range map[string]bool{
		"/etc/slipway/keys": true, "/var/lib/slipway/keys": true, "/home/ada/.slipway/keys": true, "/opt/other/keys": true, "/srv/wave-2/keys": true,
		"/etc/keys": false, "/keys": false, "/home/ada/keys": false, "/opt/slipway/keys": false, "/opt/slipway/bin/keys": false, "/srv/wave/keys": false, "keys": false,
	} {
		var s isolation
		c.Secrets = []string{file}
		if s.keep(c); hidden != slices.Equal(s.secret, []string{filepath.Dir(file)}) || hidden != (len(s.exposed) == 0) {
			t.Errorf("%s: hidden %q, exposed %q", file, s.secret, s.exposed)
		}
	}
}

func TestProcessesAreLimitedAndSealed(t *testing.T) {
	var l *Launcher
	sealed := make(chan string, 1)
	l = apart(t, func(c *Config) {
		c.Processes = 123
		c.reached = func(step string) {
			if step != "end: known" {
				return
			}
			groups, _ := machine.ListCgroups(l.cgroupPrefix() + "two-")
			for _, g := range groups {
				for _, file := range g.Seals() {
					b, _ := os.ReadFile(file)
					sealed <- strings.TrimSpace(string(b))
				}
			}
		}
	})
	start(t, l, workload("one", 1, inspects)).Ready("one", 1)
	if got := inspect(t, l, "one").Processes; got != 123 {
		t.Errorf("%d processes are allowed", got)
	}
	if l.able.Processes != nil {
		t.Skip(l.able.Processes)
	}
	if err := l.Remove(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	start(t, l, workload("two", 1, launchertest.Stubborn)).Ready("two", 1)
	if err := l.Stop(t.Context(), "two", 1, 0); err != nil {
		t.Fatal(err)
	}
	if got := <-sealed; got != "0" {
		t.Errorf("a killed instance might make %q processes", got)
	}
}

func TestTooMuchMemoryIsTheReason(t *testing.T) {
	l := apart(t)
	if l.able.Memory != nil {
		t.Skip(l.able.Memory)
	}
	w := workload("one", 1, hungry)
	w.App.Manifest.Runtime.MemoryLimit = "128Mi"
	o := start(t, l, w)
	o.Ready("one", 1)
	end := o.Ended("one", 1)
	if end.Reason == nil || end.Reason.Code != controlplane.OOM || !strings.Contains(end.Reason.Text, "Runtime.MemoryLimit 128Mi") {
		t.Errorf("end %+v: %v", end, end.Reason)
	}
	if left, err := machine.ListCgroups(l.cgroupPrefix()); err != nil || len(left) > 0 {
		t.Errorf("control groups %v, %v", left, err)
	}
}

// An app that has lost a child, and ends much later, does not end for want of
// memory; whoever finds it ended later knows it as well.
func TestALackOfMemoryThatWasSurvivedIsNotTheReason(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it takes as long as a lack of memory counts")
	}
	l := apart(t)
	if l.able.Memory != nil {
		t.Skip(l.able.Memory)
	}
	later := 2*oomLook + 500*time.Millisecond
	for id, lives := range map[string]time.Duration{"at-once": 0, "later": later, "unwatched": later + time.Second} {
		w := workload(id, 1, loses, "LIVES="+lives.String())
		w.App.Manifest.Runtime.MemoryLimit = "128Mi"
		start(t, l, w)
	}
	o := launchertest.Observe(t, l)
	wants := func(id string, code controlplane.ReasonCode) {
		t.Helper()
		if end := o.Ended(id, 1); end.Reason == nil || end.Reason.Code != code {
			t.Errorf("%s: %v, want %s; its log: %s", id, end.Reason, code, currentLog(t, l, id))
		}
	}
	wants("at-once", controlplane.OOM)
	wants("later", controlplane.Crashed)
	l.Resign()
	for until := time.Now().Add(time.Minute); len(markedBy(t, l.folder)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not end")
		}
	}
	if err := l.Lead(t.Context(), 1<<40); err != nil {
		t.Fatal(err)
	}
	o = launchertest.Observe(t, l)
	wants("unwatched", controlplane.Crashed)
}

func TestAControlGroupIsAdoptedAndSwept(t *testing.T) {
	l := apart(t)
	if l.able.Memory != nil {
		t.Skip(l.able.Memory)
	}
	w := workload("one", 1, launchertest.Serves)
	w.App.Manifest.Runtime.MemoryLimit = "256Mi"
	start(t, l, w).Ready("one", 1)
	if _, err := machine.NewCgroup(l.cgroupName("two", "1-left"), machine.Limits{Memory: 1 << 26}); err != nil {
		t.Fatal(err)
	}
	l.Resign()
	if err := l.Lead(t.Context(), 1<<40); err != nil {
		t.Fatal(err)
	}
	left, err := machine.ListCgroups(l.cgroupPrefix())
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), l.cgroupName("one", "1-")) {
		t.Errorf("control groups %v, %v", left, err)
	}
	if err := l.Stop(t.Context(), "one", 1, time.Second); err != nil {
		t.Fatal(err)
	}
	if left, err := machine.ListCgroups(l.cgroupPrefix()); err != nil || len(left) > 0 {
		t.Errorf("control groups %v, %v", left, err)
	}
}

func TestInstancesHaveAFixedPortEach(t *testing.T) {
	l := apart(t)
	probe, err := l.networks.Make("slipway test", 1)
	if err != nil {
		t.Skip(err)
	}
	probe.Close()
	endpoints := map[string]bool{}
	for _, id := range []string{"one", "two"} {
		w := workload(id, 1, launchertest.Serves)
		w.App.Manifest.Runtime.Port = 8099
		ready := start(t, l, w).Ready(id, 1)
		if _, port, _ := net.SplitHostPort(ready.Endpoint); port != "8099" || endpoints[ready.Endpoint] || ready.Identity != "" {
			t.Errorf("%s is at %s, identity %q", id, ready.Endpoint, ready.Identity)
		}
		endpoints[ready.Endpoint] = true
	}
	for at := range endpoints {
		resp, err := http.Get("http://" + at + "/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	l.Resign() // and adopt
	if err := l.Lead(t.Context(), 1<<40); err != nil {
		t.Fatal(err)
	}
	for _, f := range launchertest.Observe(t, l).Initial() {
		if f.State != launcher.Ready || !endpoints[f.Endpoint] || f.Identity != "" {
			t.Errorf("adopted %+v", f)
		}
	}
	for _, id := range []string{"one", "two"} {
		if err := l.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		links, err := netlink.LinkList()
		if errors.Is(err, netlink.ErrDumpInterrupted) {
			continue // others change links at the same time
		}
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, link := range links {
			if strings.HasSuffix(link.Attrs().Alias, l.owner+" one") || strings.HasSuffix(link.Attrs().Alias, l.owner+" two") {
				left++
			}
		}
		if left == 0 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d devices are left", left)
		}
	}
}

// The rules that networks need outlive a control plane that is killed. Who leads
// next leaves them if an instance needs them, and takes them out if none does.
func TestRulesOfNetworksAreThereWhenTheyAreNeeded(t *testing.T) {
	l := apart(t)
	probe, err := l.networks.Make("slipway test", 1)
	if err != nil {
		t.Skip(err)
	}
	probe.Close()
	ruled := func(when string, want bool) {
		t.Helper()
		if got, err := l.networks.Ruled(); err != nil || got != want {
			t.Errorf("%s there are rules: %v, %v, want %v", when, got, err, want)
		}
	}
	epoch := int64(1 << 40)
	leadAnew := func() {
		t.Helper()
		l.Resign()
		if err := l.Lead(t.Context(), epoch); err != nil {
			t.Fatal(err)
		}
		epoch++
	}
	if err := l.networks.Outbound(); err != nil { // of an earlier life
		t.Log(err)
	}
	ruled("before the next life", true)
	leadAnew()
	ruled("without instances", false)
	w := workload("one", 1, launchertest.Serves)
	w.App.Manifest.Runtime.Port = 8099
	start(t, l, w).Ready("one", 1)
	ruled("beside an instance", true)
	leadAnew()
	ruled("beside an adopted instance", true)
	if err := l.networks.Clear(); err != nil {
		t.Fatal(err)
	}
	leadAnew()
	ruled("beside an adopted instance that had lost them", true)
	if err := l.networks.Clear(); err != nil { // by one that was held up
		t.Fatal(err)
	}
	w = workload("two", 1, launchertest.Serves)
	w.App.Manifest.Runtime.Port = 8099
	start(t, l, w).Ready("two", 1)
	ruled("beside the next instance", true)
	if err := l.Close(t.Context(), true, time.Second); err != nil {
		t.Fatal(err)
	}
	ruled("in the end", false)
}

// What an app asks for and does not get is said once at its start: in its log,
// and with the facts, those of who adopts it too.
func TestWhatCannotBeEnforcedIsSaidOnceAtStart(t *testing.T) {
	l := apart(t)
	w := workload("one", 1, launchertest.Serves)
	w.App.Manifest.Runtime.MemoryReservation, w.App.Manifest.Runtime.CPUReservation = "64Mi", "100m"
	w.App.Manifest.Runtime.GPUCount = 2
	w.OpenBundle = bundleOf(map[string]string{"app.toml": "[App]\n", "packages.txt": "curl\n"})
	wants := []string{"memory reservation 64Mi is not enforced", "CPU reservation 100m is not enforced", "2 GPUs are wanted", "packages.txt is not installed"}
	if l.able.Mounts == nil {
		w.App.Manifest.Runtime.VolumeMount, w.App.Manifest.Runtime.VolumeSize = mountPoint, "1Gi"
		wants = append(wants, "size of volume 1Gi is not enforced")
	}
	if l.able.Memory != nil {
		w.App.Manifest.Runtime.MemoryLimit = "256Mi"
		wants = append(wants, "memory limit 256Mi is not enforced")
	}
	ready := start(t, l, w).Ready("one", 1)
	l.Resign()
	if err := l.Lead(t.Context(), 1<<40); err != nil {
		t.Fatal(err)
	}
	adopted := launchertest.Observe(t, l).Initial()["one"]
	log := currentLog(t, l, "one")
	for _, want := range wants {
		if n := strings.Count(log, "slipway: "+want); n != 1 {
			t.Errorf("the log says %d times %q: %s", n, want, log)
		}
		for who, f := range map[string]launcher.Fact{"who starts it": ready, "who adopts it": adopted} {
			if n := strings.Count(strings.Join(f.Warnings, "\n"), want); n != 1 {
				t.Errorf("%s hears %d times %q: %q", who, n, want, f.Warnings)
			}
		}
	}
	if err := l.Stop(t.Context(), "one", 1, time.Second); err != nil {
		t.Fatal(err)
	}
	if f := start(t, l, workload("one", 2, launchertest.Serves)).Ready("one", 2); strings.Contains(strings.Join(f.Warnings, "\n"), "GPU") {
		t.Errorf("the next start is told what the one before went without: %q", f.Warnings)
	}
}

func TestWhereUsersCannotEnterItIsSaid(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give instances users of their own")
	}
	dir := tempDir(t)
	closed := filepath.Dir(dir)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	l := opened(t, dir)
	if l.able.Users == nil || !strings.Contains(l.able.Users.Error(), "`chmod o+x "+closed+"`") {
		t.Errorf("got %v", l.able.Users)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o077 != 0 && info.Mode().Perm() != 0o755 {
		t.Errorf("data folder %v, %v", info.Mode(), err)
	}
}

// TestAsAnOrdinaryUser runs the tests of isolation, and the suite of launchers,
// without root's rights.
func TestAsAnOrdinaryUser(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs half of these tests once more")
	}
	confinetest.RunAsOrdinaryUser(t, "-test.run=TestVolumes|TestSharedMemory|TestWhatAWorkload|TestCheck|TestConformance|TestNoProcessOfTheGroup")
}

func TestPackagesAreInstalledByAUserOfTheirOwn(t *testing.T) {
	needPython(t)
	l := apart(t, offline)
	needUsers(t, l)
	if _, err := l.python.find(); err != nil {
		t.Skip(err)
	}
	start(t, l, pythonWorkload("py", 1, "greeting==1.0\n")).Ready("py", 1)
	if log := currentLog(t, l, "py"); !strings.Contains(log, "hello from a wheel") {
		t.Errorf("log %s", log)
	}
	installed, err := filepath.Glob(filepath.Join(l.cfg.DataDir, "envs", "*", "*", "lib", "*", "site-packages", "greeting.py"))
	if err != nil || len(installed) != 1 {
		t.Fatalf("installed %v, %v", installed, err)
	}
	info, err := os.Stat(installed[0])
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("who runs it may change it: %v, %v", info, err)
	}
	if names, err := l.users.Names(); err != nil || len(names) != 1 || names[0] != "py" {
		t.Errorf("users of %v, %v", names, err)
	}
}
