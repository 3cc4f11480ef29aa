package diagnose

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// initialising is for a pod whose init containers are not done. Its stage never
// goes back: an image that a later one needs belongs to that one's stage.
func (p *view) initialising() (Verdict, bool) {
	begun := false
	for i := range p.pod.Spec.InitContainers {
		c := &p.pod.Spec.InitContainers[i]
		s := status(p.pod.Status.InitContainerStatuses, c.Name)
		if s == nil {
			return p.preparing(controlplane.StageScheduled)
		}
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			continue // a helper of others beside the app
		}
		if end := initEnd(s); end != nil && end.ExitCode != 0 {
			return ended(stageOf(c.Name), initFailed(p.pod, c, end))
		}
		if s.State.Terminated != nil {
			begun = true
			continue
		}
		if s.State.Running != nil {
			return Verdict{Stage: stageOf(c.Name)}, true
		}
		stage := controlplane.StageImage
		if begun {
			stage = stageOf(c.Name)
		}
		return p.waits(stage, s)
	}
	return Verdict{}, false
}

// initEnd is how an init container has ended last, or nil. A node tries again
// what has failed; the control plane decides about that, not the node.
func initEnd(s *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if s.State.Terminated != nil {
		return s.State.Terminated
	}
	return s.LastTerminationState.Terminated
}

func stageOf(container string) controlplane.Stage {
	switch container {
	case objects.ContainerBundle:
		return controlplane.StageBundle
	case objects.ContainerDependencies:
		return controlplane.StageDependencies
	}
	return controlplane.StageStarting
}

// waiting is for a pod whose app's container does not run.
func (p *view) waiting() (Verdict, bool) {
	if p.running() {
		return Verdict{}, false
	}
	stage := controlplane.StageImage
	if len(p.pod.Spec.InitContainers) > 0 {
		stage = controlplane.StageStarting
	}
	if app := p.app(); app != nil {
		return p.waits(stage, app)
	}
	return p.preparing(controlplane.StageScheduled)
}

// waits is for a container that does not run yet; stage is where its image is
// fetched.
func (p *view) waits(stage controlplane.Stage, c *corev1.ContainerStatus) (Verdict, bool) {
	w := c.State.Waiting
	if w == nil {
		return p.preparing(stage)
	}
	if v, found := p.unpulled(stage, c, w); found {
		return v, true
	}
	at := stageOf(c.Name)
	switch w.Reason {
	case "CreateContainerConfigError":
		return unconfigured(at, p.image(c.Name), w.Message)
	case "CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError":
		return uncreated(at, w.Message)
	}
	return p.preparing(stage)
}

var absent = regexp.MustCompile(`(?i)(secret|configmap) "([^"]{1,253})" not found|couldn't find key (\S{1,253}) in (Secret|ConfigMap) (\S{1,253})`)

// unconfigured is for a container whose description a node cannot carry out.
func unconfigured(at controlplane.Stage, image, message string) (Verdict, bool) {
	if m := absent.FindStringSubmatch(message); m != nil {
		return ended(at, lacks(m))
	}
	switch {
	case has(message, "non-numeric user"):
		return ended(at, reason(controlplane.ImageInvalid, "the image %s names its user, and the cluster runs only users that are given by number, other than 0; write USER 1000 in its Dockerfile", image))
	case has(message, "runasnonroot", "will run as root", "runs as root"):
		return ended(at, reason(controlplane.ImageInvalid, "the image %s runs as root, and the cluster runs only others; write USER 1000 in its Dockerfile", image))
	case has(message, "subpath", "no such file or directory"):
		return ended(at, reason(controlplane.BadBundle, "one of the app's files or volumes cannot be mounted where app.toml says"))
	}
	return slow(at, "its container cannot be made yet; it is tried again",
		reason(controlplane.LauncherDown, "the node cannot make the app's container; whoever runs the cluster finds why in the pod's events"))
}

// lacks is for a match of absent.
func lacks(m []string) *controlplane.Reason {
	kind, name := strings.ToLower(m[1]), m[2]
	if m[3] != "" {
		_, bare, spaced := strings.Cut(m[5], "/")
		if !spaced {
			bare = m[5]
		}
		kind, name = strings.ToLower(m[4]), bare+" with the key "+m[3]
	}
	what := "secret"
	if kind == "configmap" {
		what = "configuration (ConfigMap)"
	}
	return reason(controlplane.MissingSecret, "the cluster lacks the %s %s, which the app is given; somebody deleted it, or the operators have to make it; then start the app again", what, quote(name))
}

var (
	execFailed = regexp.MustCompile(`exec: "([^"]+)"`)
	noUser     = regexp.MustCompile(`unable to find (user|group) (\S{1,100}):`)
)

// uncreated is for a container that the node's runtime refuses.
func uncreated(at controlplane.Stage, message string) (Verdict, bool) {
	if r := unrunnable(message); r != nil {
		return ended(at, r)
	}
	if has(message, "no space left on device") {
		return slow(at, "it waits for room on the disk", reason(controlplane.NoCapacity, "the node's disk is full; whoever runs the cluster can make room"))
	}
	return slow(at, "its container cannot be made yet; it is tried again",
		reason(controlplane.LauncherDown, "the node cannot make the app's container; whoever runs the cluster finds why in the pod's events"))
}

// unrunnable says why a program cannot be executed, or nil where the message is
// of something else.
func unrunnable(message string) *controlplane.Reason {
	program := "the app's program"
	if m := execFailed.FindStringSubmatch(message); m != nil {
		program = quote(m[1])
	}
	switch {
	case noUser.MatchString(message):
		return reason(controlplane.ImageInvalid, "the image runs as the user %s, which its /etc/passwd does not have; write USER 1000 in its Dockerfile", quote(noUser.FindStringSubmatch(message)[2]))
	case has(message, "/etc/passwd: no such file", "/etc/group: no such file"):
		return reason(controlplane.ImageInvalid, "the image names its user, and has no /etc/passwd to find it in; write USER 1000 in its Dockerfile")
	case has(message, "executable file not found", "no such file or directory") && has(message, "exec"):
		return reason(controlplane.Crashed, "%s is not in the image (or what it needs to run is not, such as its interpreter); check the command that app.toml or the image names", program)
	case has(message, "permission denied") && has(message, "exec"):
		return reason(controlplane.Crashed, "%s may not be executed: it is no program, or its file lacks the right (chmod +x)", program)
	case has(message, "exec format error"):
		return reason(controlplane.ImageInvalid, "%s is not for the node's processor, or is no program; build it for this platform", program)
	case has(message, "no command specified"):
		return reason(controlplane.ImageInvalid, "the image names no program to run; write ENTRYPOINT or CMD in its Dockerfile")
	case has(message, "chdir", "cwd"):
		return reason(controlplane.ImageInvalid, "the image's working directory cannot be entered by the user that the app runs as; check WORKDIR and its rights")
	case has(message, "container init was oom-killed", "oom-kill"):
		return reason(controlplane.OOM, "the app's memory limit is too low for it to start at all; raise Runtime.MemoryLimit in app.toml")
	case has(message, "cannot start a stopped process"): // the kernel has killed what was to become it
		return reason(controlplane.OOM, "the app's memory limit is most likely too low for it to start at all; raise Runtime.MemoryLimit in app.toml")
	}
	return nil
}
