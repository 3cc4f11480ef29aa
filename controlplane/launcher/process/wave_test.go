//go:build linux

package process

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// has is what a stand-in found in its environment.
func has(log, who, name string) (value string, ok bool) {
	for line := range strings.Lines(log) {
		if v, found := strings.CutPrefix(strings.TrimSpace(line), who+" has "+name+"="); found {
			value, ok = v, true
		}
	}
	return value, ok
}

func TestAWaveServerAndItsAppAreOneInstance(t *testing.T) {
	l := opened(t, tempDir(t), withStandIns(t))
	w := waveWorkload(1, "", "", "H2O_WAVE_BASE_URL=/instance/wave/", "H2O_WAVE_OIDC_CLIENT_SECRET=hush", "H2O_WAVE_NO_LOG=0",
		"H2O_WAVE_PUBLIC_DIR=/a/@static:/b/@/srv")
	o := start(t, l, w)
	ready := o.Ready("wave", 1)
	_, port, _ := net.SplitHostPort(ready.Endpoint)
	log := currentLog(t, l, "wave")
	first := map[string]string{}
	for _, c := range []struct {
		name string
		want func(string) bool
	}{
		{"PORT", func(v string) bool { return v == port }},
		{"H2O_WAVE_LISTEN", func(v string) bool { return v == "127.0.0.1:"+port }},
		{"H2O_WAVE_ADDRESS", func(v string) bool { return v == "http://127.0.0.1:"+port }},
		{"H2O_WAVE_APP_ADDRESS", func(v string) bool { return strings.HasPrefix(v, "http://127.0.0.1:") && !strings.HasSuffix(v, port) }},
		{"H2O_WAVE_BASE_URL", func(v string) bool { return v == "/instance/wave/" }},
		{"H2O_WAVE_ACCESS_KEY_ID", func(v string) bool { return len(v) > 20 }},
		{"H2O_WAVE_ACCESS_KEY_SECRET", func(v string) bool { return len(v) > 20 }},
		{"H2O_WAVE_NO_LOG", func(v string) bool { return v == "0" }}, // the manifest's
		{"H2O_WAVE_KEEP_APP_LIVE", func(v string) bool { return v == "1" }},
		{"H2O_WAVE_CONNECTION_TIMEOUT", func(v string) bool { return v == "90" }},
		{"H2O_WAVE_PUBLIC_DIR", func(v string) bool {
			return strings.HasPrefix(v, "/a/@"+l.instanceDir("wave")) && strings.HasSuffix(v, "/app/static:/b/@/srv")
		}},
	} {
		server, _ := has(log, "server", c.name)
		app, _ := has(log, "app", c.name)
		if first[c.name] = server; server != app || !c.want(server) {
			t.Errorf("%s is %q for the server, %q for the app", c.name, server, app)
		}
	}
	if v, _ := has(log, "server", "H2O_WAVE_OIDC_CLIENT_SECRET"); v != "hush" {
		t.Errorf("the server has the client secret %q", v)
	}
	if v, ok := has(log, "app", "H2O_WAVE_OIDC_CLIENT_SECRET"); ok {
		t.Errorf("the app has the client secret %q", v)
	}
	if keychain, _ := has(log, "server", "H2O_WAVE_ACCESS_KEYCHAIN"); keychain == "" || exists(keychain) {
		t.Errorf("the keychain is %q", keychain)
	}
	if dir := l.instanceDir("wave"); !strings.Contains(log, "/wave_app.py\" \"app.server\"] in "+dir) || !strings.Contains(log, "server runs as [] in "+dir) {
		t.Errorf("the commands are others: %s", log)
	}
	if id, err := procgroup.Parse(ready.Identity); err != nil || len(id.Sockets) != 1 {
		t.Errorf("identity %+v, %v", id, err)
	}

	start(t, l, waveWorkload(2, "", "")).Ready("wave", 2)
	log = currentLog(t, l, "wave")
	for _, name := range []string{"H2O_WAVE_ACCESS_KEY_ID", "H2O_WAVE_ACCESS_KEY_SECRET"} {
		if v, _ := has(log, "server", name); v == first[name] {
			t.Errorf("%s is the same in another start", name)
		}
	}
	if v, ok := has(log, "server", "H2O_WAVE_BASE_URL"); ok {
		t.Errorf("the base URL is %q without there being one", v)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestAWaveAppIsReadyWhenBothAnswer(t *testing.T) {
	for _, c := range []struct{ name, server, app string }{
		{"the server is slow", "is slow", ""},
		{"the app is slow", "", "is slow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := opened(t, tempDir(t), withStandIns(t))
			began := time.Now()
			f := start(t, l, waveWorkload(1, c.server, c.app)).Ready("wave", 1)
			if time.Since(began) < 500*time.Millisecond {
				t.Errorf("ready after %s", time.Since(began))
			}
			app, _ := has(currentLog(t, l, "wave"), "app", "H2O_WAVE_APP_ADDRESS")
			for _, address := range []string{f.Endpoint, strings.TrimPrefix(app, "http://")} {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					continue
				}
				conn.Close()
			}
		})
	}
}

