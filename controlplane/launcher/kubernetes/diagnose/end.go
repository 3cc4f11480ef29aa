package diagnose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// appEnded is for a pod whose app's container has run and ended, also where the
// node runs it again: how often a workload is started the control plane decides.
// An end within a deletion is the deletion's.
func (p *view) appEnded() (Verdict, bool) {
	app := p.app()
	if app == nil {
		return Verdict{}, false
	}
	end := app.State.Terminated
	if end == nil {
		end = app.LastTerminationState.Terminated
	}
	if end == nil || p.stoppedFromOutside() && !p.before(end) {
		return Verdict{}, false
	}
	v, found := ended(controlplane.StageStarting, p.crashed(end))
	v.Running = p.running()
	return v, found
}

// stoppedFromOutside reports whether something else than the app ends the pod.
func (p *view) stoppedFromOutside() bool {
	s := &p.pod.Status
	return p.pod.DeletionTimestamp != nil || s.Phase == corev1.PodFailed && s.Reason != "" || p.disruption() != nil
}

// before reports whether the container ended before the pod's deletion began.
// Once it has ended, the node asks for a deletion without grace: the time of the
// deletion stays, and the grace that it was reckoned with is no more.
func (p *view) before(end *corev1.ContainerStateTerminated) bool {
	if p.pod.DeletionTimestamp == nil || p.pod.Status.Reason != "" || p.disruption() != nil || end.FinishedAt.IsZero() {
		return false
	}
	grace := int64(0)
	for _, seconds := range []*int64{p.pod.DeletionGracePeriodSeconds, p.pod.Spec.TerminationGracePeriodSeconds} {
		if seconds != nil {
			grace = max(grace, *seconds)
		}
	}
	return end.FinishedAt.Time.Before(p.pod.DeletionTimestamp.Add(-time.Duration(grace) * time.Second))
}

// said are the reasons that a container of ours may give of itself.
var said = []controlplane.ReasonCode{
	controlplane.BadBundle, controlplane.Dependencies, controlplane.MissingSecret, controlplane.WaveServerMissing,
	controlplane.NoCapacity, controlplane.ImageInvalid, controlplane.LauncherDown, controlplane.Crashed, controlplane.OOM,
}

// ownWords reads the reason that a container has left in its termination
// message: {"code":…,"text":…}. The app may write one too, so it is believed
// only what concerns itself, and shown as what others write.
func ownWords(message string) *controlplane.Reason {
	var r controlplane.Reason
	if !strings.HasPrefix(message, "{") || json.Unmarshal([]byte(message), &r) != nil || !slices.Contains(said, r.Code) {
		return nil
	}
	if r.Text = clean(r.Text, maxReason); r.Text == "" {
		return nil
	}
	return &r
}

// crashed says how the app's container ended.
func (p *view) crashed(end *corev1.ContainerStateTerminated) *controlplane.Reason {
	limit := ""
	if app := p.app(); app != nil {
		limit = memoryLimit(p.pod.Spec.Containers, app.Name)
	}
	if end.Reason == "OOMKilled" || newest(p.events, "OOMKilling") != nil {
		return reason(controlplane.OOM, "the app needed more memory than its limit%s%s; raise Runtime.MemoryLimit in app.toml", limit, p.sharedMemory())
	}
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" {
		if r := unrunnable(end.Message); r != nil {
			return r
		}
		return reason(controlplane.Crashed, "the app's program could not be started: %s", startError(end.Message))
	}
	if r := ownWords(end.Message); r != nil {
		return r
	}
	if e := newest(p.events, "Killing"); e != nil && has(e.Message, "failed liveness probe", "failed startup probe") {
		return reason(controlplane.Crashed, "the cluster ended the app, since it did not answer its probe; %s", lastLines)
	}
	if r := killed("the app", limit, end); r != nil {
		return r
	}
	return reason(controlplane.Crashed, "%s; %s", exit("the app", end), lastLines)
}

const lastLines = "its last lines are in its log"

// startError is the end of a runtime's long chain of causes.
func startError(message string) string {
	parts := strings.Split(message, ": ")
	return quote(strings.Join(parts[max(0, len(parts)-2):], ": "))
}

// exit is how a process ended, in words.
func exit(who string, end *corev1.ContainerStateTerminated) string {
	signal := end.Signal
	if signal == 0 && end.ExitCode > 128 && end.ExitCode < 128+65 {
		signal = end.ExitCode - 128
	}
	if name := unix.SignalName(syscall.Signal(signal)); signal > 0 && name != "" {
		if signal == int32(syscall.SIGKILL) {
			return who + " was killed (SIGKILL), maybe for want of memory of the node"
		}
		return fmt.Sprintf("%s ended by %s", who, name)
	}
	if end.ExitCode == 0 {
		return who + " ended by itself, with exit code 0: it has to go on and serve"
	}
	return fmt.Sprintf("%s ended with exit code %d", who, end.ExitCode)
}

// killed is for what was killed within a memory limit, or nil. A node that sees
// the end before it hears of the kernel's doing never tells of that: with
// control groups of version 1 and containerd 1.6 one in a few such ends is told
// as "Error" with exit code 137.
func killed(who, limit string, end *corev1.ContainerStateTerminated) *controlplane.Reason {
	if limit == "" || end.ExitCode != 128+int32(syscall.SIGKILL) && end.Signal != int32(syscall.SIGKILL) {
		return nil
	}
	return reason(controlplane.OOM, "%s was killed (SIGKILL), most likely since it needed more memory than its limit%s; raise Runtime.MemoryLimit in app.toml", who, limit)
}

// memoryLimit is " of 32Mi", or empty.
func memoryLimit(containers []corev1.Container, name string) string {
	for i := range containers {
		if containers[i].Name != name {
			continue
		}
		if q, ok := containers[i].Resources.Limits[corev1.ResourceMemory]; ok {
			return " of " + q.String()
		}
	}
	return ""
}

// sharedMemory says what counts as memory too.
func (p *view) sharedMemory() string {
	for i := range p.pod.Spec.Volumes {
		if dir := p.pod.Spec.Volumes[i].EmptyDir; dir != nil && dir.Medium == corev1.StorageMediumMemory {
			return " (files in shared memory count too)"
		}
	}
	return ""
}

// initFailed says why an init container of the pod failed.
func initFailed(pod *corev1.Pod, c *corev1.Container, end *corev1.ContainerStateTerminated) *controlplane.Reason {
	limit := memoryLimit(pod.Spec.InitContainers, c.Name)
	if end.Reason == "OOMKilled" {
		return reason(controlplane.OOM, "the preparation of the app (%s) needed more memory than its limit%s; raise Runtime.MemoryLimit in app.toml", quote(c.Name), limit)
	}
	if r := ownWords(end.Message); r != nil {
		return r
	}
	if r := killed("the preparation of the app ("+quote(c.Name)+")", limit, end); r != nil {
		return r
	}
	if end.Reason == "StartError" || end.Reason == "ContainerCannotRun" {
		if r := unrunnable(end.Message); r != nil {
			return r
		}
	}
	switch c.Name {
	case objects.ContainerBundle:
		return reason(controlplane.BadBundle, "%s; %s", exit("what fetches and unpacks the app's bundle", end), lastLines)
	case objects.ContainerDependencies:
		return reason(controlplane.Dependencies, "%s; %s", exit("what installs the app's dependencies", end), lastLines)
	}
	return reason(controlplane.Crashed, "%s", exit("a preparation of the app ("+quote(c.Name)+")", end))
}
