package kubernetes

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
)

// prober asks a running pod whether it answers, until it does.
type prober struct {
	start    start // as it was
	pod      *corev1.Pod
	endpoint string
	since    time.Time // of its container
	ctx      context.Context
	cancel   context.CancelFunc
	opened   bool // its port accepted at least once
}

// probePod begins to ask a pod whose container runs, at once and without waiting
// for the kubelet's word or for endpoints. The caller has the instance's turn.
func (t *term) probePod(ctx context.Context, i *instance, p *corev1.Pod, endpoint netip.AddrPort) {
	i.mu.Lock()
	known := i.prober
	i.mu.Unlock()
	if known != nil && known.start.ID == i.rec.Start.ID && known.endpoint == endpoint.String() {
		return
	}
	w := &prober{start: *i.rec.Start, pod: p, endpoint: endpoint.String(), since: time.Now()}
	w.ctx, w.cancel = context.WithCancel(t.Context())
	i.mu.Lock()
	first := i.fact.State == "" || i.fact.Generation != w.start.Generation
	if i.prober != nil {
		i.prober.cancel()
	}
	i.prober = w
	i.mu.Unlock()
	if w.start.Ready {
		t.tell(i, w, w.ready())
		return
	}
	if first { // it was adopted, and may have been ready already
		for _, c := range p.Status.ContainerStatuses {
			if c.State.Running != nil {
				w.since = c.State.Running.StartedAt.Time
			}
		}
		if w.probe(ctx) == nil {
			if holds, _ := t.holds(ctx, w); holds {
				t.becomesReady(i, w)
				return
			}
		}
	}
	t.tell(i, w, launcher.Fact{State: launcher.Starting, Stage: controlplane.StageStarting})
	t.Go(func() { t.await(i, w) })
}

// unprobe ends the watch, if there is one.
func (t *term) unprobe(i *instance) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.prober != nil {
		i.prober.cancel()
		i.prober = nil
	}
}

func (w *prober) ready() launcher.Fact {
	return launcher.Fact{State: launcher.Ready, Stage: controlplane.StageReady, Endpoint: w.endpoint}
}

// probe asks once.
func (w *prober) probe(ctx context.Context) error {
	if err := probe.Connect(ctx, w.endpoint); err != nil {
		return err
	}
	w.opened = true
	if w.start.HealthPath == "" {
		return nil
	}
	return probe.Health(ctx, w.endpoint, w.endpoint, w.start.HealthPath)
}

// stillHolds is how long the API server's word on whose an address is holds: a pod
// that is deleted after it has a second of grace at least, unless by force.
const stillHolds = time.Second

// holds reports whether the address that answers is the pod's. What the watch told
// may be old by now: a pod that is gone gives its address to the next one. The
// error is that the API server does not tell.
func (t *term) holds(ctx context.Context, w *prober) (bool, error) {
	var p *corev1.Pod
	err := insist(ctx, func(ctx context.Context) (err error) {
		p, err = t.api.pods().Get(ctx, w.pod.Name, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for pod: %w", err)
	}
	return p.UID == w.pod.UID && p.Status.PodIP == w.pod.Status.PodIP && p.DeletionTimestamp == nil && alive(p), nil
}

// insistsHolds is holds, asked until the API server tells or the watch ends.
func (t *term) insistsHolds(w *prober) bool {
	holds, unknown := t.holds(w.ctx, w)
	for unknown != nil && w.ctx.Err() == nil {
		holds, unknown = t.holds(w.ctx, w)
	}
	return holds
}

// await asks until the pod answers or its time is over.
func (t *term) await(i *instance, w *prober) {
	defer w.cancel()
	ctx, cancel := context.WithDeadline(w.ctx, w.since.Add(w.start.HealthTimeout))
	defer cancel()
	var pace probe.Backoff
	var last error
	// Whose the address is, is asked beside the first try, for an app that is quick.
	asked, early := time.Now(), make(chan bool, 1)
	if !t.Go(func() { early <- t.insistsHolds(w) }) {
		return
	}
	for {
		opened := w.opened
		err := w.probe(ctx)
		if err == nil {
			var holds bool
			if time.Since(asked) < stillHolds {
				holds, asked = <-early, time.Time{}
			} else {
				holds = t.insistsHolds(w)
			}
			if holds {
				t.becomesReady(i, w)
				return
			}
			w.opened = false // it was another's port
		}
		if w.opened && !opened {
			t.tell(i, w, launcher.Fact{State: launcher.Starting, Stage: controlplane.StageHealth})
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		timer := time.NewTimer(pace.Next())
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
			timer.Stop()
		}
		break
	}
	if w.ctx.Err() != nil {
		return
	}
	why := reason(controlplane.PortNeverOpened, "nothing accepted connections at port %d within %s of the start; the app has to listen on all addresses at the port in PORT, not on 127.0.0.1 alone",
		w.start.Port, w.start.HealthTimeout)
	if w.opened {
		why = reason(controlplane.HealthTimeout, "Runtime.HealthPath %s did not answer 2xx or 3xx within %s: %v", w.start.HealthPath, w.start.HealthTimeout, last)
	}
	if err := t.ifCurrent(w.ctx, i, w, func() error { return t.finish(t.Context(), i, why) }); err != nil && t.Context().Err() == nil {
		t.cfg.Log.Error("a start that is too late could not be ended: it is tried again", zap.String("instance", i.id), zap.Error(err))
		t.changed(i.id)
	}
}

// noteAfter is how long the note that a start is ready waits: the control plane
// and the visitor who is waiting come first.
const noteAfter = 100 * time.Millisecond

// becomesReady tells of it, and notes it for those who lead later.
func (t *term) becomesReady(i *instance, w *prober) {
	t.tell(i, w, w.ready())
	note := func() {
		first := time.NewTimer(noteAfter)
		defer first.Stop()
		select {
		case <-first.C:
		case <-t.Context().Done():
		}
		// It is written also where the lead is given up at this moment.
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		err := t.ifCurrent(ctx, i, w, func() error {
			return t.save(ctx, i, func(rec *record) error {
				if !rec.Start.runs() || rec.Start.ID != w.start.ID || rec.Start.Ready {
					return errSame
				}
				rec.Start.Ready = true
				return nil
			})
		})
		if err != nil && t.Context().Err() == nil {
			t.cfg.Log.Error("that an instance is ready could not be noted", zap.String("instance", i.id), zap.Error(err))
		}
	}
	t.Go(note)
}

// ifCurrent does something in the instance's turn, if the watch is still its own.
func (t *term) ifCurrent(ctx context.Context, i *instance, w *prober, do func() error) error {
	if err := i.lock(ctx); err != nil {
		return fmt.Errorf("wait for the turn: %w", err)
	}
	defer i.unlock()
	i.mu.Lock()
	own := i.prober == w
	i.mu.Unlock()
	if !own {
		return nil
	}
	return do()
}
