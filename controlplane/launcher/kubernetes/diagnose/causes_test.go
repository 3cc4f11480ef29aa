package diagnose_test

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// cause is something that goes wrong in a cluster, how it is provoked in a real
// one, and what is to be said in the end.
type cause struct {
	name    string
	labels  map[string]string // of the namespace
	provoke func(*scenario)
	want    want
}

// pod is a cause that a single pod provokes.
func pod(changes ...change) func(*scenario) { return func(s *scenario) { s.run(changes...) } }

var secretEnv = of(func(spec *corev1.PodSpec) {
	spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "i-app"}}}}
})

var secretKey = of(func(spec *corev1.PodSpec) {
	spec.Containers[0].Env = []corev1.EnvVar{{Name: "KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "i-app"}, Key: "password",
	}}}}
})

var configEnv = of(func(spec *corev1.PodSpec) {
	spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "i-app"}}}}
})

var deaf = of(func(spec *corev1.PodSpec) {
	spec.Containers[0].LivenessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}},
		PeriodSeconds: 1, FailureThreshold: 1,
	}
})

// once keeps the node from running the app again, as of Kubernetes 1.35.
var once = of(func(spec *corev1.PodSpec) {
	never := corev1.ContainerRestartPolicyNever
	spec.Containers[0].RestartPolicy = &never
})

