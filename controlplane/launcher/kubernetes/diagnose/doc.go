// Package diagnose says what the status and the events of Kubernetes objects
// mean for the start of an app, as stage and typed reason (spec instances.md §2
// and §3). It is pure: no client, no clock.
//
// An end is final: the launcher reports it at once. A slow start has a reason
// too, which becomes the launcher's once it waits no longer: schedule_timeout
// bounds the stage queued, start_timeout the later ones. Final is what a status
// says and nothing but somebody's doing changes. What may pass by itself is
// slow, and so is whatever an event alone says, since events come late, get
// lost, and outlast what they tell of.
//
//	what is seen                                       stage         reason             final
//	scheduling gate; no condition yet                  queued        –                  –
//	quota used up                                      queued        quota              no
//	LimitRange, quota that wants limits                queued        quota              yes
//	Pod Security, admission, service account           queued        launcher_down      yes
//	Unschedulable, also while a node is being added    queued        no_capacity        no
//	claim: no class, not provisioned (lost: final)     queued        no_capacity        no
//	node refuses the pod (OutOfcpu, NodeAffinity, …)   scheduled     no_capacity        yes
//	sysctl refused                                     scheduled     launcher_down      yes
//	FailedMount of a secret that is not there          scheduled     missing_secret     no
//	FailedMount, FailedAttachVolume, sandbox, network  scheduled     launcher_down      no
//	no space left on the device                        any           no_capacity        no
//	image: absent, refused, certificate                image         image_pull         yes
//	image: unreachable, busy, failing, unknown         image         image_pull         no
//	image: name, processor, damaged                    image         image_invalid      yes
//	image: signature, policy                           image         image_not_allowed  yes
//	secret or key for the environment absent           starting      missing_secret     yes
//	image runs as root, or names its user              starting      image_invalid      yes
//	program absent or not executable                   starting      crashed            yes
//	other CreateContainerError                         starting      launcher_down      no
//	init container "bundle" failed                     bundle        bad_bundle         yes
//	init container "dependencies" failed               dependencies  dependencies       yes
//	app ended, whatever its exit code                  starting      crashed            yes
//	OOMKilled; exit code 137 within a memory limit     starting      oom                yes
//	Evicted beyond its own limit, deadline, deleted    (as far as)   crashed            yes
//	Evicted for the node's sake, drained, preempted,
//	tainted away, node lost or removed                 (as far as)   no_capacity        yes
//
// A container may name its reason itself, in its termination message:
// {"code":"dependencies","text":"…"}. An end of the app's container is an end
// also where the node runs it again, since the control plane decides about
// restarts. While a pod is only being deleted Ended is set already; Unreachable
// says that it may go on running nevertheless.
//
// Verdict.Text is for every visitor and holds no names. Reason.Text is for
// owners: what, why and how to mend, in at most 480 bytes of printable text.
// What others have written is quoted only where it helps, shortened; names of
// nodes and messages with addresses never are.
package diagnose
