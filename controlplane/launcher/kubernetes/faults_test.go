package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// webhook is what the API server says of an admission webhook that fails.
var webhook = apierrors.NewInternalError(errors.New(`failed calling webhook "policy.example.com": connection refused`))

// Whoever makes a call has the turn of an instance: an API server that is away is
// waited for, a fault of its that stays is not.
func TestHowLongACallIsMadeAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		stays bool
	}{
		{"a webhook fails", webhook, true},
		{"no answer within a try", context.DeadlineExceeded, true},
		{"the server is away", io.ErrUnexpectedEOF, false},
		{"the server asks to come later", apierrors.NewTooManyRequests("busy", 1), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				began := time.Now()
				err := insist(ctx, func(context.Context) error { return c.err })
				_, fault := errors.AsType[*faultError](err)
				took := time.Since(began)
				if fault != c.stays || !errors.Is(err, c.err) || c.stays != (took < 2*faultTimeout) || took < faultTimeout {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}

func TestWhatAStartSaysOfAFaultThatStays(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want string // of its reason; empty: none, and it is tried again
	}{
		{"an answer", fmt.Errorf("write record: %w", &faultError{webhook}), "policy.example.com"},
		{"no answer", &faultError{context.DeadlineExceeded}, ""},
		{"nothing", nil, ""},
		{"a reason of its own", &launcher.StartError{Reason: *reason(controlplane.Quota, "too much")}, "too much"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := faulty(c.err)
			typed, ok := errors.AsType[*launcher.StartError](err)
			if ok != (c.want != "") || ok && !strings.Contains(typed.Reason.Text, c.want) || !errors.Is(err, c.err) {
				t.Errorf("it becomes %v", err)
			}
		})
	}
}

// One kind of call that fails keeps none of the others from being made, and what
// failed is made again.
func TestAnEndGoesAsFarAsItCan(t *testing.T) {
	for _, fails := range []string{"PATCH deployments", "DELETE pods"} {
		t.Run(fails, func(t *testing.T) {
			var mu sync.Mutex
			var asked []string
			answers := map[string]any{
				"PATCH deployments": appsv1.Deployment{TypeMeta: meta("apps/v1", "Deployment")}, "DELETE pods": corev1.Pod{TypeMeta: meta("v1", "Pod")},
			}
			denied := metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest}
			answers[fails] = denied
			own := leader(t, server(t, func(request string) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, request)
			}, answers))
			labels := map[string]string{objects.LabelInstance: "one"}
			one := int32(1)
			for store, o := range map[interface{ Add(any) error }]any{
				own.view.pods.GetStore():        &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: "pod", Labels: labels}},
				own.view.deployments.GetStore(): &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "i-one", Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &one}},
			} {
				if err := store.Add(o); err != nil {
					t.Fatal(err)
				}
			}
			i := own.instance("one")
			if err := own.windUp(t.Context(), i); err == nil {
				t.Error("that it is to be made again is not said by windUp")
			}
			if _, err := own.lower(t.Context(), i, time.Second); err == nil {
				t.Error("that it is to be made again is not said by lower")
			}
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(asked)
			if want := []string{"DELETE pods", "DELETE pods", "PATCH deployments", "PATCH deployments"}; !slices.Equal(asked, want) {
				t.Errorf("asked for %v", asked)
			}
		})
	}
}

// Where the cluster refuses to scale a Deployment, each pod that is deleted is
// replaced.
func TestAPodThatDoesNotRunIsLeftToItsDeployment(t *testing.T) {
	denied := metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden}
	r := &requests{}
	own := leader(t, server(t, r.see, map[string]any{"PATCH deployments": denied}))
	waits := podOf("one", "waits")
	waits.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: objects.Gate}}
	if err := errors.Join(own.view.deployments.GetStore().Add(deploymentOf("one", 3, 1)), own.view.pods.GetStore().Add(waits)); err != nil {
		t.Fatal(err)
	}
	if err := own.windUp(t.Context(), own.instance("one")); err == nil {
		t.Error("that it is to be scaled again is not said")
	}
	if got := r.take(); !slices.Equal(got, []string{"PATCH deployments"}) {
		t.Errorf("asked for %q", got)
	}
}

// What answers at an address may be another pod by the time that it does.
func TestWhoseTheAddressIs(t *testing.T) {
	running := corev1.PodStatus{PodIP: "198.18.0.7", ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	over, moved := running, running
	over.ContainerStatuses, moved.PodIP = nil, "198.18.0.8"
	now := metav1.Now()
	for _, c := range []struct {
		name string
		pod  corev1.Pod
		want bool
	}{
		{"its own", corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "own"}, Status: running}, true},
		{"another pod's of that name", corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "other"}, Status: running}, false},
		{"one that it had", corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "own"}, Status: moved}, false},
		{"one that it is about to give up", corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "own", DeletionTimestamp: &now}, Status: running}, false},
		{"that of an app that has ended", corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "own"}, Status: over}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.pod.TypeMeta = meta("v1", "Pod")
			own := leader(t, server(t, func(string) {}, map[string]any{"GET pods": c.pod}))
			w := &prober{pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: "own"}, Status: running}}
			if got, err := own.holds(t.Context(), w); got != c.want || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// A stop that waits for an end is not left waiting by a removal that comes between.
func TestAStopEndsWithItsInstance(t *testing.T) {
	own := leader(t, server(t, func(string) {}, nil))
	i := own.instance("one")
	ended := make(chan error, 1)
	go func() {
		ended <- i.await(t.Context(), func() bool { return i.toldEnd(&start{Generation: 1, End: &end{}}) })
	}()
	own.drop(i)
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for ever")
	}
}
