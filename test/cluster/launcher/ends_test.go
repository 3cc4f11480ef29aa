package launcher_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

func start(t *testing.T, l launcher.Launcher, w launcher.Workload) {
	t.Helper()
	if err := l.Start(t.Context(), w); err != nil {
		t.Fatalf("start generation %d: %v", w.Generation, err)
	}
}

func (y *yard) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	list, err := y.core.Pods(y.space).List(t.Context(), metav1.ListOptions{LabelSelector: objects.Selector().String()})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// nothingLeft looks for everything that an instance has ever had.
func (y *yard) nothingLeft(t *testing.T) {
	t.Helper()
	var left []string
	add := func(kind, name string) {
		if strings.HasPrefix(name, objects.Name(id)) {
			left = append(left, kind+" "+name)
		}
	}
	for _, kind := range []string{"configmaps", "secrets", "services", "endpoints", "pods", "persistentvolumeclaims"} {
		list := &metav1.PartialObjectMetadataList{}
		body, err := y.core.RESTClient().Get().Namespace(y.space).Resource(kind).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		decode(t, body, list)
		for _, o := range list.Items {
			add(kind, o.Name)
		}
	}
	for _, path := range []string{"/apis/apps/v1/namespaces/" + y.space + "/deployments", "/apis/apps/v1/namespaces/" + y.space + "/replicasets"} {
		list := &metav1.PartialObjectMetadataList{}
		body, err := y.core.RESTClient().Get().AbsPath(path).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		decode(t, body, list)
		for _, o := range list.Items {
			add(path, o.Name)
		}
	}
	if len(left) > 0 {
		t.Errorf("of the instance there is left: %v", left)
	}
}

// Whatever ends a ready pod from outside ends the workload, with its reason, and
// what the cluster makes in its place never runs.
func TestAPodIsEndedFromOutside(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	for _, c := range []struct {
		name string
		end  func(context.Context, *yard, string) error
		code controlplane.ReasonCode
		text string
	}{
		{"deleted by hand", func(ctx context.Context, y *yard, pod string) error {
			return y.core.Pods(y.space).Delete(ctx, pod, metav1.DeleteOptions{})
		}, controlplane.Crashed, "somebody deleted"},
		{"drained", func(ctx context.Context, y *yard, pod string) error {
			return y.core.Pods(y.space).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: y.space}})
		}, controlplane.NoCapacity, "drained"},
		{"its deployment deleted", func(ctx context.Context, y *yard, _ string) error {
			return y.core.RESTClient().Delete().AbsPath("/apis/apps/v1/namespaces", y.space, "deployments", objects.Name(id)).Do(ctx).Error()
		}, controlplane.Crashed, "somebody deleted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t)
			l := y.lead(t)
			o := launchertest.Observe(t, l)
			start(t, l, y.workload(id, 1, launchertest.Serves))
			o.Ready(id, 1)
			if err := c.end(t.Context(), y, y.pods(t)[0].Name); err != nil {
				t.Fatal(err)
			}
			end := o.Ended(id, 1)
			if !end.WasReady || end.Reason == nil || end.Reason.Code != c.code || !strings.Contains(end.Reason.Text, c.text) {
				t.Errorf("end %+v (%v), want %s, %q", end, end.Reason, c.code, c.text)
			}
			eventually(t, "no pod is left", func() bool { return len(y.pods(t)) == 0 })
			start(t, l, y.workload(id, 2, launchertest.Serves))
			o.Ready(id, 2)
			for _, o := range y.census.Overlaps() {
				t.Errorf("two at a time: %s", o)
			}
		})
	}
}

// What a start was given is kept for as long as it runs.
func TestSecretsEndWithTheirStart(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	l := y.lead(t)
	o := launchertest.Observe(t, l)
	secrets := func() (names []string) {
		list, err := y.core.Secrets(y.space).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Items {
			names = append(names, s.Name)
		}
		return names
	}
	only := func(generation int64) func() bool {
		return func() bool {
			names := secrets()
			return len(names) == 1 && names[0] == objects.SecretName(id, generation)
		}
	}
	start(t, l, y.workload(id, 1, launchertest.Serves))
	o.Ready(id, 1)
	start(t, l, y.workload(id, 2, launchertest.Crashes))
	o.Ended(id, 2)
	eventually(t, "the secret of a crash is gone", func() bool { return len(secrets()) == 0 })
	start(t, l, y.workload(id, 3, launchertest.Serves))
	o.Ready(id, 3)
	start(t, l, y.workload(id, 4, launchertest.Serves))
	o.Ready(id, 4)
	eventually(t, "one secret is there", only(4))
	if err := l.Stop(t.Context(), id, 4, time.Second); err != nil {
		t.Fatal(err)
	}
	if names := secrets(); len(names) > 0 {
		t.Errorf("a stopped instance has %v", names)
	}
}

// Nothing of an instance outlives its removal, and volumes outlive its stops.
func TestARemovalIsComplete(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	l := y.lead(t)
	o := launchertest.Observe(t, l)
	w := func(g int64) launcher.Workload {
		w := y.workload(id, g, launchertest.Serves)
		w.App.Manifest.Runtime.VolumeMount, w.App.Manifest.Runtime.VolumeSize = "/data", "10Mi"
		w.App.Manifest.Runtime.ResourceVolumeSize = "10Mi"
		w.Files = []controlplane.File{{Path: "/etc/app/secret", Value: "hunter2"}}
		return w
	}
	start(t, l, w(1))
	o.Ready(id, 1)
	if err := l.Stop(t.Context(), id, 1, time.Second); err != nil {
		t.Fatal(err)
	}
	if n := len(y.pods(t)); n > 0 {
		t.Errorf("a stopped instance has %d pods", n)
	}
	claims, err := y.core.PersistentVolumeClaims(y.space).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(claims.Items) != 2 {
		t.Errorf("a stopped instance has %d volumes, want 2 (%v)", len(claims.Items), err)
	}
	start(t, l, w(2))
	o.Ready(id, 2)
	if err := l.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	y.nothingLeft(t)
}

// A start that no node has room for ends with the reason.
func TestNoNodeHasRoom(t *testing.T) {
	slipwaytest.NeedsCluster(t)
	y := newYard(t)
	l := y.lead(t, func(c *kubernetes.Config) { c.ScheduleTimeout = 3 * time.Second })
	o := launchertest.Observe(t, l)
	w := y.workload(id, 1, launchertest.Serves)
	w.App.Manifest.Runtime.MemoryReservation, w.App.Manifest.Runtime.MemoryLimit = "900Gi", "900Gi"
	start(t, l, w)
	end := o.Ended(id, 1)
	if end.WasReady || end.Reason == nil || end.Reason.Code != controlplane.NoCapacity {
		t.Errorf("end %+v (%v), want no_capacity", end, end.Reason)
	}
	eventually(t, "no pod is left", func() bool { return len(y.pods(t)) == 0 })
}
