package diagnose_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// endCauses are those that end a pod from outside.
var endCauses = []cause{
	{name: "deleted", provoke: func(s *scenario) { s.run(); s.untilRunning(); s.delete("i-app") },
		want: gone(controlplane.Crashed, "somebody deleted")},
	{name: "deleted without a node", provoke: func(s *scenario) {
		s.run(requests(corev1.ResourceCPU, "999"), keep)
		s.delete("i-app")
	}, want: want{stage: controlplane.StageQueued, ended: true, code: controlplane.Crashed, says: []string{"somebody deleted"}}},
	{name: "crashed and deleted", provoke: func(s *scenario) {
		s.run(args("exit", "7"), keep)
		s.until("it has ended", func() bool { return s.seen.verdict().Ended })
		time.Sleep(3 * time.Second) // times of a pod are whole seconds, and its grace is one
		s.delete("i-app")
	}, want: gone(controlplane.Crashed, "exit code 7")},
	{name: "drained", provoke: func(s *scenario) { s.run(); s.untilRunning(); s.evict("i-app") },
		want: gone(controlplane.NoCapacity, "drained")},
	{name: "disk limit", provoke: pod(args("write", "/big", "20"), func(s *scenario, p *corev1.Pod) {
		rooted(p)
		p.Spec.Containers[0].Image = s.images.host + "/root:1"
		limits(corev1.ResourceEphemeralStorage, "10Mi")(s, p)
	}), want: gone(controlplane.Crashed, "temporary disk", "10Mi")},
	{name: "folder limit", provoke: func(s *scenario) {
		size := resource.MustParse("5Mi")
		s.run(args("write", "/kept/big", "20"), volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}))
	}, want: gone(controlplane.Crashed, "temporary folders", "5Mi")},
	{name: "deadline", provoke: func(s *scenario) {
		seconds := int64(3)
		s.run(of(func(spec *corev1.PodSpec) { spec.ActiveDeadlineSeconds = &seconds }))
	}, want: gone(controlplane.Crashed, "activeDeadlineSeconds")},
	{name: "preempted", provoke: func(s *scenario) { s.preempt() }, want: gone(controlplane.NoCapacity, "higher priority")},
	{name: "node lost", provoke: func(s *scenario) { s.loseNode() },
		want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.NoCapacity, says: []string{"does not answer"}, lost: true}},
	{name: "node tainted", provoke: func(s *scenario) { s.taintNode() }, want: gone(controlplane.NoCapacity, "taint")},
	{name: "node removed", provoke: func(s *scenario) { s.removeNode() }, want: gone(controlplane.NoCapacity, "is no more")},
}

// gone is for a pod that was on a node.
func gone(code controlplane.ReasonCode, says ...string) want {
	return want{stage: controlplane.StageStarting, ended: true, code: code, says: says}
}

// cleaning is for what goes on after a test's own context.
var cleaning = context.Background()

func ignoreAbsent(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (s *scenario) after(undo func() error) {
	s.Cleanup(func() {
		if err := undo(); err != nil {
			s.Error(err)
		}
	})
}

// keep holds a deleted pod where it is, until its namespace is cleaned up.
func keep(s *scenario, p *corev1.Pod) {
	p.Finalizers = []string{"slipway.test/keep"}
	s.after(func() error { return s.free(p.Name) })
}

func (s *scenario) free(pod string) error {
	_, err := s.CoreV1().Pods(s.space).Patch(cleaning, pod, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	return ignoreAbsent(err)
}

// preempt has a pod give way to one of higher priority. Both have priorities
// below all others, and want a resource that nothing else knows: nobody else's
// pods are concerned.
func (s *scenario) preempt() {
	const slot = "slipway.test/slot"
	nodes := s.CoreV1().Nodes()
	patch := func(value string) error {
		_, err := nodes.Patch(cleaning, s.node, types.MergePatchType, []byte(fmt.Sprintf(`{"status":{"capacity":{%q:%s}}}`, slot, value)), metav1.PatchOptions{}, "status")
		return err
	}
	s.must(patch(`"1"`))
	s.after(func() error { return patch("null") })
	classes := s.SchedulingV1().PriorityClasses()
	for name, value := range map[string]int32{s.space + "-low": -20, s.space + "-high": -10} {
		_, err := classes.Create(s.Context(), &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value}, metav1.CreateOptions{})
		s.must(err)
		s.after(func() error { return classes.Delete(cleaning, name, metav1.DeleteOptions{}) })
	}
	of := func(class string) change {
		return func(_ *scenario, p *corev1.Pod) { p.Spec.PriorityClassName = s.space + class }
	}
	s.until("the node has a slot", func() bool {
		n, err := nodes.Get(s.Context(), s.node, metav1.GetOptions{})
		return err == nil && !n.Status.Allocatable.Name(slot, resource.DecimalSI).IsZero()
	})
	s.run(requests(slot, "1"), of("-low"))
	s.untilRunning()
	s.create(s.victim("i-other", requests(slot, "1"), of("-high")))
}

// node makes a node without a kubelet, on which no other pod is placed, and a
// pod on it that has begun to run, as a kubelet would say it.
func (s *scenario) fakeNode() {
	nodes := s.CoreV1().Nodes()
	_, err := nodes.Create(s.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: s.space},
		Spec:       corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "slipway.test/fake", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	s.must(err)
	s.after(func() error {
		return ignoreAbsent(nodes.Delete(cleaning, s.space, metav1.DeleteOptions{}))
	})
	now := metav1.Now()
	status, err := json.Marshal(map[string]any{"status": corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: now, LastTransitionTime: now, Reason: "KubeletReady"},
	}}})
	s.must(err)
	_, err = nodes.Patch(s.Context(), s.space, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status")
	s.must(err)
	p := s.run(func(_ *scenario, p *corev1.Pod) {
		short := int64(1)
		p.Spec.NodeName = s.space
		p.Spec.Tolerations = []corev1.Toleration{
			{Key: "slipway.test/fake", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
			{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &short},
			{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &short},
		}
	})
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, StartTime: &now,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
			{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
		},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Image: p.Spec.Containers[0].Image, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	}
	_, err = s.CoreV1().Pods(s.space).UpdateStatus(s.Context(), p, metav1.UpdateOptions{})
	s.must(err)
	s.untilRunning()
}

// loseNode waits for the cluster to give up a node of which nothing is heard.
func (s *scenario) loseNode() { s.fakeNode() }

// taintNode drives the pod away.
func (s *scenario) taintNode() {
	s.fakeNode()
	_, err := s.CoreV1().Nodes().Patch(s.Context(), s.space, types.StrategicMergePatchType,
		[]byte(`{"spec":{"taints":[{"key":"slipway.test/fake","effect":"NoSchedule"},{"key":"slipway.test/away","effect":"NoExecute"}]}}`), metav1.PatchOptions{})
	s.must(err)
}

// removeNode takes the node away from below the pod.
func (s *scenario) removeNode() {
	s.fakeNode()
	s.must(s.CoreV1().Nodes().Delete(s.Context(), s.space, metav1.DeleteOptions{}))
}
