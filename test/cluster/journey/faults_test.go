package journey

import (
	"fmt"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// TestAControlPlaneIsKilledDuringAStart: whenever that is, the next one adopts
// what is there, and the instance comes to run, in its one pod.
func TestAControlPlaneIsKilledDuringAStart(t *testing.T) {
	h := newHarbour(t, 1)
	p, pods := h.planes[0], h.watchPods(t)
	app := h.imports("slow", "DOMAIN", "", map[string]string{"START_DELAY": "3s"})
	for _, after := range []time.Duration{0, 30 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Second, 2500 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			h := h.in(t)
			in := h.create(app)
			time.Sleep(after)
			p.Kill()
			p.start()
			h.await(in.ID, "DEPLOYED")
			if got := p.visit(in.URL).said(t).Instance; got != in.ID {
				t.Errorf("%s answers for %s", got, in.ID)
			}
			if n := pods.runs(in.ID); n != 1 {
				t.Errorf("there were %d pods, want the one", n)
			}
			h.wantsOnePod()
			h.terminate(in.ID)
		})
	}
}

// away reports an answer that says to come again: an instance that is not there
// for a moment.
func away(a answer) bool {
	return a.err == nil && a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
}

// TestAPodIsDeletedByHand: visitors wait, or are told to come again, and are
// served by the next pod.
func TestAPodIsDeletedByHand(t *testing.T) {
	for name, grace := range map[string]*int64{"with its grace": nil, "at once": new(int64)} {
		t.Run(name, func(t *testing.T) {
			h := newHarbour(t, 1, func(_ *harbour, p *plane) { p.config += "\n\t\tstop_grace 2s" }) // which the next pod may have to wait for
			p, pods := h.planes[0], h.watchPods(t)
			in := h.run(h.imports("app", "DOMAIN", "", nil))
			was := p.visit(in.URL).said(t)
			h.wantsOnePod()
			var ended atomic.Int64 // when, in ns
			l := p.visitors(8, in.URL, func(a answer) bool {
				// The app heeds no SIGTERM: what it is asked as it ends is lost.
				lost := a.status == http.StatusBadGateway && time.Since(time.Unix(0, ended.Load())) < 3*time.Second
				return away(a) || lost
			})
			l.more(50)
			began := time.Now()
			ended.Store(began.UnixNano())
			if err := h.admin.CoreV1().Pods(h.name).Delete(t.Context(), h.pods()[0], metav1.DeleteOptions{GracePeriodSeconds: grace}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "another pod serves visitors", func() bool { return l.last.Load().Listening != was.Listening || t.Failed() })
			figure(t, "a pod deleted %s: visitors are served by the next one after %s", name, time.Since(began).Round(time.Millisecond))
			l.more(50)
			l.stop()
			figure(t, "the longest visit took %s", time.Duration(l.longest.Load()).Round(time.Millisecond))
			if n := pods.runs(in.ID); n != 2 {
				t.Errorf("there were %d pods, want 2", n)
			}
			h.terminate(in.ID)
		})
	}
}

// TestTheAPIServerIsAway: what runs is served on, and who comes to what sleeps
// is held until it is back.
func TestTheAPIServerIsAway(t *testing.T) {
	h := newHarbour(t, 1)
	p, pods := h.planes[0], h.watchPods(t)
	app := h.imports("app", "DOMAIN", "", nil)
	awake, asleep := h.run(app), h.run(app)
	was := p.visit(awake.URL).said(t)
	h.suspend(asleep.ID)
	l := p.visitors(4, awake.URL, nil)
	l.more(20)

	began := time.Now()
	restart := exec.CommandContext(t.Context(), "../restart", "kube-apiserver", "4")
	if err := restart.Start(); err != nil {
		t.Fatal(err)
	}
	isAway := func() bool { return h.admin.RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error() != nil }
	eventually(t, "the API server is away", isAway)
	woken := make(chan answer, 1)
	go func() { woken <- p.visit(asleep.URL) }() // awaited below
	l.more(100)
	if !isAway() {
		t.Error("it is back before visitors could have noticed")
	}
	if err := restart.Wait(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the API server is back", func() bool { return !isAway() })
	back := time.Now()
	h.left, h.back = began, back
	figure(t, "the API server was away for %s", back.Sub(began).Round(time.Millisecond))
	if got := (<-woken).said(t).Instance; got != asleep.ID {
		t.Errorf("%s answers for %s", got, asleep.ID)
	}
	figure(t, "who came meanwhile was served %s after it was back", time.Since(back).Round(time.Millisecond))
	l.more(20)
	l.stop()
	if now := p.visit(awake.URL).said(t); now.Listening != was.Listening {
		t.Errorf("%+v answers, was %+v", now, was)
	}
	// The test's own watch takes its time to come back, too.
	eventually(t, "the second pod of what slept is seen", func() bool { return pods.runs(asleep.ID) == 2 })
	if n := pods.runs(awake.ID); n != 1 {
		t.Errorf("what was awake had %d pods", n)
	}
	h.suspend(awake.ID)
	h.terminate(awake.ID)
	h.terminate(asleep.ID)
}

// TestALeaderIsKilledDuringWakes: of two control planes the one that leads is
// killed while visitors wake what sleeps. All are served, and never may two pods
// of an instance run.
func TestALeaderIsKilledDuringWakes(t *testing.T) {
	h := newHarbour(t, 2)
	pods := h.watchPods(t)
	app := h.imports("app", "DOMAIN", "", map[string]string{"START_DELAY": "1s"})
	instances := make([]*v1.Instance, 4)
	for i := range instances {
		instances[i] = h.run(app)
	}
	for round, after := range []time.Duration{20 * time.Millisecond, 150 * time.Millisecond, 600 * time.Millisecond, 1500 * time.Millisecond} {
		t.Run(fmt.Sprintf("killed after %s", after), func(t *testing.T) {
			h := h.in(t)
			for _, in := range instances {
				h.suspend(in.ID)
			}
			leader := h.leader()
			other := h.planes[0]
			if other == leader {
				other = h.planes[1]
			}
			var visitors sync.WaitGroup
			began := time.Now()
			for _, in := range instances {
				visitors.Go(func() {
					if a := other.visit(in.URL); a.status != http.StatusOK || a.said(t).Instance != in.ID {
						t.Errorf("%s: %d (%v) %.200s", in.ID, a.status, a.err, a.body)
					}
				})
			}
			time.Sleep(after)
			leader.Kill()
			visitors.Wait()
			figure(t, "the leader killed %s after visits to %d sleeping instances: all are served after %s", after, len(instances), time.Since(began).Round(time.Millisecond))
			leader.start()
			for _, in := range instances {
				h.await(in.ID, "DEPLOYED")
				if n := pods.runs(in.ID); n > 2*(round+2) {
					t.Errorf("%s had %d pods in %d starts", in.ID, n, round+2)
				}
			}
		})
	}
	for _, in := range instances {
		h.terminate(in.ID)
	}
}
