package diagnose

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// preparing is for a pod on a node of which the containers' states say nothing
// yet: only its newest event may tell what it waits for. Nothing is final that
// only an event says, since events come late, and also of what is over.
func (p *view) preparing(stage controlplane.Stage) (Verdict, bool) {
	e := newest(p.events, "Scheduled", "Pulling", "Pulled", "Created", "Started", "SuccessfulAttachVolume",
		"FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox", "NetworkNotReady", "FailedPrepareDynamicResources")
	if e == nil {
		return slow(controlplane.StageScheduled, "", nil)
	}
	switch e.Reason {
	case "Pulling":
		return p.pulling(stage)
	case "Pulled", "Created", "Started":
		return slow(stage, "", nil)
	case "FailedMount", "FailedMapVolume":
		return slow(controlplane.StageScheduled, "it waits for its volumes", unmounted(e.Message))
	case "FailedAttachVolume":
		return slow(controlplane.StageScheduled, "it waits for its volumes", unattached(e.Message))
	case "FailedCreatePodSandBox", "NetworkNotReady":
		return slow(controlplane.StageScheduled, "it waits for its network", reason(controlplane.LauncherDown,
			"the node cannot make the app's network or its sandbox; whoever runs the cluster finds why in the pod's events"))
	case "FailedPrepareDynamicResources":
		return slow(controlplane.StageScheduled, "it waits for its devices", reason(controlplane.NoCapacity,
			"the node cannot give the app its devices; whoever runs the cluster finds why in the pod's events"))
	}
	return slow(controlplane.StageScheduled, "", nil)
}

// pulling says how many of the pod's images the node has.
func (p *view) pulling(stage controlplane.Stage) (Verdict, bool) {
	images, pulled := map[string]bool{}, 0
	for _, all := range [][]corev1.Container{p.pod.Spec.InitContainers, p.pod.Spec.Containers} {
		for i := range all {
			images[all[i].Image] = true
		}
	}
	for _, e := range p.events {
		if e.Reason == "Pulled" {
			pulled++
		}
	}
	pulled = min(pulled, len(images)-1)
	v, found := slow(stage, "its image is fetched", reason(controlplane.ImagePull,
		"the node was still fetching the app's image; a large one takes its time: start the app again, the node goes on where it was"))
	if len(images) > 1 {
		v.Text, v.Percent = fmt.Sprintf("image %d of %d is fetched", pulled+1, len(images)), 100*pulled/len(images)
	}
	return v, found
}

// unmounted says why a node does not mount a volume.
func unmounted(message string) *controlplane.Reason {
	if m := absent.FindStringSubmatch(message); m != nil {
		return lacks(m)
	}
	switch {
	case has(message, "no space left on device", "disk quota exceeded"):
		return reason(controlplane.NoCapacity, "there is no room left for the app's volumes; whoever runs the cluster can make some")
	case has(message, "read-only file system", "wrong fs type", "bad superblock", "structure needs cleaning"):
		return reason(controlplane.LauncherDown, "the app's volume is damaged and cannot be mounted; whoever runs the cluster has to look at it")
	}
	return reason(controlplane.LauncherDown, "the node cannot mount the app's volumes; whoever runs the cluster finds why in the pod's events")
}

// unattached says why a volume does not come to the node.
func unattached(message string) *controlplane.Reason {
	if has(message, "multi-attach", "already used by", "already exclusively attached") {
		return reason(controlplane.LauncherDown, "the app's volume is still held by the node where the app ran before; it starts once that node has let it go, or whoever runs the cluster frees it")
	}
	return reason(controlplane.LauncherDown, "the app's volume cannot be attached to its node; whoever runs the cluster finds why in the pod's events")
}
