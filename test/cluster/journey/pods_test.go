package journey

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// census watches the pods of a space: one of an instance at most may be let run,
// from the change that takes off its gate to the one after which it is gone or
// has ended for good. It counts them in the order of the API server's changes,
// so that no overlap is too short for it.
type census struct {
	mu      sync.Mutex
	running map[string]map[types.UID]string // by instance
	ever    map[string]map[types.UID]bool
	wrong   []string
	synced  func() bool
}

// watchPods watches until the test ends.
func (s *space) watchPods(t *testing.T) *census {
	t.Helper()
	c := &census{running: map[string]map[types.UID]string{}, ever: map[string]map[types.UID]bool{}}
	lw := cache.NewListWatchFromClient(s.admin.CoreV1().RESTClient(), "pods", s.name, fields.Everything())
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: lw, ObjectType: &corev1.Pod{}, Handler: cache.ResourceEventHandlerFuncs{
		AddFunc: c.saw, UpdateFunc: func(_, o any) { c.saw(o) }, DeleteFunc: c.lost,
	}})
	c.synced = informer.HasSynced
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { informer.RunWithContext(ctx) })
	t.Cleanup(func() {
		cancel()
		watching.Wait()
		for _, w := range c.wrong {
			t.Error(w)
		}
	})
	eventually(t, "the pods are watched", c.synced)
	return c
}

func (c *census) saw(o any) {
	p := o.(*corev1.Pod)
	c.mu.Lock()
	defer c.mu.Unlock()
	id := p.Labels[objects.LabelInstance]
	if len(p.Spec.SchedulingGates) > 0 {
		return
	}
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		delete(c.running[id], p.UID)
		return
	}
	if c.running[id] == nil {
		c.running[id], c.ever[id] = map[types.UID]string{}, map[types.UID]bool{}
	}
	c.running[id][p.UID], c.ever[id][p.UID] = p.Name, true
	if len(c.running[id]) > 1 {
		c.wrong = append(c.wrong, fmt.Sprintf("at revision %s the instance %s has the pods %v, and all may run", p.ResourceVersion, id, c.running[id]))
	}
}

func (c *census) lost(o any) {
	if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	p := o.(*corev1.Pod)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running[p.Labels[objects.LabelInstance]], p.UID)
}

// runs is how many pods of an instance were let run so far.
func (c *census) runs(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ever[id])
}
