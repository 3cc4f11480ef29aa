package launcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

func typedStart(err error) (*launcher.StartError, bool) {
	return errors.AsType[*launcher.StartError](err)
}

// TestAPodIsNoMoreAtOnce ends ready pods in ways that leave nothing to ask, or
// from within, and starts the instance again.
func TestAPodIsNoMoreAtOnce(t *testing.T) {
	const (
		grace  = 4 * time.Second
		before = "nobody saw its pod end" // where the next start waits
	)
	tests := []struct {
		name  string
		runs  launchertest.Behaviour
		end   func(*testing.T, *yard, *corev1.Pod, launcher.Fact)
		code  controlplane.ReasonCode
		says  string
		waits bool // for what may run on
	}{
		{"deleted by force", launchertest.Stubborn, func(t *testing.T, y *yard, p *corev1.Pod, _ launcher.Fact) {
			now := int64(0)
			if err := y.core.Pods(y.space).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
				t.Fatal(err)
			}
		}, controlplane.Crashed, "somebody deleted", true},
		{"deleted by force while it ends", launchertest.Stubborn, func(t *testing.T, y *yard, p *corev1.Pod, _ launcher.Fact) {
			for _, grace := range []*int64{nil, new(int64)} {
				if err := y.core.Pods(y.space).Delete(t.Context(), p.Name, metav1.DeleteOptions{GracePeriodSeconds: grace}); err != nil {
					t.Fatal(err)
				}
			}
		}, controlplane.Crashed, "somebody deleted", true},
		{"deleted", launchertest.Stubborn, func(t *testing.T, y *yard, p *corev1.Pod, _ launcher.Fact) {
			if err := y.core.Pods(y.space).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, controlplane.Crashed, "somebody deleted", false},
		{"crashed", launchertest.Serves, func(t *testing.T, _ *yard, _ *corev1.Pod, f launcher.Fact) {
			exit(f.Endpoint, 9)
		}, controlplane.Crashed, "exit code 9", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			const id = "aaaaaaaa-0000-4000-8000-000000000002"
			l := y.lead(t, func(cfg *kubernetes.Config) { cfg.DataDir = t.TempDir() })
			w := watch(t, l)
			for generation := int64(1); generation <= 2; generation++ {
				work := y.workload(id, generation, test.runs)
				work.StopGrace = grace
				if err := l.Start(t.Context(), work); err != nil {
					t.Fatal(err)
				}
				f, _ := w.until(t, generation, time.Minute, ready)
				if generation == 2 {
					waited := slices.ContainsFunc(w.all(), func(f launcher.Fact) bool { return f.Generation == 2 && strings.Contains(f.Text, before) })
					if waited != test.waits {
						t.Errorf("the next start waited for a pod deleted by force: %t", waited)
					}
					test.end(t, y, y.pod(t, id), f)
					if err := l.Stop(t.Context(), id, generation, grace); err != nil {
						t.Error(err)
					}
					if answers(f.Endpoint) {
						t.Error("it is stopped, and answers")
					}
					break
				}
				test.end(t, y, y.pod(t, id), f)
				end, _ := w.until(t, generation, time.Minute, ended)
				check(t, end.Reason, test.code, test.says)
				if !end.WasReady {
					t.Error("it was ready, and is told as if it had not been")
				}
			}
			if over := y.census.Overlaps(); len(over) > 0 {
				t.Error(over)
			}
		})
	}
}

