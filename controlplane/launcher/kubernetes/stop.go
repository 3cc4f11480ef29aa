package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// stop ends what runs of this generation or an older one.
func (t *term) stop(ctx context.Context, id string, generation int64, grace time.Duration) error {
	i, err := t.acquire(ctx, id)
	if err != nil {
		return err
	}
	err = t.save(ctx, i, func(rec *record) error {
		if generation < rec.Generation {
			return fmt.Errorf("generation %d after %d: %w", generation, rec.Generation, launcher.ErrFenced)
		}
		rec.Generation = generation
		callOff(i, rec)
		return nil
	})
	var settled int64
	if err == nil {
		t.unprobe(i)
		settled, err = t.lower(ctx, i, grace)
	}
	started := i.rec.Start
	i.unlock()
	if err != nil {
		return err
	}
	t.changed(id)
	err = t.awaitEnd(ctx, i, func() bool {
		return t.quiet(id, generation, settled) && !i.mayLinger() && i.toldEnd(started) && !i.isKeeping()
	})
	if err == nil && started != nil { // by an earlier stop that was cut short, perhaps
		t.dropSecret(ctx, i, started.Generation)
	}
	return err
}

// slowEnd is how long an end takes before the log says so, and each time as long
// again: a node may not answer, or something of the cluster's may not let go.
const slowEnd = time.Minute

// awaitEnd is await for an end that the cluster carries out.
func (t *term) awaitEnd(ctx context.Context, i *instance, so func() bool) error {
	began := time.Now()
	for {
		once, cancel := context.WithTimeout(ctx, slowEnd)
		err := i.await(once, so)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		var pods []string
		for _, p := range t.view.podsOf(i.id) {
			pods = append(pods, p.Name)
		}
		t.cfg.Log.Warn("the cluster has not ended an instance yet; see whether its nodes answer, and whether a webhook or a finalizer holds its objects",
			zap.String("instance", i.id), zap.Duration("after", time.Since(began).Round(time.Second)), zap.Strings("pods", pods))
	}
}

// callOff notes that the start ends on purpose.
func callOff(i *instance, rec *record) {
	if rec.Start.runs() {
		rec.Start.End = &end{At: time.Now()}
		rec.Start.Ready = rec.Start.Ready || i.wasReady(rec.Start.Generation)
	}
}

// quiet reports whether nothing of this generation or an older one is there, nor
// will be: a Deployment may make one more pod until it has seen that it is not to.
func (t *term) quiet(id string, generation, settled int64) bool {
	for _, p := range t.view.podsOf(id) {
		if objects.Generation(p.Labels) <= generation {
			return false
		}
	}
	d := t.view.deployment(id)
	return d == nil || d.Status.ObservedGeneration >= settled && (d.Status.Replicas == 0 || objects.Generation(d.Labels) > generation)
}

