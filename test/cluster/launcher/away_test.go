package launcher_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

// TestAway has the API server be away for a while, at moments that matter.
func TestAway(t *testing.T) {
	const away = 4 * time.Second
	begin := func(t *testing.T) (*yard, *gateway, launcher.Launcher, *watcher) {
		t.Parallel()
		y := newYard(t)
		g := newGateway(t, y)
		l := y.lead(t, g.through)
		return y, g, l, watch(t, l)
	}

	t.Run("while it serves", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, l, y.workload(id, 1, launchertest.Serves))
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
		start(t, l, y.workload(id, 1, launchertest.Serves))
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
		start(t, l, y.workload(id, 2, launchertest.Serves))
		w.until(t, 2, time.Minute, ready)
	})

	t.Run("while its app ends", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, l, y.workload(id, 1, launchertest.Serves))
		f, _ := w.until(t, 1, time.Minute, ready)
		g.shut()
		exit(f.Endpoint, 6)
		time.Sleep(away)
		g.open(t)
		end, _ := w.until(t, 1, time.Minute, ended)
		check(t, end.Reason, controlplane.Crashed, "exit code 6")
	})

	t.Run("for long", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, l, y.workload(id, 1, launchertest.Serves))
		f, _ := w.until(t, 1, time.Minute, ready)
		g.shut()
		exit(f.Endpoint, 6)
		time.Sleep(20 * time.Second)
		g.open(t)
		w.until(t, 1, 4*time.Second, ended)
	})

	t.Run("when it is to start", func(t *testing.T) {
		y, g, l, w := begin(t)
		g.shut()
		back := time.AfterFunc(away, func() { g.open(t) })
		defer back.Stop()
		start(t, l, y.workload(id, 1, launchertest.Serves))
		w.until(t, 1, time.Minute, ready)
	})

	t.Run("while it starts", func(t *testing.T) {
		y, g, l, w := begin(t)
		start(t, l, y.workload(id, 1, launchertest.Serves))
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
	l := y.lead(t)
	w := watch(t, l)
	const serving, starting = "aaaaaaaa-0000-4000-8000-000000000006", "aaaaaaaa-0000-4000-8000-000000000007"
	start(t, l, y.workload(serving, 1, launchertest.Serves))
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
