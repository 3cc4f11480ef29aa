package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// The Service and the volumes of an instance outlive its starts. What a later app
// or a later Slipway wants otherwise is changed by the next start, as far as the
// cluster changes it.

// annotationService is where the Service says what it was applied from, so that a
// start need not ask.
const annotationService = "slipway/service"

// lasts reports whether the Service and the volumes are as the start wants them,
// as far as it is known here.
func (t *term) lasts(i *instance, set *objects.Set) (bool, error) {
	_, same, err := t.service(i, set)
	if err != nil || !same {
		return false, err
	}
	known := t.claims(i)
	for _, claim := range set.Claims {
		now := known[claim.Name]
		if now == nil || now.Spec.Resources.Requests.Storage().Cmp(*claim.Spec.Resources.Requests.Storage()) != 0 {
			return false, nil
		}
	}
	return true, nil
}

// service is how the Service is applied, and whether the one that is there was
// applied so.
func (t *term) service(i *instance, set *objects.Set) (body []byte, same bool, err error) {
	body, err = json.Marshal(set.Service)
	if err != nil {
		return nil, false, fmt.Errorf("apply service: %w", err)
	}
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:8])
	told := set.Service.DeepCopy()
	metav1.SetMetaDataAnnotation(&told.ObjectMeta, annotationService, digest)
	if body, err = json.Marshal(told); err != nil {
		return nil, false, fmt.Errorf("apply service: %w", err)
	}
	known := t.view.service(i.id)
	return body, known != nil && known.Annotations[annotationService] == digest, nil
}

// raiseService makes the Service what it is to be.
func (t *term) raiseService(ctx context.Context, i *instance, set *objects.Set) error {
	body, same, err := t.service(i, set)
	if err != nil || same {
		return err
	}
	return refused("apply service", insist(ctx, func(ctx context.Context) error {
		_, err := apply(ctx, t.api.core.Services(t.api.namespace), set.Service.Name, body)
		return err
	}))
}

// claims are the volumes that are there, by name.
func (t *term) claims(i *instance) map[string]*corev1.PersistentVolumeClaim {
	known := map[string]*corev1.PersistentVolumeClaim{}
	for _, c := range t.view.claimsOf(i.id) {
		known[c.Name] = c
	}
	return known
}

// raiseClaims makes the volumes that are missing and has those grow that are too
// small. One that stays as it is, is a warning of the start.
func (t *term) raiseClaims(ctx context.Context, i *instance, claims []*corev1.PersistentVolumeClaim) error {
	known := t.claims(i)
	var warnings []string
	for _, claim := range claims {
		now := known[claim.Name]
		if now == nil {
			err := insist(ctx, func(ctx context.Context) error {
				_, err := t.api.core.PersistentVolumeClaims(t.api.namespace).Create(ctx, claim, metav1.CreateOptions{FieldManager: objects.Manager})
				return err
			})
			if err != nil && !apierrors.IsAlreadyExists(err) {
				return refused("make volume", err)
			}
			continue
		}
		has, wants := now.Spec.Resources.Requests[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage]
		switch has.Cmp(wants) {
		case 1:
			warnings = append(warnings, fmt.Sprintf("the volume %s keeps its %s, though the app asks for %s: volumes do not shrink", claim.Name, has.String(), wants.String()))
		case -1:
			err := t.grow(ctx, now, wants.String())
			if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
				warnings = append(warnings, fmt.Sprintf("the volume %s keeps its %s, though the app asks for %s: the cluster does not let it grow; see whether its storage class allows that (allowVolumeExpansion)",
					claim.Name, has.String(), wants.String()))
			} else if err != nil {
				return fmt.Errorf("have volume grow: %w", err)
			}
		}
	}
	if len(warnings) == 0 {
		return nil
	}
	id := i.rec.Start.ID
	return t.save(ctx, i, func(rec *record) error {
		if rec.Start == nil || rec.Start.ID != id {
			return errSame
		}
		rec.Start.Warnings = append(rec.Start.Warnings[:len(rec.Start.Warnings):len(rec.Start.Warnings)], warnings...)
		return nil
	})
}

func (t *term) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim, size string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q},"spec":{"resources":{"requests":{"storage":%q}}}}`, claim.UID, size)
	return insist(ctx, func(ctx context.Context) error {
		_, err := t.api.core.PersistentVolumeClaims(t.api.namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: objects.Manager})
		return err
	})
}
