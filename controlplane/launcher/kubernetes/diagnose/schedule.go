package diagnose

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// obstacle is why nodes are not taken, as the scheduler words it, and as people
// read it.
type obstacle struct{ theirs, ours string }

// obstacles are in the order in which they are told.
var obstacles = []obstacle{
	{"insufficient cpu", "without enough free CPU"},
	{"insufficient memory", "without enough free memory"},
	{"insufficient ephemeral-storage", "without enough free disk"},
	{"too many pods", "full of pods"},
	{"didn't match pod's node affinity/selector", "that the app's profile does not choose"},
	{"untolerated taint", "kept for others by a taint"},
	{"unschedulable", "closed for new work"},
	{"volume node affinity", "where its volume is not"},
	{"persistentvolume's node affinity", "where its volume is not"},
	{"max volume count", "that can hold no more volumes"},
	{"available persistent volumes to bind", "without a volume for it"},
	{"enough free storage", "without room for its volume"},
	{"anti-affinity", "that its rules about neighbours rule out"},
	{"pod affinity rules", "that its rules about neighbours rule out"},
	{"topology spread", "that its rules about spreading rule out"},
	{"free ports", "where its port is taken"},
}

var (
	ofNodes     = regexp.MustCompile(`^\s*(\d+)/(\d+) nodes are available: `)
	ofThese     = regexp.MustCompile(`^\s*(\d+) (.*)$`)
	ofResource  = regexp.MustCompile(`^Insufficient ([A-Za-z0-9./_-]{1,100})$`)
	claimAbsent = regexp.MustCompile(`persistentvolumeclaim "[^"]*" (?:not found|is being deleted)`)
)

// unscheduled is for a pod that has no node.
func (p *view) unscheduled() (Verdict, bool) {
	c := p.condition(corev1.PodScheduled)
	if p.pod.Spec.NodeName != "" || c != nil && c.Status == corev1.ConditionTrue {
		return Verdict{}, false
	}
	if c == nil || c.Status != corev1.ConditionFalse || c.Reason == corev1.PodReasonSchedulingGated {
		return slow(controlplane.StageQueued, "", nil)
	}
	v, _ := slow(controlplane.StageQueued, "it waits for a machine with room", noNode(p.pod, c))
	switch e := newest(p.events, "TriggeredScaleUp", "NotTriggerScaleUp"); {
	case e == nil:
	case e.Reason == "TriggeredScaleUp":
		v.Scaling, v.Text = true, "it waits for a machine that is being added"
	default:
		v.Reason = reason(v.Reason.Code, "%s; the cluster's autoscaler adds no node for it", v.Reason.Text)
	}
	return v, true
}

// noNode says why no node takes the pod.
func noNode(pod *corev1.Pod, c *corev1.PodCondition) *controlplane.Reason {
	message, _, _ := strings.Cut(c.Message, "preemption:")
	switch {
	case c.Reason == corev1.PodReasonSchedulerError:
		return reason(controlplane.LauncherDown, "the cluster's scheduler cannot place the app: an error of the cluster, whose operators find it in the pod's conditions")
	case claimAbsent.MatchString(message):
		return reason(controlplane.NoCapacity, "a volume of the app is missing in the cluster, or is being deleted; start the app again in a minute")
	case has(message, "unbound immediate persistentvolumeclaims"):
		return reason(controlplane.NoCapacity, "the cluster has not made the app's volume yet; whoever runs the cluster finds why in the events of its claim")
	case has(message, "no nodes available to schedule pods"):
		return reason(controlplane.NoCapacity, "the cluster has no nodes that can run apps")
	}
	told := untold(message)
	if told == "" {
		told = "none of them fits"
	}
	return reason(controlplane.NoCapacity, "no node of the cluster takes the app%s: %s; %s", asks(pod), told, mendRoom(message))
}

// untold are the obstacles of a scheduler's message.
func untold(message string) string {
	m := ofNodes.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	var told []string
	nodes, _, _ := strings.Cut(strings.TrimSpace(message[len(m[0]):])+" ", ". ")
	for part := range strings.SplitSeq(nodes, ", ") {
		n := ofThese.FindStringSubmatch(part)
		if n == nil {
			continue
		}
		if ours := inOurWords(n[2]); ours != "" && len(told) < 6 {
			told = append(told, fmt.Sprintf("%s of %s %s", n[1], m[2], ours))
		}
	}
	return strings.Join(told, ", ")
}

func inOurWords(theirs string) string {
	for _, o := range obstacles {
		if has(theirs, o.theirs) {
			return o.ours
		}
	}
	if r := ofResource.FindStringSubmatch(theirs); r != nil {
		return "without a free " + r[1]
	}
	return ""
}

// asks are the resources that the app wants reserved.
func asks(pod *corev1.Pod) string {
	var wants []string
	for i := range pod.Spec.Containers {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			if q, ok := pod.Spec.Containers[i].Resources.Requests[name]; ok && !q.IsZero() {
				wants = append(wants, fmt.Sprintf("%s %s", name, q.String()))
			}
		}
		if len(wants) > 0 {
			break
		}
	}
	if len(wants) == 0 {
		return ""
	}
	return " (it asks for " + strings.Join(wants, ", ") + ")"
}

// mendRoom is how a lack of room is mended.
func mendRoom(message string) string {
	switch {
	case has(message, "didn't match pod's node affinity/selector"):
		return "choose another launch profile, or ask for nodes of this kind"
	case strings.Contains(message, "Insufficient ") && !has(message, "insufficient cpu", "insufficient memory", "insufficient ephemeral"):
		return "wait until one is free, or ask for fewer in app.toml (Runtime.GPUCount)"
	case has(message, "insufficient"):
		return "wait until others sleep, or lower Runtime.MemoryReservation or Runtime.CPUReservation in app.toml"
	}
	return "whoever runs the cluster can make room"
}
