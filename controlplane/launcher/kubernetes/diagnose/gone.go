package diagnose

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// disruption is the cluster's word on why it ends a pod, or nil.
func (p *view) disruption() *corev1.PodCondition {
	c := p.condition(corev1.DisruptionTarget)
	if c == nil || c.Status != corev1.ConditionTrue {
		return nil
	}
	return c
}

// stage is how far a pod came that is no more.
func (p *view) stage() controlplane.Stage {
	switch {
	case p.pod.Spec.NodeName == "":
		return controlplane.StageQueued
	case p.pod.Status.StartTime == nil || p.app() == nil:
		return controlplane.StageScheduled
	}
	return controlplane.StageStarting
}

// podEnded is for a pod that has failed or finished as a whole.
func (p *view) podEnded() (Verdict, bool) {
	s := &p.pod.Status
	if s.Phase != corev1.PodFailed && s.Phase != corev1.PodSucceeded {
		return Verdict{}, false
	}
	switch s.Reason {
	case "Evicted":
		return ended(p.stage(), evicted(s.Message))
	case "DeadlineExceeded":
		return ended(p.stage(), reason(controlplane.Crashed, "the app ran longer than the cluster lets a pod run (activeDeadlineSeconds)"))
	case "Preempting", "Preempted":
		return ended(p.stage(), preempted())
	case "NodeLost":
		return ended(p.stage(), nodeLost())
	case "Terminated", "NodeShutdown", "Shutdown":
		return ended(p.stage(), reason(controlplane.NoCapacity, "the app's node was shut down; it can be started on another one"))
	case "NodeAffinity", "NodeName", "TaintToleration", "UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage",
		"InsufficientCPU", "InsufficientMemory", "TopologyAffinityError", "PodOSNotSupported", "PodOSSelectorNodeLabelDoesNotMatch":
		return ended(p.stage(), reason(controlplane.NoCapacity, "the node that was chosen for the app could not take it after all; start it again"))
	}
	if v, found := p.leaving(); found {
		return v, true
	}
	for i := range p.pod.Spec.InitContainers {
		c := &p.pod.Spec.InitContainers[i]
		if st := status(s.InitContainerStatuses, c.Name); st != nil {
			if end := initEnd(st); end != nil && end.ExitCode != 0 {
				return ended(stageOf(c.Name), initFailed(p.pod, c, end))
			}
		}
	}
	if s.Reason == "SysctlForbidden" {
		return ended(p.stage(), reason(controlplane.LauncherDown, "the app's node does not allow a kernel setting (sysctl) of the app's pod; the cluster's operators can allow it"))
	}
	if has(s.Reason, "outof") {
		return ended(p.stage(), reason(controlplane.NoCapacity, "the node that was chosen for the app could not take it after all; start it again"))
	}
	return ended(p.stage(), reason(controlplane.Crashed, "the app's pod ended, and the cluster does not say why"))
}

// evicted says why a node has put a pod out.
func evicted(message string) *controlplane.Reason {
	limit := cmp.Or(between(message, `limit "`, `"`), between(message, "total limit of containers ", ". "))
	if limit != "" {
		limit = " of " + limit
	}
	switch {
	case has(message, "ephemeral local storage", "local ephemeral storage limit"):
		return reason(controlplane.Crashed, "the app wrote more to its temporary disk than its limit%s; write less, or keep it in its volume (Runtime.VolumeMount)", limit)
	case has(message, "usage of emptydir volume"):
		return reason(controlplane.Crashed, "the app wrote more to one of its temporary folders, or to its shared memory, than the limit%s; write less, or keep it in its volume (Runtime.VolumeMount)", limit)
	}
	what := "resources"
	switch resource := between(message, "low on resource: ", "."); resource {
	case "memory":
		what = "memory"
	case "ephemeral-storage":
		what = "disk"
	case "inodes":
		what = "room for files (inodes)"
	case "pids":
		what = "processes"
	}
	return reason(controlplane.NoCapacity, "the app's node ran out of %s and put the app out; it can be started again, on another node or once there is room", what)
}

func preempted() *controlplane.Reason {
	return reason(controlplane.NoCapacity, "the cluster gave the app's room to something of higher priority; it starts again where there is room")
}

func nodeLost() *controlplane.Reason {
	return reason(controlplane.NoCapacity, "the app's node does not answer any more; the app can be started on another one once the cluster has given that node up")
}

// leaving is for a pod that is being deleted, by whomever. The launcher knows
// when it has asked for that itself.
func (p *view) leaving() (Verdict, bool) {
	c := p.disruption()
	if p.pod.DeletionTimestamp == nil && c == nil {
		return Verdict{}, false
	}
	why := ""
	if c != nil {
		why = c.Reason
	}
	r := reason(controlplane.Crashed, "somebody deleted the app's pod from the cluster; the app did not end by itself")
	switch {
	case p.unreachable():
		r = nodeLost()
	case why == corev1.PodReasonPreemptionByScheduler:
		r = preempted()
	case why == "DeletionByTaintManager":
		r = reason(controlplane.NoCapacity, "the app's node was closed to it by a taint; the app can be started on another one")
	case why == "EvictionByEvictionAPI":
		r = reason(controlplane.NoCapacity, "the app's node is being emptied (drained); the app can be started on another one")
	case why == "DeletionByPodGC":
		r = reason(controlplane.NoCapacity, "the app's node is no more; the app can be started on another one")
	case why == corev1.PodReasonTerminationByKubelet:
		r = evicted(c.Message)
	}
	v, found := ended(p.stage(), r)
	v.Running = p.running()
	return v, found
}