// causes of images, of containers, and of their ends; see also placementCauses
// and endCauses.
var causes = append([]cause{
	{name: "runs", provoke: pod(), want: want{stage: controlplane.StageStarting}},
	{name: "slow image", provoke: pod(pulls("slow/victim:1")), want: want{stage: controlplane.StageStarting}},

	{name: "image absent", provoke: pod(pulls("none:1")), want: want{stage: controlplane.StageImage, ended: true, code: controlplane.ImagePull, says: []string{"does not have it", "none:1", "Runtime.CustomImage"}}},
	{name: "image name", provoke: pod(named("UPPER/Case:1")), want: want{stage: controlplane.StageImage, ended: true, code: controlplane.ImageInvalid, says: []string{"UPPER/Case:1"}}},
	{name: "image private", provoke: pod(pulls("private/app:1")), want: want{stage: controlplane.StageImage, ended: true, code: controlplane.ImagePull, says: []string{"refuses it", "pull_secret"}}},
	{name: "image untrusted", provoke: pod(func(s *scenario, p *corev1.Pod) { p.Spec.Containers[0].Image = s.images.untrusted + "/app:1" }),
		want: want{stage: controlplane.StageImage, ended: true, code: controlplane.ImagePull, says: []string{"certificate"}}},
	{name: "image unreachable", provoke: pod(named("127.0.0.1:9/app:1")), want: want{stage: controlplane.StageImage, code: controlplane.ImagePull, says: []string{"does not reach"}, text: "tried again"}},
	{name: "image unresolved", provoke: pod(named("registry.invalid/app:1")), want: want{stage: controlplane.StageImage, code: controlplane.ImagePull, says: []string{"by its name"}, text: "tried again"}},
	{name: "image busy", provoke: pod(pulls("busy/app:1")), want: want{stage: controlplane.StageImage, code: controlplane.ImagePull, says: []string{"limits how often"}, text: "asks to wait"}},
	{name: "image broken", provoke: pod(pulls("broken/app:1")), want: want{stage: controlplane.StageImage, code: controlplane.ImagePull, says: []string{"registry fails"}, text: "fails"}},
	{name: "image processor", provoke: pod(pulls("arm:1")), want: want{stage: controlplane.StageImage, ended: true, code: controlplane.ImageInvalid, says: []string{"processor"}}},
	{name: "image never", provoke: pod(pulls("none:2"), of(func(s *corev1.PodSpec) { s.Containers[0].ImagePullPolicy = corev1.PullNever })),
		want: want{stage: controlplane.StageImage, ended: true, code: controlplane.ImagePull, says: []string{"not on the node"}}},

	{name: "secret absent", provoke: pod(secretEnv), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.MissingSecret, says: []string{"i-app"}}},
	{name: "secret key absent", provoke: func(s *scenario) { s.secret("other"); s.run(secretKey) },
		want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.MissingSecret, says: []string{"secret i-app with the key password,"}}},
	{name: "configmap absent", provoke: pod(configEnv), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.MissingSecret, says: []string{"ConfigMap"}}},
	{name: "secret file absent", provoke: pod(volume(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "i-files"}})),
		want: want{stage: controlplane.StageScheduled, code: controlplane.MissingSecret, says: []string{"i-files"}, text: "volumes"}},
	{name: "root", provoke: pod(pulls("root:1")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.ImageInvalid, says: []string{"root", "USER 1000"}}},
	{name: "named user", provoke: pod(pulls("named:1")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.ImageInvalid, says: []string{"by number"}}},
	{name: "unknown user", provoke: pod(pulls("named:1"), asRoot), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.ImageInvalid, says: []string{"/etc/passwd"}}},

	{name: "program absent", provoke: pod(command("/nope")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"/nope is not in the image"}}},
	{name: "program absent in path", provoke: pod(command("nope")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"nope is not in the image"}}},
	{name: "program no program", provoke: pod(command("/notes.txt")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"/notes.txt may not be executed"}}},
	{name: "program garbage", provoke: pod(command("/garbage")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"exit code"}}},

	{name: "exit 1", provoke: pod(args("exit", "1")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"exit code 1"}}},
	{name: "exit 0", provoke: pod(args("exit", "0")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"exit code 0", "has to go on"}}},
	{name: "exit 139", provoke: pod(args("exit", "139")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"SIGSEGV"}}},
	{name: "exit 137", provoke: pod(args("exit", "137")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"SIGKILL"}}},
	{name: "exit with words", provoke: pod(args("exit", "3", `{"code":"wave_server_missing","text":"there is no waved"}`)),
		want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.WaveServerMissing, says: []string{"there is no waved"}}},
	{name: "out of memory", provoke: pod(args("eat", "200"), limits(corev1.ResourceMemory, "32Mi")),
		want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.OOM, says: []string{"32Mi", "Runtime.MemoryLimit"}}},
	{name: "exit 1 for good", provoke: pod(args("exit", "1"), once), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"exit code 1"}}},
	{name: "exit 0 for good", provoke: pod(args("exit", "0"), once), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"exit code 0"}}},
	{name: "out of memory for good", provoke: pod(args("eat", "200"), limits(corev1.ResourceMemory, "32Mi"), once),
		want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.OOM, says: []string{"32Mi"}}},
	{name: "program absent for good", provoke: pod(command("/nope"), once), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"/nope is not in the image"}}},
	{name: "liveness", provoke: pod(deaf), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"probe"}}},

	{name: "prepared", provoke: pod(prepares("bundle", "exit", "0"), prepares("dependencies", "exit", "0")), want: want{stage: controlplane.StageStarting}},
	{name: "bundle runs", provoke: pod(prepares("bundle", "serve")), want: want{stage: controlplane.StageBundle}},
	{name: "bundle fails", provoke: pod(prepares("bundle", "exit", "3", `{"code":"bad_bundle","text":"its digest is another one"}`)),
		want: want{stage: controlplane.StageBundle, ended: true, code: controlplane.BadBundle, says: []string{"its digest is another one"}}},
	{name: "dependencies fail", provoke: pod(prepares("bundle", "exit", "0"), prepares("dependencies", "exit", "1")),
		want: want{stage: controlplane.StageDependencies, ended: true, code: controlplane.Dependencies, says: []string{"exit code 1"}}},
	{name: "dependencies out of memory", provoke: pod(limits(corev1.ResourceMemory, "32Mi"), prepares("bundle", "exit", "0"), prepares("dependencies", "eat", "200")),
		want: want{stage: controlplane.StageDependencies, ended: true, code: controlplane.OOM, says: []string{"32Mi"}}},
	{name: "preparation fails", provoke: pod(prepares("other", "exit", "1")), want: want{stage: controlplane.StageStarting, ended: true, code: controlplane.Crashed, says: []string{"(other)"}}},
}, append(placementCauses, endCauses...)...)
