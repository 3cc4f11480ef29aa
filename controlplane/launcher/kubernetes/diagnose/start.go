package diagnose

import (
	"regexp"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Objects are those of one start, as far as they are known.
type Objects struct {
	Deployment *appsv1.Deployment
	Pod        *corev1.Pod
	Claims     []*corev1.PersistentVolumeClaim
	Events     []*corev1.Event
}

// Start says what all objects of a start mean together: a pod that does not
// come to be is explained by its deployment, and one that waits for a volume by
// its claim.
func Start(o Objects) Verdict {
	if o.Pod == nil {
		return Deployment(o.Deployment)
	}
	v := Pod(o.Pod, o.Events)
	if v.Ended || v.Stage != controlplane.StageQueued || v.Reason == nil {
		return v
	}
	for _, c := range o.Claims {
		if of := Claim(c, o.Events); of.Reason != nil {
			of.Scaling = v.Scaling
			return of
		}
	}
	return v
}

// Deployment says why a deployment has no pod. Its condition is a copy of its
// replica set's, with what the last try to make one was answered, so that
// neither replica sets nor their events are needed. One of an earlier
// generation says nothing of this one. A nil deployment is one that does not
// exist yet.
func Deployment(d *appsv1.Deployment) Verdict {
	v := Verdict{Stage: controlplane.StageQueued}
	if d == nil || d.Status.ObservedGeneration < d.Generation {
		return v
	}
	message := ""
	for i := range d.Status.Conditions {
		if c := &d.Status.Conditions[i]; c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			message = c.Message
		}
	}
	if message == "" {
		return v
	}
	return refused(message)
}

// Refused says why the API server does not accept one of a start's objects, by
// what it answered.
func Refused(message string) controlplane.Reason {
	v := refused(message)
	if !v.Ended && v.Reason.Code == controlplane.LauncherDown {
		return *reason(controlplane.LauncherDown, "the cluster does not accept what the app needs: %s", quote(message))
	}
	return *v.Reason
}

// Faulty is for a call that the API server goes on to answer with a fault, such as
// that an admission webhook fails.
func Faulty(message string) controlplane.Reason {
	return *reason(controlplane.LauncherDown, "the cluster's API server fails, and says %s; its operators can see to it, and to what it asks before it accepts something (admission webhooks)", quote(message))
}

var exceeded = regexp.MustCompile(`exceeded quota: ([^,]{1,253}), requested: (.{1,200}), used: (.{1,200}), limited: (.{1,200})`)

// refused is for a pod that the cluster does not accept.
func refused(message string) Verdict {
	v := Verdict{Stage: controlplane.StageQueued}
	final := func(r *controlplane.Reason) Verdict { v.Ended, v.Reason = true, r; return v }
	switch {
	case has(message, "exceeded quota"):
		v.Text = "it waits for room within the cluster's quota"
		v.Reason = reason(controlplane.Quota, "the quota of the cluster's namespace is used up; wait until other apps sleep, or ask its operators for more")
		if m := exceeded.FindStringSubmatch(message); m != nil {
			v.Reason = reason(controlplane.Quota, "the quota of the cluster's namespace is used up: the app asks for %s, and of %s there is %s already; wait until other apps sleep, or ask its operators for more",
				quote(m[2]), quote(m[4]), quote(m[3]))
		}
		return v
	case has(message, "failed quota"):
		return final(reason(controlplane.Quota, "the quota of the cluster's namespace wants limits that the app does not state: %s; set Runtime.MemoryLimit and Runtime.CPULimit in app.toml", quote(after(message, "failed quota: "))))
	case has(message, "violates podsecurity"):
		return final(reason(controlplane.LauncherDown, "the cluster's Pod Security does not accept the app's pod (%s); its operators can look at the namespace's labels and the launcher's settings", quote(after(message, "violates PodSecurity "))))
	case has(message, "serviceaccount") && has(message, "not found"):
		return final(reason(controlplane.LauncherDown, "the service account that apps run as is missing in the cluster; its operators have to make it"))
	case has(message, "maximum ", "minimum ", "limitrange", "limit to request ratio"):
		return final(reason(controlplane.Quota, "the cluster's limits (LimitRange) do not allow what the app asks for: %s; change Runtime.MemoryLimit, Runtime.CPULimit or the volumes' sizes in app.toml", quote(after(message, "is forbidden: "))))
	case has(message, "priorityclass"):
		return final(reason(controlplane.LauncherDown, "the priority class that apps run with is missing in the cluster; its operators have to make it"))
	case has(message, "is forbidden", "denied the request", "is invalid"):
		return final(reason(controlplane.LauncherDown, "the cluster does not accept what the app needs: %s", quote(after(after(message, "is forbidden: "), "is invalid: "))))
	}
	v.Text = "the cluster does not make its pod yet; it is tried again"
	v.Reason = reason(controlplane.LauncherDown, "the cluster could not make the app's pod; its operators find why in the events of its replica set")
	return v
}

// after is what follows the mark, or all where it does not occur.
func after(s, mark string) string {
	if _, rest, found := strings.Cut(s, mark); found {
		return rest
	}
	return s
}

// Claim says why a volume is not there, if it is asked for: one that waits for
// its first pod waits for nothing.
func Claim(c *corev1.PersistentVolumeClaim, events []*corev1.Event) Verdict {
	v := Verdict{Stage: controlplane.StageQueued}
	if c == nil || c.Status.Phase == corev1.ClaimBound {
		return v
	}
	if c.Status.Phase == corev1.ClaimLost {
		v.Ended = true
		v.Reason = reason(controlplane.LauncherDown, "the app's volume is lost: what it was kept in is no more; the cluster's operators can restore it")
		return v
	}
	e := newest(of(events, c.UID, c.Name), "ProvisioningFailed", "FailedBinding", "VolumeMismatch", "ProvisioningSucceeded", "Provisioning", "ExternalProvisioning", "WaitForFirstConsumer", "WaitForPodScheduled")
	if e == nil {
		return v
	}
	v.Text = "it waits for its volume"
	switch {
	case e.Reason == "FailedBinding":
		v.Reason = reason(controlplane.NoCapacity, "the cluster has no volume for the app and no default storage class to make one; the operators can set storage_class")
	case e.Reason == "ProvisioningFailed" && has(e.Message, "not found") && has(e.Message, "storageclass", "storage class"):
		v.Reason = reason(controlplane.NoCapacity, "the storage class that makes the app's volumes is not there; the operators can set another storage_class")
	case e.Reason == "ProvisioningFailed" && has(e.Message, "exceeded quota"):
		v.Reason = reason(controlplane.Quota, "the quota of the cluster's namespace leaves no room for the app's volume; ask its operators for more")
	case e.Reason == "ProvisioningFailed":
		v.Reason = reason(controlplane.NoCapacity, "the cluster could not make the app's volume; its operators find why in the events of its claim")
	case e.Reason == "VolumeMismatch":
		v.Reason = reason(controlplane.NoCapacity, "the volume that is meant for the app does not fit it; the cluster's operators find why in the events of its claim")
	default:
		v.Text = ""
	}
	return v
}
