package kubernetes

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// instance is what a leader knows of one.
type instance struct {
	id string
	// turn is held by whoever acts upon it, or writes what follows.
	turn    chan struct{}
	dropped bool              // another one has taken its place
	owner   *corev1.ConfigMap // as written last; nil: there is none
	rec     record
	last    *corev1.Pod // of the start, as seen last
	// unborn is a pod that was let run and was gone before that.
	unborn types.UID
	// ungated is the pod whose gate was taken off last, in this term.
	ungated types.UID
	secret  madeSecret
	// written is the Deployment as this term wrote it last, until informers have it.
	written *appsv1.Deployment

	mu     sync.Mutex
	gone   types.UID     // the owner that is no more
	over   bool          // it is dropped, and nothing more is told of it
	news   chan struct{} // closed at the next change
	prober *prober       // of the start, once its container runs
	fact   launcher.Fact // as told last
	alarm  *time.Timer
	kept   map[types.UID]*keeping // the logs that are being read
	read   types.UID              // the pod whose log was begun to be read last, in this term
	ending map[types.UID]bool     // pods that were asked to end, while informers have them
	// lingers is until when a pod that is no more may still run, and lingered has
	// the instance be looked at then.
	lingers  time.Time
	lingered *time.Timer
	heard    heard // of the step of its pod that brings or installs it
}

func newInstance(id string) *instance {
	return &instance{id: id, turn: make(chan struct{}, 1), news: make(chan struct{})}
}

func (i *instance) lock(ctx context.Context) error {
	select {
	case i.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (i *instance) unlock() { <-i.turn }

// pulse wakes those who wait.
func (i *instance) pulse() {
	i.mu.Lock()
	defer i.mu.Unlock()
	close(i.news)
	i.news = make(chan struct{})
}

// await waits until it is so.
func (i *instance) await(ctx context.Context, so func() bool) error {
	for {
		i.mu.Lock()
		news := i.news
		i.mu.Unlock()
		if so() {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// isGone reports whether an owner is known to be no more.
func (i *instance) isGone(uid types.UID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.gone == uid
}

// ends notes that a pod was asked to end, which informers may not know yet.
func (i *instance) ends(pod types.UID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ending == nil {
		i.ending = map[types.UID]bool{}
	}
	i.ending[pod] = true
}

// isEnding reports whether a pod was asked to end, by whomever.
func (i *instance) isEnding(p *corev1.Pod) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return p.DeletionTimestamp != nil || i.ending[p.UID]
}

// forgetEnded leaves of what was noted by ends the pods that are there.
func (i *instance) forgetEnded(there []*corev1.Pod) {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.ending, func(uid types.UID, _ bool) bool {
		return !slices.ContainsFunc(there, func(p *corev1.Pod) bool { return p.UID == uid })
	})
}

// mayLinger reports whether a pod may still run that is no more.
func (i *instance) mayLinger() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Now().Before(i.lingers)
}

// wakeAt has the instance be looked at again at a time.
func (t *term) wakeAt(i *instance, at time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.alarm != nil {
		i.alarm.Stop()
	}
	i.alarm = time.AfterFunc(max(0, time.Until(at)), func() { t.changed(i.id) })
}

// unwake forgets such times, which would keep all that a term has seen in memory.
func (i *instance) unwake() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, timer := range []*time.Timer{i.alarm, i.lingered} {
		if timer != nil {
			timer.Stop()
		}
	}
	i.alarm, i.lingered = nil, nil
}
