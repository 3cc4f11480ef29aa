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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

func start(t *testing.T, l *Launcher, w launcher.Workload) *launchertest.Observer {
	t.Helper()
	o := launchertest.Observe(t, l)
	if err := l.Start(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNoProcessOfTheGroupSurvives(t *testing.T) {
	for _, how := range []string{"stop", "leader ends", "launcher reopened"} {
		t.Run(how, func(t *testing.T) {
			dir := tempDir(t)
			l := opened(t, dir)
			o := start(t, l, workload("one", 1, forks))
			ready := o.Ready("one", 1)
			var children []int
			for line := range strings.Lines(currentLog(t, l, "one")) {
				if n, ok := strings.CutPrefix(strings.TrimSpace(line), "child "); ok {
					pid, _ := strconv.Atoi(n)
					children = append(children, pid)
				}
			}
			if len(children) != 4 {
				t.Fatalf("children %v", children)
			}
			if how == "launcher reopened" {
				if err := l.Close(t.Context(), false, 0); err != nil {
					t.Fatal(err)
				}
				l = opened(t, dir)
				o = launchertest.Observe(t, l)
			}
			if how == "leader ends" {
				s, err := readState(l.instanceDir("one"))
				if err != nil {
					t.Fatal(err)
				}
				syscall.Kill(s.Run.Process.PID, syscall.SIGKILL)
				end := o.Ended("one", 1)
				if end.Reason == nil || !strings.Contains(end.Reason.Text, "SIGKILL") || !strings.Contains(end.Reason.Text, "memory") {
					t.Errorf("reason %v", end.Reason)
				}
				children = children[:3] // the fourth was a descendant only as long as the leader lived
			} else if err := l.Stop(t.Context(), "one", 1, time.Second); err != nil {
				t.Fatal(err)
			}
			for n, pid := range children {
				// A process that ends is in no group any more, and a moment later gone.
				for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
					if p, err := procgroup.ReadProc(pid); err != nil || p.Zombie() {
						break
					}
					if time.Now().After(deadline) {
						t.Errorf("child %d is left (%s)", n, ready.Endpoint)
						break
					}
				}
			}
			if how == "leader ends" {
				killOrphans(t)
			}
		})
	}
}

// killOrphans ends the workload that has hidden from its launcher: no session,
// no marker, no parent.
func killOrphans(t *testing.T) {
	all, err := procgroup.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for pid, p := range all {
		env, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if string(env) == launchertest.EnvBehaviour+"="+string(launchertest.NeverOpen)+"\x00" {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
}

func TestWhatAWorkloadFinds(t *testing.T) {
	t.Setenv("CONTROL_PLANE_SECRET", "s3cret")
	leak, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0) // without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	l := opened(t, tempDir(t))
	w := workload("one", 4, inspects, "GREETING=hello", "LANG=de_DE.UTF-8", "PORT=1")
	w.Files = []controlplane.File{{Path: "conf/app.yaml", Value: "a: 1\n"}}
	w.App.Manifest.Runtime.MemoryLimit = "512Mi"
	o := start(t, l, w)
	ready := o.Ready("one", 4)
	log := currentLog(t, l, "one")
	if told := strings.Contains(log, "slipway: memory limit 512Mi is not enforced by the process launcher: "); told == (l.able.Memory == nil) {
		t.Errorf("limits of memory: %v; the log tells %q", l.able.Memory, log)
	}
	_, text, _ := strings.Cut(log, "inspection ")
	text, _, _ = strings.Cut(text, "\n")
	var got inspection
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, log)
	}
	dir := l.instanceDir("one")
	runs, err := filepath.Glob(dir + "/run/4-*")
	if err != nil || len(runs) != 1 {
		t.Fatalf("folders of runs: %q, %v", runs, err)
	}
	_, port, _ := net.SplitHostPort(ready.Endpoint)
	for _, want := range []string{
		"HOME=" + runs[0] + "/home", "TMPDIR=" + runs[0] + "/tmp", "PORT=" + port, "LANG=de_DE.UTF-8",
		"GREETING=hello", "SLIPWAY_TOKEN_FILE=" + runs[0] + "/token",
	} {
		if !slices.Contains(got.Env, want) {
			t.Errorf("no %s in %q", want, got.Env)
		}
	}
	names := []string{"PATH", "LANG", "HOME", "TMPDIR", "PORT", "SLIPWAY_TOKEN_FILE", "GREETING", procgroup.MarkerName,
		"H2O_CLOUD_INSTANCE_ID", launchertest.EnvBehaviour, launchertest.EnvInstance}
	for _, entry := range got.Env {
		if name, _, _ := strings.Cut(entry, "="); !slices.Contains(names, name) {
			t.Errorf("inherited %s", entry)
		}
	}
	if got.Dir != runs[0]+"/app" || got.Token != "token of one" || got.File != "a: 1\n" || !got.Leads {
		t.Errorf("found %+v", got)
	}
	for _, fd := range got.FDs {
		if strings.Contains(fd, "/etc/hostname") || strings.Contains(fd, l.cfg.DataDir) && !strings.Contains(fd, "/logs/4-") || strings.Contains(fd, "pipe:") || strings.Contains(fd, "memfd:") {
			t.Errorf("descriptor %s leaked", fd)
		}
	}
	if info, err := os.Stat(runs[0] + "/token"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token: %v %v", info, err)
	}
}

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		name string
		b    launchertest.Behaviour
		host string
	}{
		{"on 127.0.0.1", launchertest.Serves, "127.0.0.1"},
		{"on every address", everyAddr, "127.0.0.1"},
		{"on the IPv6 loopback only", onIPv6, "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
				l.Close()
			} else if c.b == onIPv6 {
				t.Skip("this machine has no IPv6 loopback")
			}
			o := start(t, opened(t, tempDir(t)), workload("one", 1, c.b))
			if host, _, _ := net.SplitHostPort(o.Ready("one", 1).Endpoint); host != c.host {
				t.Errorf("endpoint on %s", host)
			}
		})
	}
}

