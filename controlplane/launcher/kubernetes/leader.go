package kubernetes

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// LeaderName is the ConfigMap in the namespace of instances that says who leads
// there.
const LeaderName = "slipway-leader"

// epochKey is where it has the epoch, decimal.
const epochKey = "epoch"

func epochOf(c *corev1.ConfigMap) int64 {
	n, err := strconv.ParseInt(c.Data[epochKey], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// take makes epoch the one that leads, unless a larger one has led.
func (a *api) take(ctx context.Context, epoch int64) error {
	for {
		var conflict bool
		err := insist(ctx, func(ctx context.Context) error {
			c, err := a.owners().Get(ctx, LeaderName, metav1.GetOptions{})
			missing := apierrors.IsNotFound(err)
			switch {
			case missing:
				c = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
					Name: LeaderName, Labels: map[string]string{objects.LabelManagedBy: objects.Manager},
				}}
			case err != nil:
				return err
			case epochOf(c) > epoch:
				return fmt.Errorf("epoch %d has led: %w", epochOf(c), launcher.ErrFenced)
			case epochOf(c) == epoch:
				return nil
			}
			c.Data = map[string]string{epochKey: strconv.FormatInt(epoch, 10)}
			if missing {
				_, err = a.owners().Create(ctx, c, metav1.CreateOptions{FieldManager: objects.Manager})
			} else {
				_, err = a.owners().Update(ctx, c, metav1.UpdateOptions{FieldManager: objects.Manager})
			}
			if conflict = apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err); conflict {
				return nil
			}
			return err
		})
		if err != nil || !conflict {
			return err
		}
	}
}

// confirm fails with ErrFenced once another epoch leads. What this leader has
// created before is seen by the next one, if it succeeds.
func (t *term) confirm(ctx context.Context) error {
	return insist(ctx, func(ctx context.Context) error {
		c, err := t.api.owners().Get(ctx, LeaderName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if epochOf(c) > t.epoch {
			return t.depose()
		}
		return nil
	})
}
