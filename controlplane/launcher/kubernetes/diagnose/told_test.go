package diagnose_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
)

// told is a pod as a cluster could tell of it. Its messages are in the words of
// Kubernetes 1.36 and of containerd.
type told struct {
	app       corev1.ContainerState
	before    corev1.ContainerState
	status    corev1.PodStatus
	limit     bool // of memory
	shm       bool
	unplaced  bool
	deleted   bool
	events    []string // "Reason: message"
	initially []corev1.ContainerStatus
}

func (o told) pod() (*corev1.Pod, []*corev1.Event) {
	now := metav1.Now()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "i-app", UID: "1"}, Status: o.status}
	p.Spec.Containers = []corev1.Container{{Name: "sidecar", Image: "r.test/sidecar:1"}, {Name: "app", Image: "r.test/policy/not-found:1"}}
	if o.limit {
		limits(corev1.ResourceMemory, "64Mi")(nil, p)
		p.Spec.Containers[1].Resources, p.Spec.Containers[0].Resources = p.Spec.Containers[0].Resources, p.Spec.Containers[1].Resources
	}
	if o.shm {
		p.Spec.Volumes = []corev1.Volume{{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}}
	}
	if o.deleted {
		p.DeletionTimestamp = &now
	}
	for _, s := range o.initially {
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: s.Name, Image: "r.test/tools:1"})
	}
	p.Status.InitContainerStatuses = o.initially
	if !o.unplaced {
		p.Spec.NodeName = "node-secret-name"
		p.Status.StartTime = &now
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: "sidecar", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}},
			{Name: "app", State: o.app, LastTerminationState: o.before},
		}
	}
	events := []*corev1.Event{event("2", "Killing", "Container app failed liveness probe, will be restarted", 9)}
	for i, e := range o.events {
		why, message, _ := strings.Cut(e, ": ")
		events = append(events, event("1", why, message, i))
	}
	return p, events
}

func event(uid, why, message string, second int) *corev1.Event {
	e := &corev1.Event{Reason: why, Message: message, LastTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC))}
	e.InvolvedObject.Name, e.InvolvedObject.UID = "i-app", "1"
	if uid != "1" {
		e.InvolvedObject.UID = "2"
	}
	return e
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func terminated(reason string, code int32, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, Message: message}}
}

func unschedulable(message string) corev1.PodStatus {
	return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message}}}
}

func failed(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodFailed, Reason: reason, Message: message}
}

var running = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