func TestAWaveAppThatDoesNotBecomeReady(t *testing.T) {
	for _, c := range []struct {
		name, server, app string
		code              controlplane.ReasonCode
		text, log         string
	}{
		{"the server crashes", "crashes", "", controlplane.Crashed, "the Wave server ended before the app was ready", "slipway: the Wave server ended with exit code 3"},
		{"the server ends", "ends", "", controlplane.Crashed, "the Wave server ended before the app was ready", "slipway: the Wave server ended with exit code 0"},
		{"the app crashes", "", "crashes", controlplane.Crashed, "exit code 3 before it was ready", "slipway: the app ended with exit code 3"},
		{"the app ends, being a script", "", "ends", controlplane.Crashed, "exit code 0 before it was ready", "slipway: the app ended with exit code 0"},
		{"the app crashes as if it were the server", "", "crashes with the server's code", controlplane.Crashed, "exit code 1 before", "slipway: the app ended with exit code 213"},
		{"the server does not listen", "never", "", controlplane.PortNeverOpened, "the Wave server did not listen on port ", ""},
		{"the app does not listen", "", "never", controlplane.PortNeverOpened, "the app did not listen at http://127.0.0.1:", ""},
		{"the app listens elsewhere", "", "elsewhere", controlplane.PortNeverOpened, "; the app listens on 127.0.0.1:", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := opened(t, tempDir(t), withStandIns(t))
			w := waveWorkload(1, c.server, c.app)
			if c.code == controlplane.PortNeverOpened {
				w.HealthTimeout = 5 * time.Second // the other one has to come up in it
			}
			end := start(t, l, w).Ended("wave", 1)
			if end.Reason == nil || end.Reason.Code != c.code || !strings.Contains(end.Reason.Text, c.text) || end.WasReady {
				t.Errorf("reason %v", end.Reason)
			}
			if log := currentLog(t, l, "wave"); !strings.Contains(log, c.log) {
				t.Errorf("log %s", log)
			}
			if left := markedBy(t, l.folder); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// Whichever ends, the other one does not stay, nor does it where another control
// plane has adopted them.
func TestTheEndOfEitherIsACrash(t *testing.T) {
	for _, who := range []string{"server", "app", "keeper"} {
		for _, adopted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, adopted %v", who, adopted), func(t *testing.T) {
				dir, standIns := tempDir(t), withStandIns(t)
				l := openLauncher(t, dir, standIns)
				o := start(t, l, waveWorkload(1, "", ""))
				f := o.Ready("wave", 1)
				app, _ := has(currentLog(t, l, "wave"), "app", "H2O_WAVE_APP_ADDRESS")
				if adopted {
					if err := l.Close(t.Context(), false, 0); err != nil {
						t.Fatal(err)
					}
					l = openLauncher(t, dir, standIns)
					o = launchertest.Observe(t, l)
					if again := o.Ready("wave", 1); again.Endpoint != f.Endpoint || again.Identity != f.Identity {
						t.Errorf("adopted as %+v, was %+v", again, f)
					}
				}
				defer l.Close(t.Context(), true, 0)
				want := "SIGKILL"
				switch who {
				case "server":
					exitBy(t, f.Endpoint, 4)
					want = "the Wave server ended while the app ran"
				case "app":
					exitBy(t, strings.TrimPrefix(app, "http://"), 5)
					want = "exit code 5 while it ran"
				default:
					id, _ := procgroup.Parse(f.Identity)
					syscall.Kill(id.PID, syscall.SIGKILL)
				}
				end := o.Ended("wave", 1)
				if end.Reason == nil || end.Reason.Code != controlplane.Crashed || !strings.Contains(end.Reason.Text, want) || !end.WasReady {
					t.Errorf("reason %v", end.Reason)
				}
				if left := markedBy(t, l.folder); len(left) != 0 {
					t.Errorf("left %v", left)
				}
				start(t, l, waveWorkload(2, "", "")).Ready("wave", 2)
			})
		}
	}
}

