package launcher_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	admission "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
	networking "k8s.io/client-go/kubernetes/typed/networking/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// broken has the API server ask a webhook that is not there, in the yard's
// namespace, until it is mended.
func (y *yard) broken(t *testing.T, verb admissionv1.OperationType, group, resource string) (mend func()) {
	t.Helper()
	client, err := admission.NewForConfig(y.rest)
	if err != nil {
		t.Fatal(err)
	}
	hooks := client.ValidatingWebhookConfigurations()
	where, fail, effects, scope := "https://127.0.0.1:1/", admissionv1.Fail, admissionv1.SideEffectClassNone, admissionv1.NamespacedScope
	_, err = hooks.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: y.space},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "broken.example.com", FailurePolicy: &fail, SideEffects: &effects, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      admissionv1.WebhookClientConfig{URL: &where},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": y.space}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{verb},
				Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: []string{resource}, Scope: &scope},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mended := false
	mend = func() {
		if mended {
			return
		}
		mended = true
		if err := hooks.Delete(context.Background(), y.space, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(mend)
	time.Sleep(2 * time.Second) // API servers learn of it by a watch
	return mend
}

// A webhook of the cluster's that fails hinders what it is asked of, and no more:
// calls end, with what the API server says, and succeed once it is mended.
func TestAWebhookThatFails(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	const says = "broken.example.com"
	t.Run("as an instance starts", func(t *testing.T) {
		t.Parallel()
		y := newYard(t)
		l := y.lead(t)
		mend := y.broken(t, admissionv1.Create, "", "secrets")
		began := time.Now()
		err := l.Start(t.Context(), y.workload(id, 1, launchertest.Serves))
		typed, ok := errors.AsType[*launcher.StartError](err)
		if !ok || typed.Reason.Code != controlplane.LauncherDown || !strings.Contains(typed.Reason.Text, says) {
			t.Errorf("the start says %v", err)
		}
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("it says so after %s", took)
		}
		if err := l.Stop(t.Context(), id, 1, time.Second); err != nil {
			t.Errorf("the stop of what did not start: %v", err)
		}
		mend()
		y.starts(t, l, 2)
		if err := l.Remove(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		y.nothingLeft(t)
	})
	for _, c := range []struct {
		name, group, resource string
		verb                  admissionv1.OperationType
	}{
		{"as a Deployment is scaled down", "apps", "deployments", admissionv1.Update},
		{"as a pod is deleted", "", "pods", admissionv1.Delete},
		{"as a record is written", "", "configmaps", admissionv1.Update},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			l := y.lead(t)
			y.starts(t, l, 1)
			mend := y.broken(t, c.verb, c.group, c.resource)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := l.Stop(ctx, id, 1, time.Second); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("the stop says %v", err)
			}
			if c.resource == "deployments" { // one may come after it, and does not run
				for _, p := range y.pods(t) {
					if len(p.Spec.SchedulingGates) == 0 && p.DeletionTimestamp == nil {
						t.Errorf("pod %s still runs", p.Name)
					}
				}
			}
			mend()
			time.Sleep(2 * time.Second)
			if err := l.Stop(t.Context(), id, 1, time.Second); err != nil {
				t.Fatal(err)
			}
			if err := l.Remove(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			y.nothingLeft(t)
		})
	}
}

// starts starts the instance and waits until it is ready.
func (y *yard) starts(t *testing.T, l launcher.Launcher, generation int64) {
	t.Helper()
	o := launchertest.Observe(t, l)
	start(t, l, y.workload(id, generation, launchertest.Serves))
	o.Ready(id, generation)
}

// The network policy comes back when somebody deletes it, and as it was when
// somebody changes it, without another lead.
func TestTheNetworkPolicyIsPutBack(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	t.Parallel()
	y := newYard(t)
	y.lead(t, func(c *kubernetes.Config) { c.Objects.Network = &objects.Network{} })
	client, err := networking.NewForConfig(y.rest)
	if err != nil {
		t.Fatal(err)
	}
	policies := client.NetworkPolicies(y.space)
	rules := func() int {
		p, err := policies.Get(t.Context(), objects.PolicyName, metav1.GetOptions{})
		if err != nil {
			return 0
		}
		return len(p.Spec.Egress)
	}
	whole := rules()
	if whole == 0 {
		t.Fatal("there is none")
	}
	for _, c := range []struct {
		name string
		harm func() error
	}{
		{"deleted", func() error { return policies.Delete(t.Context(), objects.PolicyName, metav1.DeleteOptions{}) }},
		{"changed", func() error {
			p, err := policies.Get(t.Context(), objects.PolicyName, metav1.GetOptions{})
			if err != nil {
				return err
			}
			p.Spec.Egress = p.Spec.Egress[:1]
			_, err = policies.Update(t.Context(), p, metav1.UpdateOptions{FieldManager: "somebody"})
			return err
		}},
		{"deleted again", func() error { return policies.Delete(t.Context(), objects.PolicyName, metav1.DeleteOptions{}) }},
	} {
		if err := c.harm(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for rules() != whole {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("%s: it is not put back", c.name)
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Logf("%s: put back after %s", c.name, time.Since(began).Round(10*time.Millisecond))
	}
}