func TestWhyAStartEnds(t *testing.T) {
	foreign, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	used := foreign.Addr().(*net.TCPAddr).Port
	text := func(files map[string]string, entry ...string) func(*launcher.Workload) {
		return func(w *launcher.Workload) {
			w.OpenBundle = bundleOf(files)
			w.App.Manifest.Runtime.AppEntryPoint = entry
		}
	}
	for _, c := range []struct {
		name   string
		b      launchertest.Behaviour
		change func(*launcher.Workload)
		code   controlplane.ReasonCode
		text   string
	}{
		{"a crash names code and log", launchertest.Crashes, nil, controlplane.Crashed, "exit code 3 before it was ready; its last lines are in `slipway instance logs one`"},
		{"a SIGKILL hints at memory", suicide, nil, controlplane.Crashed, "SIGKILL"},
		{"another port is named", elsewhere, func(w *launcher.Workload) { w.HealthTimeout = 5 * time.Second }, controlplane.PortNeverOpened, "the app listens on 127.0.0.1:"},
		{"an unhealthy app", unhealthy, func(w *launcher.Workload) {
			w.HealthTimeout = 5 * time.Second
			w.App.Manifest.Runtime.HealthPath = "/healthz"
		}, controlplane.HealthTimeout, "500"},
		{"a fixed port that is in use", launchertest.Serves, func(w *launcher.Workload) { w.App.Manifest.Runtime.Port = used }, controlplane.PortInUse, strconv.Itoa(used)},
		{"a text that is no program", "", text(map[string]string{"server": "hello"}, "server"), controlplane.BadBundle, "exec format error"},
		{"an interpreter that is missing", "", text(map[string]string{"server": "#!/no/such\n"}, "server"), controlplane.BadBundle, "its first line names /no/such, which is not there"},
		{"an entry point that is missing", "", text(nil, "bin/server"), controlplane.BadBundle, "bin/server"},
		{"an entry point that is a folder", "", text(map[string]string{"bin/x": ""}, "bin"), controlplane.BadBundle, "not a file"},
		{"a broken bundle", launchertest.Serves, func(w *launcher.Workload) { w.OpenBundle = brokenBundle }, controlplane.BadBundle, "unpacked"},
		{"a file that leads out", launchertest.Serves, func(w *launcher.Workload) { w.Files = []controlplane.File{{Path: "../../x"}} }, controlplane.BadBundle, "../../x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := workload("one", 1, c.b)
			if c.change != nil {
				c.change(&w)
			}
			l := opened(t, tempDir(t))
			l.networks = nil // one of its own has every port free
			end := start(t, l, w).Ended("one", 1)
			if end.WasReady || end.Reason == nil || end.Reason.Code != c.code || !strings.Contains(end.Reason.Text, c.text) {
				t.Errorf("end %+v: %v, want %s %q", end, end.Reason, c.code, c.text)
			}
		})
	}
}

func TestAStrangerOnThePickedPortCostsATry(t *testing.T) {
	l := opened(t, tempDir(t))
	allowed := filepath.Join(tempDir(t), "allowed")
	o := start(t, l, workload("one", 1, late, "ALLOWED="+allowed))
	o.Await("starting", func(f launcher.Fact) bool { return f.Stage == controlplane.StageStarting })
	var port int
	for deadline := time.Now().Add(time.Minute); port == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s, err := readState(l.instanceDir("one")); err == nil && s.Run != nil && s.Run.Process.PID != 0 {
			port = s.Run.Port
		}
	}
	stranger, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := os.WriteFile(allowed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ready := o.Ready("one", 1); ready.Endpoint == stranger.Addr().String() {
		t.Errorf("the stranger's %s is the endpoint", ready.Endpoint)
	}
}