// TestTold are the causes that a cluster of one node in a test cannot be brought
// to, and what tells similar ones apart.
func TestTold(t *testing.T) {
	image, starting, scheduled, queued := controlplane.StageImage, controlplane.StageStarting, controlplane.StageScheduled, controlplane.StageQueued
	creating := waiting("ContainerCreating", "")
	tests := []struct {
		name string
		told told
		want want
	}{
		{"another container ends", told{app: running}, want{stage: starting}},
		{"a pod of the same name was killed", told{app: terminated("Error", 1, "")}, want{stage: starting, ended: true, code: controlplane.Crashed, says: []string{"exit code 1"}}},
		{"a node restarts it", told{app: running, before: terminated("Error", 2, "")}, want{stage: starting, ended: true, code: controlplane.Crashed, says: []string{"exit code 2"}}},
		{"killed within a limit", told{app: terminated("Error", 137, ""), limit: true}, want{stage: starting, ended: true, code: controlplane.OOM, says: []string{"most likely", "64Mi"}}},
		{"killed, and an event of memory", told{app: terminated("Error", 137, ""), events: []string{"OOMKilling: Memory cgroup out of memory"}}, want{stage: starting, ended: true, code: controlplane.OOM}},
		{"shared memory", told{app: terminated("OOMKilled", 137, ""), limit: true, shm: true}, want{stage: starting, ended: true, code: controlplane.OOM, says: []string{"shared memory count"}}},
		{"too little memory to start", told{app: terminated("StartError", 128, "failed to create containerd task: OCI runtime create failed: container init was OOM-killed (memory limit too low?)")},
			want{stage: starting, ended: true, code: controlplane.OOM, says: []string{"too low"}}},
		{"too little memory to begin", told{app: terminated("StartError", 128, "failed to start containerd task: cannot start a stopped process: unknown")},
			want{stage: starting, ended: true, code: controlplane.OOM, says: []string{"most likely too low", "Runtime.MemoryLimit"}}},
		{"words of another kind", told{app: terminated("Error", 1, `{"code":"quota","text":"pay"}`)}, want{stage: starting, ended: true, code: controlplane.Crashed, says: []string{"exit code 1"}}},

		{"an older Kubernetes tells of a pull by event alone", told{app: waiting("ImagePullBackOff", `Back-off pulling image "r.test/policy/not-found:1"`),
			events: []string{`Failed: Failed to pull image "r.test/policy/not-found:1": rpc error: code = Unknown desc = Head "https://r.test/v2/policy/not-found/manifests/1": dial tcp 10.0.0.1:443: i/o timeout`}},
			want{stage: image, code: controlplane.ImagePull, says: []string{"does not reach"}, text: "tried again"}},
		{"an image's name means nothing", told{app: waiting("ErrImagePull", `failed to pull and unpack image "r.test/policy/not-found:1": strange`)}, want{stage: image, code: controlplane.ImagePull, says: []string{"events"}, text: "tried again"}},
		{"a signature", told{app: waiting("SignatureValidationFailed", "")}, want{stage: image, ended: true, code: controlplane.ImageNotAllowed}},
		{"a full disk for images", told{app: waiting("ErrImagePull", "write /var/lib/x: no space left on device")}, want{stage: image, code: controlplane.NoCapacity, text: "room"}},
		{"the second image is fetched", told{app: creating, events: []string{"Pulled: x", "Pulling: y"}}, want{stage: image, code: controlplane.ImagePull, says: []string{"still fetching"}, text: "image 2 of 2"}},
		{"an image after the bundle", told{initially: []corev1.ContainerStatus{{Name: "bundle", State: terminated("Completed", 0, "")}, {Name: "dependencies", State: waiting("PodInitializing", "")}}, events: []string{"Pulling: x"}},
			want{stage: controlplane.StageDependencies, code: controlplane.ImagePull, text: "fetched"}},
		{"the bundle runs again after a reboot", told{initially: []corev1.ContainerStatus{{Name: "bundle", State: running, LastTerminationState: terminated("Completed", 0, "")}}}, want{stage: controlplane.StageBundle}},

		{"a mount that has succeeded since", told{app: creating, events: []string{"FailedMount: x", "Pulled: y"}}, want{stage: image}},
		{"a volume of another node", told{app: creating, events: []string{`FailedAttachVolume: Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) i-app-0`}},
			want{stage: scheduled, code: controlplane.LauncherDown, says: []string{"still held"}, text: "volumes"}},
		{"a volume that cannot be attached", told{app: creating, events: []string{`FailedAttachVolume: AttachVolume.Attach failed for volume "pvc-1": timed out waiting for external-attacher`}},
			want{stage: scheduled, code: controlplane.LauncherDown, says: []string{"cannot be attached"}, text: "volumes"}},
		{"a full volume", told{app: creating, events: []string{`FailedMount: MountVolume.SetUp failed for volume "kept": mkdir /x: no space left on device`}}, want{stage: scheduled, code: controlplane.NoCapacity, text: "volumes"}},
		{"a broken volume", told{app: creating, events: []string{`FailedMount: mount failed: wrong fs type, bad option, bad superblock on /dev/sdb`}}, want{stage: scheduled, code: controlplane.LauncherDown, says: []string{"damaged"}, text: "volumes"}},
		{"a network that is not there yet", told{app: creating, events: []string{`FailedCreatePodSandBox: failed to setup network for sandbox "ab": plugin type="bridge" failed`}}, want{stage: scheduled, code: controlplane.LauncherDown, text: "network"}},
		{"devices", told{app: creating, events: []string{"FailedPrepareDynamicResources: x"}}, want{stage: scheduled, code: controlplane.NoCapacity, text: "devices"}},
		{"a container that cannot be made", told{app: waiting("CreateContainerError", "context deadline exceeded")}, want{stage: starting, code: controlplane.LauncherDown, text: "tried again"}},
		{"a secret that is late", told{app: waiting("CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition")}, want{stage: starting, code: controlplane.LauncherDown, text: "tried again"}},

		{"a node is being added", told{unplaced: true, status: unschedulable("0/1 nodes are available: 1 Insufficient cpu."), events: []string{"NotTriggerScaleUp: x", "TriggeredScaleUp: pod triggered scale-up"}},
			want{stage: queued, code: controlplane.NoCapacity, text: "being added", scaling: true}},
		{"no node is added", told{unplaced: true, status: unschedulable("0/1 nodes are available: 1 Insufficient cpu."), events: []string{"TriggeredScaleUp: x", "NotTriggerScaleUp: 1 max node group size reached"}},
			want{stage: queued, code: controlplane.NoCapacity, says: []string{"adds no node"}, text: "waits"}},
		{"taints", told{unplaced: true, status: unschedulable("0/2 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 1 Too many pods. preemption: 0/2 nodes are available: 2 Preemption is not helpful.")},
			want{stage: queued, code: controlplane.NoCapacity, says: []string{"1 of 2 kept for others by a taint, 1 of 2 full of pods"}, text: "waits"}},
		{"no nodes", told{unplaced: true, status: unschedulable("no nodes available to schedule pods")}, want{stage: queued, code: controlplane.NoCapacity, says: []string{"has no nodes"}, text: "waits"}},

		{"a node short of memory", told{status: failed("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container app was using 80Mi, request is 0, has larger consumption of memory. "), app: terminated("Error", 137, "")},
			want{stage: starting, ended: true, code: controlplane.NoCapacity, says: []string{"ran out of memory"}}},
		{"a node short of disk", told{status: failed("Evicted", "The node was low on resource: ephemeral-storage. ")}, want{stage: starting, ended: true, code: controlplane.NoCapacity, says: []string{"ran out of disk"}}},
		{"a container's own disk", told{status: failed("Evicted", `Container app exceeded its local ephemeral storage limit "10Mi". `)}, want{stage: starting, ended: true, code: controlplane.Crashed, says: []string{"10Mi", "Runtime.VolumeMount"}}},
		{"a node that shut down", told{status: failed("Terminated", "Pod was terminated in response to imminent node shutdown."), app: terminated("Error", 143, "")}, want{stage: starting, ended: true, code: controlplane.NoCapacity, says: []string{"shut down"}}},
		{"a pod that ended without a word", told{status: failed("", "")}, want{stage: starting, ended: true, code: controlplane.Crashed, says: []string{"does not say why"}}},
		{"deleted while it ends", told{deleted: true, app: terminated("Error", 143, "")}, want{stage: starting, ended: true, code: controlplane.Crashed, says: []string{"somebody deleted"}}},
		{"lost, not given up yet", told{app: running, status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}}}, want{stage: starting, lost: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := diagnose.Pod(test.told.pod())
			if problem := test.want.differs(v); problem != "" {
				t.Error(problem)
			}
			if problem := fit(v); problem != "" {
				t.Error(problem)
			}
			if v.Reason != nil && strings.Contains(v.Reason.Text, "node-secret-name") {
				t.Errorf("it names the node: %s", v.Reason)
			}
		})
	}
}