// The app leaves while the server is still there.
func TestAStopEndsTheAppFirst(t *testing.T) {
	for _, c := range []struct {
		name, server, app string
		adopted           bool
		want              []string
	}{
		{"both in time", "", "leaves slowly", false, []string{"app is asked to end", "app says goodbye", "server is asked to end", "server says goodbye"}},
		{"both in time, adopted", "", "leaves slowly", true, []string{"app is asked to end", "app says goodbye", "server is asked to end", "server says goodbye"}},
		{"an app that stays", "", "stays", false, []string{"app is asked to end"}},
		{"a server that stays", "stays", "", false, []string{"app is asked to end", "app says goodbye", "server is asked to end"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, standIns := tempDir(t), withStandIns(t)
			l := openLauncher(t, dir, standIns)
			o := start(t, l, waveWorkload(1, c.server, c.app))
			o.Ready("wave", 1)
			if c.adopted {
				if err := l.Close(t.Context(), false, 0); err != nil {
					t.Fatal(err)
				}
				l = openLauncher(t, dir, standIns)
				o = launchertest.Observe(t, l)
			}
			defer l.Close(t.Context(), true, 0)
			grace := 20 * time.Second
			if len(c.want) < 4 {
				grace = 5 * time.Second
			}
			if err := l.Stop(t.Context(), "wave", 1, grace); err != nil {
				t.Fatal(err)
			}
			if end := o.Ended("wave", 1); end.Reason != nil {
				t.Errorf("reason %v", end.Reason)
			}
			var said []string
			for line := range strings.Lines(currentLog(t, l, "wave")) {
				if line = strings.TrimSpace(line); strings.HasSuffix(line, "asked to end") || strings.HasSuffix(line, "goodbye") {
					said = append(said, line)
				}
			}
			if !slices.Equal(said, c.want) {
				t.Errorf("they said %q", said)
			}
			if left := markedBy(t, l.folder); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// Another program that takes one of the two ports in between is not taken for
// either, and the start picks others.
func TestAPortOfAPairThatAnotherProgramTakes(t *testing.T) {
	for _, which := range []string{"the server's", "the app's"} {
		t.Run(which, func(t *testing.T) {
			var l *Launcher
			var stranger net.Listener
			l = opened(t, tempDir(t), withStandIns(t), func(c *Config) {
				c.reached = func(step string) {
					if step != "start: intended" || stranger != nil {
						return
					}
					s, err := readState(l.instanceDir("wave"))
					if err != nil {
						t.Error(err)
						return
					}
					port := s.Run.Port
					if which == "the app's" {
						port = s.Run.AppPort
					}
					if stranger, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
						t.Error(err)
					}
				}
			})
			f := start(t, l, waveWorkload(1, "", "")).Ready("wave", 1)
			if stranger == nil {
				t.Fatal("no port was taken")
			}
			defer stranger.Close()
			if s, _ := readState(l.instanceDir("wave")); f.Endpoint == stranger.Addr().String() || fmt.Sprint("127.0.0.1:", s.Run.AppPort) == stranger.Addr().String() {
				t.Errorf("the stranger at %s is taken for ours: %+v", stranger.Addr(), s.Run)
			}
		})
	}
}

func TestNoWaveServer(t *testing.T) {
	standIns := withStandIns(t)
	none := func(c *Config) { standIns(c); c.WaveServer = "" }
	app := func(noWave bool) *controlplane.App {
		return &controlplane.App{AppMode: controlplane.Wave, Manifest: controlplane.Manifest{NoWave: noWave, Runtime: controlplane.Runtime{Module: "app"}}}
	}
	t.Run("known at import", func(t *testing.T) {
		l := opened(t, tempDir(t), none)
		if found := l.Check(app(true)); len(found) != 1 || found[0].Code != controlplane.WaveServerMissing || !strings.Contains(found[0].Text, "does not name h2o-wave") {
			t.Errorf("reasons %v", found)
		}
		if found := l.Check(app(false)); len(found) != 0 {
			t.Errorf("reasons %v", found)
		}
	})
	t.Run("a configured one serves it", func(t *testing.T) {
		if found := opened(t, tempDir(t), standIns).Check(app(true)); len(found) != 0 {
			t.Errorf("reasons %v", found)
		}
	})
	for name, c := range map[string]struct {
		change func(*Config)
		text   string
	}{
		"found at the start":      {none, "the app's packages bring no Wave server"},
		"one that is not there":   {func(c *Config) { standIns(c); c.WaveServer += "x" }, "cannot be executed by the app's user"},
		"one that is no program":  {func(c *Config) { standIns(c); c.WaveServer = "/etc/passwd" }, "cannot be executed by the app's user"},
		"one that cannot execute": {func(c *Config) { standIns(c); c.WaveServer = noProgram(t) }, "no such interpreter"},
	} {
		t.Run(name, func(t *testing.T) {
			l := opened(t, tempDir(t), c.change)
			end := start(t, l, waveWorkload(1, "", "")).Ended("wave", 1)
			if name == "one that cannot execute" {
				if end.Reason == nil || end.Reason.Code != controlplane.Crashed || !strings.Contains(currentLog(t, l, "wave"), "cannot be executed: ") {
					t.Errorf("reason %v, log %s", end.Reason, currentLog(t, l, "wave"))
				}
				return
			}
			if end.Reason == nil || end.Reason.Code != controlplane.WaveServerMissing || !strings.Contains(end.Reason.Text, c.text) {
				t.Errorf("reason %v", end.Reason)
			}
		})
	}
}

func noProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "waved")
	if err := os.WriteFile(path, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
