package diagnose

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// Verdict is what the cluster says of one start.
type Verdict struct {
	Stage controlplane.Stage
	// Text says what a slow start waits for, in words that any visitor may
	// read: no names, no addresses. It is empty where nothing is to be said.
	Text string
	// Percent (0–100) goes with Text.
	Percent int
	// Ended is set where this pod will not serve any more, whatever the
	// launcher waits for.
	Ended bool
	// Reason says why it ended. Without Ended it is what the start waits for:
	// the launcher's reason once it waits no longer.
	Reason *controlplane.Reason
	// Scaling is set while a cluster autoscaler makes room: a launcher waits
	// longer then.
	Scaling bool
	// Unreachable is set where the node does not answer. Such a pod may go on
	// running, also one that is being deleted.
	Unreachable bool
	// Running is set while the app's container runs.
	Running bool
}

// Pod says what a pod's status and its events mean. Events of other objects are
// left out, and a nil pod is one that does not exist yet.
func Pod(pod *corev1.Pod, events []*corev1.Event) Verdict {
	if pod == nil {
		return Verdict{Stage: controlplane.StageQueued}
	}
	p := &view{pod: pod, events: of(events, pod.UID, pod.Name)}
	for _, look := range []func(*view) (Verdict, bool){
		(*view).appEnded, (*view).podEnded, (*view).leaving, (*view).unscheduled, (*view).initialising, (*view).waiting,
	} {
		if v, found := look(p); found {
			v.Unreachable = p.unreachable()
			return v
		}
	}
	return Verdict{Stage: controlplane.StageStarting, Running: p.running(), Unreachable: p.unreachable()}
}

// view is a pod with its own events, newest last.
type view struct {
	pod    *corev1.Pod
	events []*corev1.Event
}

func (p *view) condition(of corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.pod.Status.Conditions {
		if c := &p.pod.Status.Conditions[i]; c.Type == of {
			return c
		}
	}
	return nil
}

// app is the status of the app's container, or nil. In a pod that has none of
// its name, it is the first.
func (p *view) app() *corev1.ContainerStatus {
	name := ""
	for i := range p.pod.Spec.Containers {
		if c := p.pod.Spec.Containers[i].Name; i == 0 || c == objects.ContainerApp {
			name = c
		}
	}
	return status(p.pod.Status.ContainerStatuses, name)
}

func (p *view) running() bool {
	app := p.app()
	return app != nil && app.State.Running != nil
}

func status(all []corev1.ContainerStatus, name string) *corev1.ContainerStatus {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

// unreachable reports whether the cluster holds the node for lost: then its
// control plane says in the node's stead that the pod is not ready, without a
// reason, which nodes never do.
func (p *view) unreachable() bool {
	if p.pod.Status.Reason == "NodeLost" {
		return true
	}
	c := p.condition(corev1.PodReady)
	return p.pod.Spec.NodeName != "" && p.running() && c != nil && c.Status == corev1.ConditionFalse && c.Reason == ""
}

func ended(stage controlplane.Stage, r *controlplane.Reason) (Verdict, bool) {
	return Verdict{Stage: stage, Ended: true, Reason: r}, true
}

// slow is a start that may still succeed without anybody's doing.
func slow(stage controlplane.Stage, text string, r *controlplane.Reason) (Verdict, bool) {
	return Verdict{Stage: stage, Text: text, Reason: r}, true
}

func reason(code controlplane.ReasonCode, format string, args ...any) *controlplane.Reason {
	return &controlplane.Reason{Code: code, Text: clean(fmt.Sprintf(format, args...), maxReason)}
}
