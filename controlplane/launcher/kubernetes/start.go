package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// start begins a start. The record has it before anything else is done, so that
// nobody who leads later takes its objects for an older one's; but see waking.
func (t *term) start(ctx context.Context, w launcher.Workload) error {
	if reasons := t.l.Check(w.App); len(reasons) > 0 {
		return &launcher.StartError{Reason: reasons[0]}
	}
	set, err := t.l.make(ctx, w, t.epoch)
	if err != nil {
		return err
	}
	i, err := t.acquire(ctx, w.InstanceID)
	if err != nil {
		return err
	}
	defer i.unlock()
	next := &start{
		ID: uuid.NewString(), Generation: w.Generation, Epoch: t.epoch, At: time.Now(), Port: set.Port,
		HealthPath: w.HealthPath(), HealthTimeout: w.HealthTimeout, Warnings: set.Warnings,
	}
	early, err := t.wake(ctx, i, set, w.Generation)
	if err != nil {
		return err
	}
	var before *start
	same := false
	err = t.save(ctx, i, func(rec *record) error {
		if w.Generation < rec.Generation {
			return fmt.Errorf("generation %d after %d: %w", w.Generation, rec.Generation, launcher.ErrFenced)
		}
		if same = rec.Start.runs() && rec.Start.Generation == w.Generation && rec.Start.ID != next.ID; same {
			return errSame
		}
		if rec.Start == nil || rec.Start.ID != next.ID {
			before = rec.Start
		}
		rec.Generation, rec.Start = w.Generation, next
		return nil
	})
	if err != nil || same {
		early.abandon()
		t.changed(i.id)
	}
	if err != nil {
		return err
	}
	if same {
		return t.confirm(ctx)
	}
	i.last, i.unborn = nil, ""
	t.tell(i, nil, launcher.Fact{State: launcher.Starting, Stage: controlplane.StageQueued})
	if err := t.raise(ctx, i, set, early, w.StopGrace); err != nil {
		t.giveUp(i, next.ID)
		return err
	}
	if before.runs() && before.Generation != w.Generation {
		t.Go(func() { t.dropSecret(t.Context(), i, before.Generation) })
	}
	t.changed(i.id)
	return nil
}

// raise makes what the start needs, and has the pods of earlier ones end.
func (t *term) raise(ctx context.Context, i *instance, set *objects.Set, early *waking, grace time.Duration) error {
	// No pod is let run before this is over, since it has the instance's turn: so
	// the Secret may come to be with what needs it, or after it.
	done, err := early.result(i)
	set.OwnedBy(i.owner.UID)
	if done {
		if err != nil {
			return err
		}
		return t.makeSecret(ctx, i, set.Secret)
	}
	var (
		making sync.WaitGroup
		secret error
	)
	making.Go(func() { secret = t.makeSecret(ctx, i, set.Secret) })
	err = t.raiseRest(ctx, i, set, grace)
	making.Wait()
	return errors.Join(secret, err)
}

// raiseRest makes all but the Secret.
func (t *term) raiseRest(ctx context.Context, i *instance, set *objects.Set, grace time.Duration) error {
	if err := t.raiseClaims(ctx, i, set.Claims); err != nil {
		return err
	}
	if err := t.raiseService(ctx, i, set); err != nil {
		return err
	}
	old := t.view.podsOf(i.id)
	t.keepLogs(i, old)
	var deleting sync.WaitGroup
	deleting.Go(func() { t.tryDelete(ctx, i, old, grace) })
	defer deleting.Wait()
	return t.apply(ctx, i, set.Deployment)
}

// apply makes the Deployment what it is to be. One that is there is changed by
// comparing its version: who was fenced meanwhile changes nothing.
func (t *term) apply(ctx context.Context, i *instance, d *appsv1.Deployment) error {
	known := t.deployment(i)
	for {
		err := insist(ctx, func(ctx context.Context) (err error) {
			if known == nil {
				known, err = t.api.deployments().Create(ctx, skeleton(d), metav1.CreateOptions{FieldManager: objects.Manager})
				if err != nil {
					return err
				}
			}
			if objects.Epoch(known.Labels) > t.epoch {
				return t.depose()
			}
			body, err := applied(d, known)
			if err != nil {
				return err
			}
			made, err := apply(ctx, t.api.deployments(), d.Name, body)
			if err == nil {
				i.wrote(made)
			}
			return err
		})
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			return refused("apply deployment", err)
		}
		if known, err = t.readDeployment(ctx, i.id); err != nil {
			return err
		}
	}
}

// skeleton is a Deployment that runs nothing. It is created, so that it is made
// by one leader at most, and applied over from then on.
func skeleton(d *appsv1.Deployment) *appsv1.Deployment {
	none := int32(0)
	bare := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: d.Name, Labels: d.Labels, OwnerReferences: d.OwnerReferences},
		Spec: appsv1.DeploymentSpec{
			Replicas: &none, Selector: d.Spec.Selector, RevisionHistoryLimit: d.Spec.RevisionHistoryLimit, Strategy: d.Spec.Strategy,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: d.Spec.Selector.MatchLabels}},
		},
	}
	bare.Spec.Template.Spec.SecurityContext = d.Spec.Template.Spec.SecurityContext
	for _, c := range d.Spec.Template.Spec.Containers {
		c = corev1.Container{Name: c.Name, Image: c.Image, SecurityContext: c.SecurityContext}
		bare.Spec.Template.Spec.Containers = append(bare.Spec.Template.Spec.Containers, c)
	}
	return bare
}

// readDeployment reads it past what informers have seen; nil is none.
func (t *term) readDeployment(ctx context.Context, id string) (d *appsv1.Deployment, err error) {
	err = insist(ctx, func(ctx context.Context) (err error) {
		d, err = t.api.deployments().Get(ctx, objects.Name(id), metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return d, err
}

// giveUp ends a start that could not be made whole: nothing of it is to come.
func (t *term) giveUp(i *instance, startID string) {
	t.Go(func() {
		if i.lock(t.Context()) != nil {
			return
		}
		defer i.unlock()
		if i.rec.Start == nil || i.rec.Start.ID != startID || !i.rec.Start.runs() {
			return
		}
		if err := t.finish(t.Context(), i, nil); err != nil && t.Context().Err() == nil {
			t.cfg.Log.Error("a start that failed could not be taken back: it is tried again", zap.String("instance", i.id), zap.Error(err))
			t.changed(i.id)
		}
	})
}

// faulty types what the API server goes on to answer with a fault of its own. One
// that does not answer is asked again by who wants the start.
func faulty(err error) error {
	_, typed := errors.AsType[*launcher.StartError](err)
	fault, stays := errors.AsType[*faultError](err)
	var said apierrors.APIStatus
	if typed || !stays || !errors.As(fault.err, &said) {
		return err
	}
	return &launcher.StartError{Reason: diagnose.Faulty(said.Status().Message), Err: err}
}

// refused types what the cluster does not accept.
func refused(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err):
		return &launcher.StartError{Reason: diagnose.Refused(err.Error()), Err: fmt.Errorf("%s: %w", what, err)}
	}
	return fmt.Errorf("%s: %w", what, err)
}