// TestLostNode has a node go silent under a pod. The node has no kubelet: the
// test says in its stead that the pod runs. All else is the cluster's: it gives
// the node up, evicts the pod, and cannot delete it before the node is removed.
func TestLostNode(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	const id = "aaaaaaaa-0000-4000-8000-000000000003"
	app, err := net.Listen("tcp", net.JoinHostPort(y.node, "0")) // what answers for the pod
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := app.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { app.Close(); <-served })
	node := y.silentNode(t)

	short := int64(1)
	onNode := objects.Placement{
		NodeSelector: map[string]string{"slipway.test/node": node},
		Tolerations: []corev1.Toleration{
			{Key: "slipway.test/silent", Operator: corev1.TolerationOpExists},
			{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &short},
			{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &short},
		},
	}
	l := y.lead(t, func(cfg *kubernetes.Config) {
		cfg.DataDir = t.TempDir()
		cfg.Objects.Profiles = map[string]objects.Placement{"silent": onNode}
	})
	w := watch(t, l)
	work := y.workload(id, 1, launchertest.Serves)
	work.Profile = "silent"
	_, port, _ := net.SplitHostPort(app.Addr().String())
	work.App.Manifest.Runtime.Port, _ = strconv.Atoi(port)
	if err := l.Start(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	first := y.sayRunning(t, id, node)
	w.until(t, 1, time.Minute, ready)

	end, _ := w.until(t, 1, 2*time.Minute, ended) // 40 s without a sign of life, and then some
	check(t, end.Reason, controlplane.NoCapacity, "does not answer")

	work = y.workload(id, 2, launchertest.Serves) // anywhere else
	if err := l.Start(t.Context(), work); err != nil {
		t.Fatal(err)
	}
	w.until(t, 2, time.Minute, func(f launcher.Fact) bool { return f.Stage == controlplane.StageQueued && f.Text != "" })
	time.Sleep(5 * time.Second)
	for _, f := range w.all() {
		if f.Generation == 2 && f.State != launcher.Starting {
			t.Fatalf("the lost pod may still run, and the next one is %s", f.State)
		}
	}
	if p, err := y.core.Pods(y.space).Get(t.Context(), first.Name, metav1.GetOptions{}); err != nil || p.UID != first.UID {
		t.Fatalf("the pod on the lost node: %v", err)
	}
	if err := y.core.Nodes().Delete(t.Context(), node, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until(t, 2, 2*time.Minute, ready)
}

// silentNode is a node from which nothing is ever heard, for this test alone.
func (y *yard) silentNode(t *testing.T) string {
	t.Helper()
	name := y.space
	_, err := y.core.Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"slipway.test/node": name}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "slipway.test/silent", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := y.core.Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	now := metav1.Now()
	patchStatus(t, func(data []byte) error {
		_, err := y.core.Nodes().Patch(t.Context(), name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status")
		return err
	}, map[string]any{
		"capacity": map[string]string{"cpu": "2", "memory": "4Gi", "ephemeral-storage": "9Gi", "pods": "10"}, "allocatable": map[string]string{"cpu": "2", "memory": "4Gi", "ephemeral-storage": "9Gi", "pods": "10"},
		"conditions": []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: now, LastTransitionTime: now, Reason: "KubeletReady"}},
	})
	return name
}

// sayRunning says what a kubelet would say of the instance's pod.
func (y *yard) sayRunning(t *testing.T, id, node string) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	eventually(t, "the pod is on the silent node", func() bool {
		pods, err := y.core.Pods(y.space).List(t.Context(), metav1.ListOptions{LabelSelector: objects.LabelInstance + "=" + id})
		for i := range pods.Items {
			if pods.Items[i].Spec.NodeName == node {
				found = &pods.Items[i]
			}
		}
		return err == nil && found != nil
	})
	now := metav1.Now()
	patchStatus(t, func(data []byte) error {
		_, err := y.core.Pods(y.space).Patch(t.Context(), found.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status")
		return err
	}, map[string]any{
		"phase": corev1.PodRunning, "startTime": now, "podIP": y.node, "podIPs": []corev1.PodIP{{IP: y.node}},
		"conditions": []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}},
		"containerStatuses": []corev1.ContainerStatus{{
			Name: objects.ContainerApp, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	})
	return found
}

func patchStatus(t *testing.T, patch func([]byte) error, status map[string]any) {
	t.Helper()
	data, err := json.Marshal(map[string]any{"status": status})
	if err == nil {
		err = patch(data)
	}
	if err != nil {
		t.Fatal(err)
	}
}