func TestLogsAreBounded(t *testing.T) {
	l := opened(t, tempDir(t), func(c *Config) { c.LogLimit = 1 << 20 })
	o := start(t, l, workload("one", 1, chatty))
	o.Ready("one", 1)
	logs, err := filepath.Glob(l.instanceDir("one") + "/logs/1-*.log")
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %q, %v", logs, err)
	}
	f, err := os.Open(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, taken, err := sizes(f)
		if err != nil {
			t.Fatal(err)
		}
		if taken <= 1<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes", taken)
		}
	}
	if log := currentLog(t, l, "one"); !strings.HasSuffix(log, "it serves\n") {
		t.Errorf("the end is lost: %q", log[max(0, len(log)-100):])
	}
}

// The log of the run before is within its limit too, however soon the next run
// begins.
func TestThePreviousLogIsBounded(t *testing.T) {
	l := opened(t, tempDir(t), func(c *Config) { c.LogLimit = 1 << 20 })
	for g := range int64(2) {
		start(t, l, workload("one", g+1, chatty)).Ready("one", g+1)
	}
	s, err := readState(l.instanceDir("one"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(l.instanceDir("one"), "logs", s.PreviousLog))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if length, taken, err := sizes(f); err != nil || length < 4<<20 || taken > 1<<20 {
		t.Errorf("of %d bytes written %d are kept, %v", length, taken, err)
	}
}

// Nothing that a run leaves in its folders is there for the next one, whether it
// was stopped or crashed.
func TestEachStartHasAFreshFolder(t *testing.T) {
	l := opened(t, tempDir(t))
	for g := range int64(3) {
		w := workload("one", g+1, keeps, "KEPT=app.toml:left:../home/left:../tmp/left:../left")
		o := start(t, l, w)
		ready := o.Ready("one", g+1)
		log := currentLog(t, l, "one")
		for _, want := range []string{`kept app.toml "[App]\n"`, `kept left ""`, `kept ../home/left ""`, `kept ../tmp/left ""`, `kept ../left ""`} {
			if !strings.Contains(log, want) {
				t.Errorf("generation %d: no %s in %s", g+1, want, log)
			}
		}
		if g == 0 {
			resp, err := http.Get("http://" + ready.Endpoint + "/exit?code=7")
			if err == nil {
				resp.Body.Close()
			}
			http.DefaultClient.CloseIdleConnections()
			o.Ended("one", 1)
		} else if err := l.Stop(t.Context(), "one", g+1, time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheck(t *testing.T) {
	denied := errors.New("not here")
	empty := t.TempDir()
	l := opened(t, tempDir(t), func(c *Config) { c.Environ = []string{"PATH=" + empty} })
	for _, c := range []struct {
		name string
		mode controlplane.AppMode
		rt   controlplane.Runtime
		file string
		no   error // why there are no mount namespaces
		code controlplane.ReasonCode
		text string
	}{
		{name: "the sample app", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: sampleApp}},
		{name: "a binary", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: []string{"bin/x"}}, file: "a/b", no: denied},
		{name: "no entry point", mode: controlplane.Binary, code: controlplane.BadBundle, text: "AppEntryPoint"},
		{name: "a program of the host", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: []string{"/bin/sh"}}, code: controlplane.BadBundle, text: "/bin/sh"},
		{name: "no python", mode: controlplane.Python, rt: controlplane.Runtime{Module: "app"}, code: controlplane.Dependencies, text: "apt-get install python3 python3-venv"},
		{name: "Wave without python", mode: controlplane.Wave, rt: controlplane.Runtime{Module: "app"}, code: controlplane.Dependencies, text: "apt-get install python3 python3-venv"},
		{name: "a container", mode: controlplane.Container, code: controlplane.LauncherDown, text: "no launcher that runs containers is configured"},
		{name: "a volume", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: sampleApp, VolumeMount: "/data"}, no: denied, code: controlplane.NeedsMountNamespace, text: "/data"},
		{name: "an absolute file", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: sampleApp}, file: "/etc/x", no: denied, code: controlplane.NeedsMountNamespace, text: "/etc/x needs a mount namespace, which cannot be made here: not here"},
		{name: "the volume of an environment", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: sampleApp, ResourceVolumeSize: "1Gi"}, no: denied, code: controlplane.NeedsMountNamespace, text: "ResourceVolumeSize"},
		{name: "a volume and a file where they can be mounted", mode: controlplane.Binary, rt: controlplane.Runtime{AppEntryPoint: sampleApp, VolumeMount: "/data"}, file: "/etc/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &controlplane.App{AppMode: c.mode, Manifest: controlplane.Manifest{Runtime: c.rt}}
			if c.file != "" {
				app.Manifest.Files = []controlplane.File{{Path: c.file}}
			}
			l.able.Mounts = c.no
			got := l.Check(app)
			switch {
			case c.code == "" && len(got) == 0:
			case len(got) == 1 && got[0].Code == c.code && strings.Contains(got[0].Text, c.text):
			default:
				t.Errorf("got %v, want %s %q", got, c.code, c.text)
			}
		})
	}
}
