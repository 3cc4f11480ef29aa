package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// errSame ends a save that has nothing to write.
var errSame = errors.New("nothing changes")

// save changes the record of an instance, whose turn the caller has. change may
// be called several times, each time with the newest record, which may have what
// an earlier call wrote already: its answer may have been lost. It is fenced as
// every write is, by the version of the owner.
func (t *term) save(ctx context.Context, i *instance, change func(*record) error) error {
	for {
		if err := t.present(ctx, i); err != nil {
			return err
		}
		rec := i.rec.clone()
		switch err := change(&rec); {
		case errors.Is(err, errSame):
			return nil
		case err != nil:
			return err
		}
		rec.Epoch = t.epoch
		written, err := t.write(ctx, i, rec)
		switch {
		case err == nil:
			written.ManagedFields = nil
			i.owner, i.rec = written, rec
			return nil
		case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err) && i.owner != nil:
			if err := t.load(ctx, i); err != nil {
				return err
			}
		default:
			return fmt.Errorf("write record: %w", err)
		}
	}
}

// write makes or changes the owner.
func (t *term) write(ctx context.Context, i *instance, rec record) (written *corev1.ConfigMap, err error) {
	if i.owner != nil {
		owner := i.owner.DeepCopy()
		if err := rec.write(owner); err != nil {
			return nil, err
		}
		err = insist(ctx, func(ctx context.Context) (err error) {
			written, err = t.api.owners().Update(ctx, owner, metav1.UpdateOptions{FieldManager: objects.Manager})
			return err
		})
		return written, err
	}
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: objects.Name(i.id), Labels: map[string]string{objects.LabelManagedBy: objects.Manager, objects.LabelInstance: i.id},
	}}
	if err := rec.write(owner); err != nil {
		return nil, err
	}
	err = insist(ctx, func(ctx context.Context) (err error) {
		written, err = t.api.owners().Create(ctx, owner, metav1.CreateOptions{FieldManager: objects.Manager})
		return err
	})
	if err != nil {
		return nil, err
	}
	// Nothing was there that a newer leader could have written. If it leads, it
	// may not have seen this one either.
	if err := t.confirm(ctx); err != nil {
		if errors.Is(err, launcher.ErrFenced) {
			_ = t.api.owners().Delete(context.WithoutCancel(ctx), written.Name, metav1.DeleteOptions{Preconditions: exactly(written)})
		}
		return nil, err
	}
	return written, nil
}

// load reads the owner anew, past what informers have seen.
func (t *term) load(ctx context.Context, i *instance) error {
	var owner *corev1.ConfigMap
	err := insist(ctx, func(ctx context.Context) (err error) {
		owner, err = t.api.owners().Get(ctx, objects.Name(i.id), metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		i.owner, i.rec = nil, record{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	return t.know(i, owner)
}

// know takes in an owner as it is.
func (t *term) know(i *instance, owner *corev1.ConfigMap) error {
	rec, err := readRecord(owner)
	if err != nil {
		// One instance's must not keep the others from being led. A pod that was let
		// run tells of itself by having no gate, so that none runs beside it.
		t.cfg.Log.Error("a record that somebody has changed is taken for an empty one, and written anew: what runs of the instance ends, and is started again if it is to run",
			zap.String("instance", i.id), zap.Error(err))
	}
	if rec.Epoch > t.epoch {
		return t.depose()
	}
	i.owner, i.rec = owner, rec
	return nil
}

// present makes sure that the owner known is not one that is going or gone.
func (t *term) present(ctx context.Context, i *instance) error {
	if i.owner == nil {
		if seen := t.view.owner(i.id); seen != nil && !i.isGone(seen.UID) {
			if err := t.know(i, seen.DeepCopy()); err != nil {
				return err
			}
		}
	}
	if i.owner == nil {
		return nil
	}
	if i.owner.DeletionTimestamp != nil {
		uid := i.owner.UID
		if err := i.await(ctx, func() bool { return i.isGone(uid) }); err != nil {
			return err
		}
	}
	if i.isGone(i.owner.UID) {
		i.owner, i.rec, i.last = nil, record{}, nil
	}
	return nil
}

// exactly is the precondition that an object is as it was read.
func exactly(o metav1.Object) *metav1.Preconditions {
	uid, version := o.GetUID(), o.GetResourceVersion()
	return &metav1.Preconditions{UID: &uid, ResourceVersion: &version}
}
