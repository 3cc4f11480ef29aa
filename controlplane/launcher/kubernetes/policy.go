package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// policyPause is the time between two times that the network policy is put back:
// where another program wants it otherwise, neither gives in.
const policyPause = time.Second

// policyState is a policy as it was written: its version changes with its rules.
type policyState struct {
	uid        types.UID // empty: there is to be none
	generation int64
}

func stateOf(p *networkingv1.NetworkPolicy) policyState { return policyState{p.UID, p.Generation} }

// applyPolicy makes the namespace's NetworkPolicy what the settings say. It is the
// same whoever writes it.
func (t *term) applyPolicy(ctx context.Context) (state policyState, err error) {
	policy, err := objects.Policy(t.cfg.Objects)
	if err != nil {
		return state, err
	}
	policies := t.api.net.NetworkPolicies(t.api.namespace)
	if policy == nil {
		t.cfg.Log.Warn("no network policy bounds whom instances talk to (setting network): they reach each other, and all that pods of the cluster do")
		err := insist(ctx, func(ctx context.Context) error {
			return policies.Delete(ctx, objects.PolicyName, metav1.DeleteOptions{})
		})
		if apierrors.IsNotFound(err) {
			return state, nil
		}
		return state, err
	}
	body, err := json.Marshal(policy)
	if err != nil {
		return state, err
	}
	err = insist(ctx, func(ctx context.Context) error {
		made, err := apply(ctx, policies, policy.Name, body)
		if err == nil {
			state = stateOf(made)
		}
		return err
	})
	return state, err
}

// keepPolicy applies the policy, and again whenever somebody has changed or deleted
// it, until the term ends. It returns once it has been applied.
func (t *term) keepPolicy(ctx context.Context) error {
	own, err := t.applyPolicy(ctx)
	if err != nil {
		return fmt.Errorf("apply network policy: %w", err)
	}
	seen := make(chan policyState, 1)
	see := func(state policyState) {
		select {
		case <-seen: // it is older
		default:
		}
		seen <- state // nobody else sends
	}
	handle := func(o any) {
		if p, is := o.(*networkingv1.NetworkPolicy); is {
			see(stateOf(p))
		}
	}
	i := informer(t.api.net.RESTClient(), t.api.namespace, "networkpolicies", &networkingv1.NetworkPolicy{},
		fields.OneTermEqualSelector(metav1.ObjectNameField, objects.PolicyName))
	_, err = i.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: handle, UpdateFunc: func(_, o any) { handle(o) }, DeleteFunc: func(any) { see(policyState{}) },
	})
	if err != nil {
		return fmt.Errorf("watch network policy: %w", err)
	}
	t.Go(func() { i.RunWithContext(t.Context()) })
	t.Go(func() {
		for {
			select {
			case now := <-seen:
				if now != own {
					own = t.restorePolicy(own)
				}
			case <-t.Context().Done():
				return
			}
		}
	})
	return nil
}

// restorePolicy puts the policy back, and returns what it has become; before where
// the term has ended.
func (t *term) restorePolicy(before policyState) policyState {
	t.cfg.Log.Warn("somebody has changed or deleted the network policy of instances; it is put back", zap.String("policy", objects.PolicyName))
	for {
		select {
		case <-time.After(policyPause):
		case <-t.Context().Done():
			return before
		}
		own, err := t.applyPolicy(t.Context())
		if err == nil {
			return own
		}
		if t.Context().Err() == nil {
			t.cfg.Log.Error("the network policy of instances could not be put back: it is tried again", zap.Error(err))
		}
	}
}