// TestDeployment holds that the word on an earlier start is not taken for this
// one's, and that what nobody knows is waited for.
func TestDeployment(t *testing.T) {
	refused := func(message string, generation int64) *appsv1.Deployment {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: generation}}
		d.Status.ObservedGeneration = 1
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: message}}
		return d
	}
	const webhook = `admission webhook "policy.example" denied the request: images must be signed`
	tests := []struct {
		name string
		of   *appsv1.Deployment
		want want
	}{
		{"none", nil, want{stage: controlplane.StageQueued}},
		{"an earlier start's", refused(webhook, 2), want{stage: controlplane.StageQueued}},
		{"a webhook", refused(webhook, 1), want{stage: controlplane.StageQueued, ended: true, code: controlplane.LauncherDown, says: []string{"images must be signed"}}},
		{"unknown", refused("Internal error occurred: failed calling webhook", 1), want{stage: controlplane.StageQueued, code: controlplane.LauncherDown, text: "tried again"}},
		{"long", refused("pods is forbidden: "+strings.Repeat("x\n\x00", 9000), 1), want{stage: controlplane.StageQueued, ended: true, code: controlplane.LauncherDown}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := diagnose.Deployment(test.of)
			if problem := test.want.differs(v) + fit(v); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// TestRefused are answers of the API server itself.
func TestRefused(t *testing.T) {
	tests := []struct {
		name, message string
		code          controlplane.ReasonCode
		says          string
	}{
		{"quota", `persistentvolumeclaims "i-app-volume" is forbidden: exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=3, limited: persistentvolumeclaims=3`,
			controlplane.Quota, "asks for persistentvolumeclaims=1"},
		{"limits of volumes", `persistentvolumeclaims "i-app-volume" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi`, controlplane.Quota, "1Gi, but request is 2Gi"},
		{"invalid", `Deployment.apps "i-app" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`,
			controlplane.LauncherDown, "less than or equal to cpu limit"},
		{"no right", `secrets is forbidden: User "slipway" cannot create resource "secrets"`, controlplane.LauncherDown, "cannot create"},
		{"unknown", "what\nis this", controlplane.LauncherDown, "what is this"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := diagnose.Refused(test.message)
			if r.Code != test.code || !strings.Contains(r.Text, test.says) {
				t.Errorf("got %s, want %s: …%s…", r, test.code, test.says)
			}
		})
	}
}

// TestClaim are the claims that need a provisioner that fails.
func TestClaim(t *testing.T) {
	tests := []struct {
		phase      corev1.PersistentVolumeClaimPhase
		event      string
		want       want
		wantNoWord bool
	}{
		{corev1.ClaimBound, "ProvisioningFailed: once", want{stage: controlplane.StageQueued}, true},
		{corev1.ClaimPending, "WaitForFirstConsumer: waiting for first consumer to be created before binding", want{stage: controlplane.StageQueued}, true},
		{corev1.ClaimPending, "ProvisioningFailed: rpc error: code = ResourceExhausted desc = pool full", want{stage: controlplane.StageQueued, code: controlplane.NoCapacity, text: "volume"}, false},
		{corev1.ClaimPending, "ProvisioningFailed: exceeded quota: q", want{stage: controlplane.StageQueued, code: controlplane.Quota, text: "volume"}, false},
		{corev1.ClaimPending, "VolumeMismatch: too small", want{stage: controlplane.StageQueued, code: controlplane.NoCapacity, text: "volume"}, false},
		{corev1.ClaimLost, "ClaimLost: x", want{stage: controlplane.StageQueued, ended: true, code: controlplane.LauncherDown, says: []string{"lost"}}, true},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.phase, " ", test.event), func(t *testing.T) {
			why, message, _ := strings.Cut(test.event, ": ")
			c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "i-app", UID: "1"}}
			c.Status.Phase = test.phase
			v := diagnose.Claim(c, []*corev1.Event{event("1", why, message, 0)})
			if problem := test.want.differs(v) + fit(v); problem != "" {
				t.Error(problem)
			}
			if test.wantNoWord && v.Text != "" {
				t.Errorf("nothing is waited for, and it says %q", v.Text)
			}
		})
	}
}
