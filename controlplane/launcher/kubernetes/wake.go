package kubernetes

import (
	"context"
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// waking is the Deployment of an instance that sleeps, being applied while the
// start is still being written into the record. The zero value is of an instance
// that does not sleep.
//
// If the record turns out to be another leader's, nothing is lost: no pod runs
// that the record does not name, and who leads scales a Deployment to 0 again that
// the record does not have run. A Deployment that has a pod waits for the record,
// since to change it ends the pod; so does one whose Service or volumes are to
// be others.
type waking struct {
	owner  types.UID
	cancel context.CancelFunc
	done   chan struct{} // nil: nothing is being applied
	made   *appsv1.Deployment
	err    error
}

// wake begins to apply the Deployment of a start, if the instance sleeps. The
// caller has the instance's turn until the result was asked for or abandoned.
func (t *term) wake(ctx context.Context, i *instance, set *objects.Set, generation int64) (*waking, error) {
	w := &waking{}
	known := t.deployment(i)
	sleeps := i.owner != nil && i.rec.Epoch == t.epoch && !i.rec.Start.runs() && generation >= i.rec.Generation &&
		known != nil && known.DeletionTimestamp == nil && known.Spec.Replicas != nil && *known.Spec.Replicas == 0 &&
		objects.Epoch(known.Labels) <= t.epoch && len(t.view.podsOf(i.id)) == 0
	if !sleeps {
		return w, nil
	}
	set.OwnedBy(i.owner.UID)
	if lasts, err := t.lasts(i, set); err != nil || !lasts {
		return w, err
	}
	w.owner, w.done = i.owner.UID, make(chan struct{})
	body, err := applied(set.Deployment, known)
	if err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go func() {
		defer close(w.done)
		w.err = insist(ctx, func(ctx context.Context) (err error) {
			w.made, err = apply(ctx, t.api.deployments(), known.Name, body)
			return err
		})
	}()
	return w, nil
}

// result waits for the Deployment. Unless it is done, it has to be applied in
// the usual way: nothing was tried, or the cluster's is not the one that was seen.
func (w *waking) result(i *instance) (done bool, err error) {
	if w.done == nil {
		return false, nil
	}
	<-w.done
	w.cancel()
	stale := apierrors.IsConflict(w.err) || apierrors.IsAlreadyExists(w.err) || apierrors.IsNotFound(w.err)
	if stale || i.owner.UID != w.owner {
		return false, nil
	}
	if w.err == nil {
		i.wrote(w.made)
	}
	return true, refused("apply deployment", w.err)
}

// abandon ends it: the start is not in the record. What was applied is taken back
// when the instance is looked at.
func (w *waking) abandon() {
	if w.done != nil {
		w.cancel()
		<-w.done
	}
}

// applied is a Deployment as it is to be, to be applied over one that is known and
// over no other version of it.
func applied(d, known *appsv1.Deployment) ([]byte, error) {
	d = d.DeepCopy()
	d.ResourceVersion, d.UID = known.ResourceVersion, known.UID
	return json.Marshal(d)
}

// deployment is the Deployment of an instance, whose turn the caller has: as
// informers tell, or as this leader wrote it where they have not heard of that.
func (t *term) deployment(i *instance) *appsv1.Deployment {
	seen := t.view.deployment(i.id)
	if own := i.written; own != nil && seen != nil && seen.UID == own.UID && seen.Generation < own.Generation {
		return own
	}
	i.written = nil
	return seen
}

// wrote notes what became of the Deployment by this leader's own call.
func (i *instance) wrote(d *appsv1.Deployment) {
	_, _ = trim(d) // which fails for nothing that is typed
	i.written = d
}
