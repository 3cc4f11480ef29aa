package launcher_test

import (
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

// life starts an instance, stops it, starts it again and removes it, and holds
// that one workload ran at a time and nothing is left.
func life(t *testing.T, y *yard, l launcher.Launcher, w *watcher, id string) {
	t.Helper()
	for generation := int64(1); generation <= 2; generation++ {
		work := y.workload(id, generation, launchertest.Serves)
		work.App.Manifest.Runtime.VolumeMount, work.App.Manifest.Runtime.VolumeSize = "/kept", "1Mi"
		if err := l.Start(t.Context(), work); err != nil {
			t.Fatal(err)
		}
		f, _ := w.until(t, generation, time.Minute, func(f launcher.Fact) bool { return ready(f) || ended(f) })
		if !ready(f) {
			t.Fatalf("generation %d: %s: %v", generation, f.State, f.Reason)
		}
		if !answers(f.Endpoint) {
			t.Errorf("nothing answers at %s", f.Endpoint)
		}
		if generation == 1 {
			if err := l.Stop(t.Context(), id, generation, time.Second); err != nil {
				t.Fatal(err)
			}
			if f, _ := w.until(t, generation, time.Minute, ended); f.Reason != nil {
				t.Errorf("it was stopped on purpose, and ended for %s", f.Reason)
			}
		}
	}
	if err := l.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if over := y.census.Overlaps(); len(over) > 0 {
		t.Error(over)
	}
	of := metav1.ListOptions{LabelSelector: objects.LabelInstance + "=" + id}
	eventually(t, "nothing of the instance is left", func() bool {
		pods, err1 := y.core.Pods(y.space).List(t.Context(), of)
		claims, err2 := y.core.PersistentVolumeClaims(y.space).List(t.Context(), of)
		secrets, err3 := y.core.Secrets(y.space).List(t.Context(), of)
		maps, err4 := y.core.ConfigMaps(y.space).List(t.Context(), of)
		services, err5 := y.core.Services(y.space).List(t.Context(), of)
		return err1 == nil && err2 == nil && err3 == nil && err4 == nil && err5 == nil &&
			len(pods.Items)+len(claims.Items)+len(secrets.Items)+len(maps.Items)+len(services.Items) == 0
	})
}

// TestLostAnswers loses the first two answers to every kind of call that changes
// something, then holds all answers up. What a lost call made is adopted.
func TestLostAnswers(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*gateway)
	}{
		{"lost", func(g *gateway) {
			times := map[string]int{}
			g.lose = func(call string) bool {
				times[call]++
				method := call[:3]
				return method != "GET" && method != "WAT" && times[call] <= 2
			}
		}},
		{"late", func(g *gateway) { g.delay = 300 * time.Millisecond }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			g := newGateway(t, y)
			l := y.lead(t, g.through, func(cfg *kubernetes.Config) { cfg.DataDir = t.TempDir() })
			w := watch(t, l)
			test.prepare(g)
			life(t, y, l, w, "aaaaaaaa-0000-4000-8000-000000000004")
			g.mu.Lock()
			defer g.mu.Unlock()
			if test.name != "lost" {
				return
			}
			for _, call := range []string{
				"POST configmaps", "POST secrets", "POST persistentvolumeclaims", "POST services", "POST deployments", "PATCH deployments",
				"PUT configmaps", "PATCH pods", "DELETE pods", "DELETE configmaps", "DELETE secrets",
			} {
				if !slices.Contains(g.lost, call) {
					t.Errorf("no answer to %s was lost; there were %v", call, g.calls)
				}
			}
		})
	}
}