// scaleDown has the Deployment make no pod any more, and says which of its
// generations that is. A Deployment of a newer start is left alone.
func (t *term) scaleDown(ctx context.Context, i *instance) (int64, error) {
	known := t.deployment(i)
	for {
		if known == nil || known.DeletionTimestamp != nil {
			return 0, nil
		}
		if objects.Epoch(known.Labels) > t.epoch {
			return 0, t.depose()
		}
		if known.Spec.Replicas != nil && *known.Spec.Replicas == 0 {
			return known.Generation, nil
		}
		patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"resourceVersion":%q},"spec":{"replicas":0}}`, known.UID, known.ResourceVersion)
		var scaled *appsv1.Deployment
		err := insist(ctx, func(ctx context.Context) (err error) {
			scaled, err = t.api.deployments().Patch(ctx, known.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: objects.Manager})
			return err
		})
		switch {
		case err == nil:
			i.wrote(scaled)
			return scaled.Generation, nil
		case apierrors.IsNotFound(err):
			return 0, nil
		case !apierrors.IsConflict(err):
			return 0, fmt.Errorf("scale deployment to 0: %w", err)
		}
		if known, err = t.readDeployment(ctx, i.id); err != nil {
			return 0, err
		}
	}
}

// lower has nothing of an instance remain: its Deployment makes no pod any more,
// and those that are there end within grace. Their deletion is asked for here,
// since the Deployment's would have the grace of the start.
func (t *term) lower(ctx context.Context, i *instance, grace time.Duration) (settled int64, err error) {
	pods := t.view.podsOf(i.id)
	t.keepLogs(i, pods)
	var deleting sync.WaitGroup
	var undeleted error
	deleting.Go(func() { undeleted = t.deletePods(ctx, i, pods, grace) })
	settled, err = t.scaleDown(ctx, i)
	deleting.Wait()
	return settled, errors.Join(err, undeleted)
}

// deletePods has pods end within grace.
func (t *term) deletePods(ctx context.Context, i *instance, pods []*corev1.Pod, grace time.Duration) error {
	var all sync.WaitGroup
	errs := make([]error, len(pods))
	for n, p := range pods {
		all.Go(func() {
			if err := t.deletePod(ctx, p, grace); err != nil {
				errs[n] = fmt.Errorf("delete pod %s: %w", p.Name, err)
				return
			}
			i.ends(p.UID)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// tryDelete is deletePods where another part of the cluster deletes them too.
func (t *term) tryDelete(ctx context.Context, i *instance, pods []*corev1.Pod, grace time.Duration) {
	if err := t.deletePods(ctx, i, pods, grace); err != nil && ctx.Err() == nil {
		t.cfg.Log.Error("pods could not be deleted, and are left to the cluster's controllers", zap.Error(err))
	}
}

// ownGrace is the grace that the pod itself has.
const ownGrace time.Duration = -1

// deletePod has a pod end within grace. Kubernetes counts whole seconds, and 0
// would forget the pod before it has ended.
func (t *term) deletePod(ctx context.Context, p *corev1.Pod, grace time.Duration) error {
	o := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}}
	if grace != ownGrace {
		o.GracePeriodSeconds = new(max(1, int64(math.Ceil(grace.Seconds()))))
	}
	err := insist(ctx, func(ctx context.Context) error { return t.api.pods().Delete(ctx, p.Name, o) })
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// finish notes the end of a start, tells of it, and has nothing of it remain.
// The caller has the instance's turn. A nil reason is an end on purpose.
func (t *term) finish(ctx context.Context, i *instance, why *controlplane.Reason) error {
	s := i.rec.Start
	t.unprobe(i)
	if why != nil {
		t.tell(i, nil, launcher.Fact{State: launcher.Ended, WasReady: s.Ready || i.wasReady(s.Generation), Reason: why})
	}
	err := t.save(ctx, i, func(rec *record) error {
		if !rec.Start.runs() || rec.Start.ID != s.ID {
			return errSame
		}
		rec.Start.End = &end{At: time.Now(), Reason: why}
		rec.Start.Ready = s.Ready || i.wasReady(s.Generation)
		return nil
	})
	if err != nil {
		return err
	}
	t.Go(func() { t.dropSecret(t.Context(), i, s.Generation) })
	_, err = t.lower(ctx, i, ownGrace)
	return err
}

// remove deletes the owner, which everything of the instance goes with.
func (t *term) remove(ctx context.Context, id string) error {
	i, err := t.acquire(ctx, id)
	if err != nil {
		return err
	}
	owner, err := t.disown(ctx, i)
	i.unlock()
	if err != nil {
		return err
	}
	if owner != nil {
		if err := t.awaitEnd(ctx, i, func() bool { return i.isGone(owner.UID) }); err != nil {
			return err
		}
	}
	return t.forget(ctx, id)
}

// disown begins the removal, and returns the owner that goes; nil: there is none.
func (t *term) disown(ctx context.Context, i *instance) (*corev1.ConfigMap, error) {
	for {
		if i.owner == nil {
			if err := t.load(ctx, i); err != nil {
				return nil, err
			}
		}
		if i.owner == nil {
			return nil, t.confirm(ctx)
		}
		if i.owner.DeletionTimestamp != nil || i.isGone(i.owner.UID) {
			return i.owner, nil
		}
		err := t.save(ctx, i, func(rec *record) error {
			callOff(i, rec)
			return nil
		})
		if err != nil {
			return nil, err
		}
		t.unprobe(i)
		t.tryDelete(ctx, i, t.view.podsOf(i.id), 0)
		foreground := metav1.DeletePropagationForeground
		err = insist(ctx, func(ctx context.Context) error {
			return t.api.owners().Delete(ctx, i.owner.Name, metav1.DeleteOptions{PropagationPolicy: &foreground, Preconditions: exactly(i.owner)})
		})
		if err == nil || apierrors.IsNotFound(err) {
			return i.owner, nil
		}
		if !apierrors.IsConflict(err) {
			return nil, fmt.Errorf("delete owner: %w", err)
		}
		if err := t.load(ctx, i); err != nil {
			return nil, err
		}
	}
}

// forget drops what is known of an instance that is no more.
func (t *term) forget(ctx context.Context, id string) error {
	i, err := t.acquire(ctx, id)
	if err != nil {
		return err
	}
	defer i.unlock()
	if i.owner != nil && !i.isGone(i.owner.UID) {
		return nil // it has been started again
	}
	t.drop(i)
	t.Facts.Forget(id)
	if err := os.RemoveAll(t.l.folder(id)); err != nil {
		return fmt.Errorf("remove logs: %w", err)
	}
	return nil
}

// stopAll stops everything that runs.
func (t *term) stopAll(ctx context.Context, grace time.Duration) error {
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		errs   []error
		places = make(chan struct{}, workers)
	)
	for _, i := range t.all() {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if err := i.lock(ctx); err != nil {
				return
			}
			generation, runs := i.rec.Generation, i.rec.Start.runs() || len(t.view.podsOf(i.id)) > 0
			i.unlock()
			if !runs {
				return
			}
			err := t.act(ctx, func(ctx context.Context) error { return t.stop(ctx, i.id, generation, grace) })
			if err != nil && !errors.Is(err, launcher.ErrFenced) {
				mu.Lock()
				errs = append(errs, fmt.Errorf("stop instance %s: %w", i.id, err))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
