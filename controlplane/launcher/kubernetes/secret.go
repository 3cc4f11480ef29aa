package kubernetes

import (
	"context"
	"fmt"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// A start that is begun again by a later leader may have the generation of one
// that has ended, and so the name of its Secret. So each start makes its Secret
// anew, with a UID of its own, and no Secret is deleted but by its UID: what a
// former leader sends late is about one that is no more.

// madeSecret is the Secret of the newest start, as far as it is known here.
type madeSecret struct {
	generation int64
	uid        types.UID
	dropped    bool
}

// makeSecret makes the start's own Secret. The caller has the instance's turn.
func (t *term) makeSecret(ctx context.Context, i *instance, secret *corev1.Secret) error {
	for {
		var made *corev1.Secret
		err := insist(ctx, func(ctx context.Context) (err error) {
			made, err = t.api.core.Secrets(t.api.namespace).Create(ctx, secret, metav1.CreateOptions{FieldManager: objects.Manager})
			return err
		})
		if !apierrors.IsAlreadyExists(err) {
			if err == nil {
				i.secret = madeSecret{generation: objects.Generation(secret.Labels), uid: made.UID}
			}
			return refused("make secret", err)
		}
		// It is of an earlier start of the same generation, or of a try whose answer
		// was lost.
		if err := t.deleteSecret(ctx, secret.Name, ""); err != nil {
			return refused("delete an earlier secret", err)
		}
	}
}

// dropSecret deletes what a start was given that has ended.
func (t *term) dropSecret(ctx context.Context, i *instance, generation int64) {
	if i.lock(ctx) != nil {
		return
	}
	defer i.unlock()
	made := i.secret.generation == generation
	if i.rec.Start.runs() && i.rec.Start.Generation == generation || made && i.secret.dropped {
		return
	}
	var uid types.UID
	if made {
		uid = i.secret.uid
	}
	err := t.deleteSecret(ctx, objects.SecretName(i.id, generation), uid)
	switch {
	case err == nil && generation >= i.secret.generation:
		i.secret = madeSecret{generation: generation, dropped: true}
	case err != nil && ctx.Err() == nil:
		t.cfg.Log.Error("the secret of a start that has ended could not be deleted", zap.String("instance", i.id), zap.Error(err))
	}
}

// deleteSecret deletes the Secret with this UID; without one that which is there
// while this leader leads.
func (t *term) deleteSecret(ctx context.Context, name string, uid types.UID) error {
	if uid == "" {
		var err error
		if uid, err = t.secretUID(ctx, name); err != nil || uid == "" {
			return err
		}
		if err := t.confirm(ctx); err != nil {
			return err
		}
	}
	err := insist(ctx, func(ctx context.Context) error {
		return t.api.core.Secrets(t.api.namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// secretUID is the UID of a Secret that is there; empty: none is. Secrets cannot
// be read, so it comes from the answer to a deletion that is not carried out.
func (t *term) secretUID(ctx context.Context, name string) (types.UID, error) {
	var said metav1.Status
	err := insist(ctx, func(ctx context.Context) error {
		return t.api.core.RESTClient().Delete().Namespace(t.api.namespace).Resource("secrets").Name(name).
			Body(&metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}).Do(ctx).Into(&said)
	})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("ask which secret it is: %w", err)
	case said.Details == nil || said.Details.UID == "":
		return "", fmt.Errorf("ask which secret it is: the API server does not tell the UID of %s", name)
	}
	return said.Details.UID, nil
}
