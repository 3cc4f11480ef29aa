package scale

import (
	"cmp"
	"context"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// step is something of a start that the API server tells watchers of. Times in
// objects have whole seconds: these are by the test's own clock.
type step int

const (
	scaled    step = iota // the Deployment is to have a pod
	made                  // there is one
	let                   // without a scheduling gate
	scheduled             // on a node
	running               // its container runs
	gone                  // it is no more
	steps
)

// sight watches Deployments and their pods, each known by its label of owner.
type sight struct {
	mu   sync.Mutex
	news chan struct{}
	seen map[string]*[steps]time.Time
}

// barely is the label of what Slipway knows nothing of.
const barely = "slipway.test/owner"

func newSight(t testing.TB, h *house) *sight {
	t.Helper()
	s := &sight{news: make(chan struct{}), seen: map[string]*[steps]time.Time{}}
	factory := informers.NewSharedInformerFactoryWithOptions(h.cluster, 0, informers.WithNamespace(h.space))
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.note(o, false, time.Now()) },
		UpdateFunc: func(_, o any) { s.note(o, false, time.Now()) },
		DeleteFunc: func(o any) {
			if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
				o = last.Obj
			}
			s.note(o, true, time.Now())
		},
	}
	for _, i := range []cache.SharedIndexInformer{factory.Core().V1().Pods().Informer(), factory.Apps().V1().Deployments().Informer()} {
		if _, err := i.AddEventHandler(handler); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	t.Cleanup(func() { cancel(); factory.Shutdown() })
	return s
}

func (s *sight) note(o any, deleted bool, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mark := func(of map[string]string, step step, so bool) {
		if times := s.seen[cmp.Or(of[objects.LabelInstance], of[barely])]; times != nil && so && times[step].IsZero() {
			times[step] = at
		}
	}
	switch o := o.(type) {
	case *appsv1.Deployment:
		mark(o.Labels, scaled, o.Spec.Replicas != nil && *o.Spec.Replicas == 1)
	case *corev1.Pod:
		mark(o.Labels, gone, deleted)
		if deleted || o.DeletionTimestamp != nil {
			break // it may be the one before
		}
		mark(o.Labels, made, true)
		mark(o.Labels, let, len(o.Spec.SchedulingGates) == 0)
		mark(o.Labels, scheduled, o.Spec.NodeName != "")
		for _, c := range o.Status.ContainerStatuses {
			mark(o.Labels, running, c.State.Running != nil && o.Status.PodIP != "")
		}
	}
	close(s.news)
	s.news = make(chan struct{})
}

// clear forgets what was seen of an owner, and looks out from now on.
func (s *sight) clear(of string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[of] = &[steps]time.Time{}
}

// await waits for a step and returns all that was seen so far.
func (s *sight) await(t testing.TB, of string, step step) [steps]time.Time {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		s.mu.Lock()
		times, news := *s.seen[of], s.news
		s.mu.Unlock()
		if !times[step].IsZero() {
			return times
		}
		select {
		case <-news:
		case <-limit:
			t.Fatalf("step %d of %s did not come", step, of)
		}
	}
}
