package launcher_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func decode(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
}

// What a wake costs: requests to the API server, none of them a list, and the
// launcher's share of the time. That is all but what others do: the controllers
// from the changed Deployment to the pod, and scheduler, kubelet and runtime from
// the gate to the running container, as a watch of the pod sees it.
func TestAWakeIsCheap(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	w := &wire{}
	l := y.lead(t, w.over)
	o := launchertest.Observe(t, l)
	var shares []time.Duration
	for g := int64(1); g <= 9; g++ {
		saw := y.watchPods(t)
		w.happens(nil, nil)
		begin := time.Now()
		start(t, l, y.workload(id, g, launchertest.Serves))
		asked := time.Since(begin)
		o.Ready(id, g)
		ready := time.Now()
		time.Sleep(300 * time.Millisecond) // what comes after it counts too
		m := saw()
		share := asked + m.free.Sub(m.born) + ready.Sub(m.runs)
		requests := w.asked()
		if slices.ContainsFunc(requests, func(r string) bool { return strings.Contains(r, "LIST") }) {
			t.Errorf("a wake lists: %q", requests)
		}
		if g > 1 { // the first makes what stays
			shares = append(shares, share)
			if len(requests) > 10 {
				t.Errorf("a wake has %d requests: %q", len(requests), requests)
			}
		}
		t.Logf("start %s, gate %s, probe %s; %d requests; ready after %s", asked, m.free.Sub(m.born), ready.Sub(m.runs), len(requests), ready.Sub(begin))
		w.happens(nil, nil)
		if err := l.Stop(t.Context(), id, g, time.Second); err != nil {
			t.Fatal(err)
		}
		stopping := w.asked()
		t.Logf("a stop has %d requests: %q", len(stopping), stopping)
	}
	slices.Sort(shares)
	t.Logf("the launcher's share of a wake: p50 %s, most %s", shares[len(shares)/2], shares[len(shares)-1])
}

// moments are when a watch saw a pod come, lose its gate, and run.
type moments struct{ born, free, runs time.Time }

// watchPods begins to watch; the result ends that and says what was seen.
func (y *yard) watchPods(t *testing.T) func() moments {
	t.Helper()
	watching, err := y.core.Pods(y.space).Watch(t.Context(), metav1.ListOptions{LabelSelector: objects.Selector().String()})
	if err != nil {
		t.Fatal(err)
	}
	var m moments
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range watching.ResultChan() {
			p, ok := e.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			now := time.Now()
			if m.born.IsZero() {
				m.born = now
			}
			if m.free.IsZero() && len(p.Spec.SchedulingGates) == 0 {
				m.free = now
			}
			for _, c := range p.Status.ContainerStatuses {
				if m.runs.IsZero() && c.State.Running != nil && p.Status.PodIP != "" {
					m.runs = now
				}
			}
		}
	}()
	return func() moments {
		watching.Stop()
		<-done
		return m
	}
}