// TestAway has the API server be away for a while, at moments that matter.
func TestAway(t *testing.T) {
	const (
		id   = "aaaaaaaa-0000-4000-8000-000000000005"
		away = 4 * time.Second
	)
	begin := func(t *testing.T) (*yard, *gateway, launcher.Launcher, *watcher) {
		t.Parallel()
		y := newYard(t)
		g := newGateway(t, y)
		l := y.lead(t, g.through, func(cfg *kubernetes.Config) { cfg.DataDir = t.TempDir() })
		return y, g, l, watch(t, l)
	}
	start := func(t *testing.T, y *yard, l launcher.Launcher, generation int64) {
		t.Helper()
		if err := l.Start(t.Context(), y.workload(id, generation, launchertest.Serves)); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("while it serves", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, y, l, 1)
		f, _ := w.until(t, 1, time.Minute, ready)
		g.shut()
		time.Sleep(away)
		if !answers(f.Endpoint) {
			t.Error("the workload ended with the API server")
		}
		if now := w.all(); now[len(now)-1].State != launcher.Ready {
			t.Errorf("that the API server is away is told as %+v", now[len(now)-1])
		}
		g.open(t)
		if err := l.Stop(t.Context(), id, 1, time.Second); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("while its pod is deleted", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, y, l, 1)
		w.until(t, 1, time.Minute, ready)
		p := y.pod(t, id)
		g.shut()
		now := int64(0)
		if err := y.core.Pods(y.space).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(away)
		g.open(t)
		end, _ := w.until(t, 1, time.Minute, ended)
		check(t, end.Reason, controlplane.Crashed, "")
		if !end.WasReady {
			t.Error("it was ready, and is told as if it had not been")
		}
		start(t, y, l, 2)
		w.until(t, 2, time.Minute, ready)
	})

	t.Run("while its app ends", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, y, l, 1)
		f, _ := w.until(t, 1, time.Minute, ready)
		g.shut()
		if resp, err := http.Get("http://" + f.Endpoint + "/exit?code=6"); err == nil {
			resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
		time.Sleep(away)
		g.open(t)
		end, _ := w.until(t, 1, time.Minute, ended)
		check(t, end.Reason, controlplane.Crashed, "exit code 6")
	})

	t.Run("for long", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, y, l, 1)
		f, _ := w.until(t, 1, time.Minute, ready)
		g.shut()
		if resp, err := http.Get("http://" + f.Endpoint + "/exit?code=6"); err == nil {
			resp.Body.Close()
		}
		http.DefaultClient.CloseIdleConnections()
		time.Sleep(20 * time.Second)
		g.open(t)
		w.until(t, 1, 4*time.Second, ended)
	})

	t.Run("when it is to start", func(t *testing.T) {
		y, g, l, w := begin(t)
		g.shut()
		back := time.AfterFunc(away, func() { g.open(t) })
		defer back.Stop()
		start(t, y, l, 1)
		w.until(t, 1, time.Minute, ready)
	})

	t.Run("while it starts", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, y, l, 1)
		g.shut()
		time.Sleep(away)
		g.open(t)
		w.until(t, 1, time.Minute, ready)
		if over := y.census.Overlaps(); len(over) > 0 {
			t.Error(over)
		}
	})
}

// TestServerDies kills the API server itself, and brings it back: once while an
// instance serves, once while one starts. Others may use the same cluster, so it
// runs only when it is asked to.
func TestServerDies(t *testing.T) {
	if os.Getenv("SLIPWAY_FAULTS") != "all" {
		t.Skip("it kills the API server, which others may use: run it alone, with SLIPWAY_FAULTS=all")
	}
	y := newYard(t)
	l := y.lead(t, func(cfg *kubernetes.Config) { cfg.DataDir = t.TempDir() })
	w := watch(t, l)
	const serving, starting = "aaaaaaaa-0000-4000-8000-000000000006", "aaaaaaaa-0000-4000-8000-000000000007"
	if err := l.Start(t.Context(), y.workload(serving, 1, launchertest.Serves)); err != nil {
		t.Fatal(err)
	}
	f, _ := w.until(t, 1, time.Minute, ready)
	died := time.Now()
	begun := make(chan error, 1)
	go func() { begun <- l.Start(t.Context(), y.workload(starting, 2, launchertest.Serves)) }()
	if out, err := exec.Command("../restart", "kube-apiserver", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !answers(f.Endpoint) {
		t.Error("the workload ended with the API server")
	}
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	w.until(t, 2, time.Minute, ready)
	t.Logf("ready %s after the API server died", time.Since(died).Round(100*time.Millisecond))
	for _, f := range w.all() {
		if f.State == launcher.Ended {
			t.Errorf("an instance ended with the API server: %+v %v", f, f.Reason)
		}
	}
	if err := y.core.Pods(y.space).Delete(t.Context(), y.pod(t, serving).Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	end, _ := w.until(t, 1, time.Minute, ended)
	check(t, end.Reason, controlplane.Crashed, "somebody deleted")
	if over := y.census.Overlaps(); len(over) > 0 {
		t.Error(over)
	}
}
