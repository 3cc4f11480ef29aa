package objects_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

func TestStartsThatCannotBe(t *testing.T) {
	type app = controlplane.App
	type workload = launcher.Workload
	for _, c := range []struct {
		name   string
		change func(*app, *workload)
		image  *objects.Image
		code   controlplane.ReasonCode
		says   string
	}{
		{"no image", func(a *app, _ *workload) { a.Manifest.Runtime.CustomImage = "" }, nil, controlplane.ImageInvalid, "set-image"},
		{"no bundle's parts", func(a *app, _ *workload) { a.AppMode = controlplane.Python }, nil, controlplane.ImageInvalid, "mode python"},
		{"a relative file, of an image that nobody knows", func(_ *app, w *workload) {
			w.Files = []controlplane.File{{Path: "conf/key.pem"}}
		}, nil, controlplane.BadBundle, "conf/key.pem is relative"},
		{"two files at one path", func(_ *app, w *workload) {
			w.Files = []controlplane.File{{Path: "/srv/a"}, {Path: "a"}}
		}, known(objects.Image{Dir: "/srv"}), controlplane.BadBundle, "[[File]] /srv/a and [[File]] a are both at /srv/a"},
		{"a file at the volume", func(a *app, w *workload) {
			a.Manifest.Runtime.VolumeMount, a.Manifest.Runtime.VolumeSize = "/data/", "1Gi"
			w.Files = []controlplane.File{{Path: "/data"}}
		}, nil, controlplane.BadBundle, "[[File]] /data and Runtime.VolumeMount are both at /data"},
		{"a volume where the token is", func(a *app, _ *workload) {
			a.Manifest.Runtime.VolumeMount, a.Manifest.Runtime.VolumeSize = "/var/run/secrets/slipway", "1Gi"
		}, nil, controlplane.BadBundle, "SLIPWAY_TOKEN_FILE and Runtime.VolumeMount"},
		{"a file of the kernel", func(_ *app, w *workload) { w.Files = []controlplane.File{{Path: "/proc/sys/x"}} }, nil,
			controlplane.BadBundle, "nothing can be mounted at /proc/sys/x"},
		{"a path with a colon", func(_ *app, w *workload) { w.Files = []controlplane.File{{Path: "/etc/a:b"}} }, nil,
			controlplane.BadBundle, "colon"},
		{"a variable that no program can be given", func(_ *app, w *workload) { w.Env = []string{"BIG=" + strings.Repeat("x", 128<<10)} }, nil,
			controlplane.BadBundle, "the variable BIG has 131072 bytes, and Linux allows 131067"},
		{"a long name", func(_ *app, w *workload) { w.Env = []string{strings.Repeat("X", 250) + "=1"} }, nil,
			controlplane.BadBundle, "too long for Kubernetes"},
		{"more than a Secret holds", func(_ *app, w *workload) {
			w.Token = ""
			w.Env = nil
			for _, path := range []string{"/a", "/b", "/c"} {
				w.Files = append(w.Files, controlplane.File{Path: path, Value: strings.Repeat("x", 350_000)})
			}
		}, nil, controlplane.BadBundle, "1050000 bytes together, and Kubernetes takes 1048576"},
		{"a limit that is none", func(a *app, _ *workload) { a.Manifest.Runtime.CPULimit = "many" }, nil, controlplane.BadBundle, `Runtime.CPULimit "many"`},
		{"a volume of no size", func(a *app, _ *workload) { a.Manifest.Runtime.ResourceVolumeSize = "0" }, nil, controlplane.BadBundle, `Runtime.ResourceVolumeSize "0"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := container(c.change)
			start.Image = c.image
			_, err := objects.Make(start, objects.Settings{Namespace: "apps"})
			why, ok := errors.AsType[*launcher.StartError](err)
			if !ok || why.Reason.Code != c.code || !strings.Contains(why.Reason.Text, c.says) {
				t.Errorf("error %v, want %s with %q", err, c.code, c.says)
			}
		})
	}
	for name, start := range map[string]objects.Start{
		"no generation":            container(func(_ *app, w *workload) { w.Generation = 0 }),
		"an ID that no name takes": container(func(_ *app, w *workload) { w.InstanceID = "Upper" }),
		"an ID that is too long":   container(func(_ *app, w *workload) { w.InstanceID = strings.Repeat("x", 60) }),
	} {
		_, err := objects.Make(start, objects.Settings{Namespace: "apps"})
		if why, blamed := errors.AsType[*launcher.StartError](err); err == nil || blamed {
			t.Errorf("%s: error %v, want one that blames no app: %v", name, err, why)
		}
	}
	if _, err := objects.Make(container(nil), objects.Settings{}); err == nil {
		t.Error("there are objects without a namespace")
	}
}

func TestWhatAPodHas(t *testing.T) {
	type app = controlplane.App
	type workload = launcher.Workload
	one := func(spec corev1.PodSpec) corev1.Container { return spec.Containers[0] }
	image := func(name string) func(*app, *workload) {
		return func(a *app, _ *workload) { a.Manifest.Runtime.CustomImage = name }
	}
	policy := func(want corev1.PullPolicy) func(corev1.PodSpec) bool {
		return func(s corev1.PodSpec) bool { return one(s).ImagePullPolicy == want }
	}
	user := func(want int64) func(corev1.PodSpec) bool {
		return func(s corev1.PodSpec) bool {
			return *s.SecurityContext.RunAsUser == want
		}
	}
	group := func(want int64) func(corev1.PodSpec) bool {
		return func(s corev1.PodSpec) bool {
			got := s.SecurityContext.RunAsGroup
			return want == 0 && got == nil || got != nil && *got == want
		}
	}
	port := func(want int32, sysctls int) func(corev1.PodSpec) bool {
		return func(s corev1.PodSpec) bool {
			return one(s).Ports[0].ContainerPort == want && len(s.SecurityContext.Sysctls) == sysctls
		}
	}
	for _, c := range []struct {
		name   string
		change func(*app, *workload)
		image  *objects.Image
		want   func(corev1.PodSpec) bool
	}{
		{"latest is asked for again", image("nginx:latest"), nil, policy(corev1.PullAlways)},
		{"no tag is latest", image("registry:5000/nginx"), nil, policy(corev1.PullAlways)},
		{"a tag is not", image("registry:5000/nginx:1"), nil, policy(corev1.PullIfNotPresent)},
		{"latest by its digest is not", image("nginx:latest"), known(objects.Image{Reference: "nginx@sha256:1"}), policy(corev1.PullIfNotPresent)},
		{"the image's user", nil, known(objects.Image{User: "1000"}), user(1000)},
		{"the image's user and group", nil, known(objects.Image{User: "1000:0"}), user(1000)},
		{"the image's group", nil, known(objects.Image{User: "1000:1001"}), group(1001)},
		{"a group by name is nobody's", nil, known(objects.Image{User: "1000:staff"}), group(0)},
		{"the image's group without its user", nil, known(objects.Image{User: "root:1001"}), group(0)},
		{"no user is root", nil, known(objects.Image{}), user(objects.DefaultUser)},
		{"root by number", nil, known(objects.Image{User: "0:5"}), user(objects.DefaultUser)},
		{"a user by name", nil, known(objects.Image{User: "nginx"}), user(objects.DefaultUser)},
		{"an image that nobody knows", nil, &objects.Image{Reference: "nginx@sha256:1"}, user(objects.DefaultUser)},
		{"the default port", nil, nil, port(objects.DefaultPort, 0)},
		{"the image's port", nil, known(objects.Image{Ports: []int{9000}}), port(9000, 0)},
		{"an image of two ports", nil, known(objects.Image{Ports: []int{9000, 9001}}), port(objects.DefaultPort, 0)},
		{"the app's port", func(a *app, _ *workload) { a.Manifest.Runtime.Port = 80 }, known(objects.Image{Ports: []int{9000}}), port(80, 1)},
		{"the last of one name", func(_ *app, w *workload) { w.Env = []string{"A=1", "B=2", "A=3", "PORT=99", "=x", "C=a\x00b", "D"} }, nil,
			func(s corev1.PodSpec) bool {
				names := []string{}
				for _, e := range one(s).Env {
					names = append(names, e.Name+e.Value)
				}
				return slices.Equal(names, []string{"A", "B", "PORT8080", "SLIPWAY_TOKEN_FILE/var/run/secrets/slipway/token"})
			}},
		{"part of a second of grace", func(_ *app, w *workload) { w.StopGrace = 1500 * time.Millisecond }, nil,
			func(s corev1.PodSpec) bool { return *s.TerminationGracePeriodSeconds == 2 }},
		{"a volume at /tmp", func(a *app, _ *workload) {
			a.Manifest.Runtime.VolumeMount, a.Manifest.Runtime.VolumeSize = "/tmp", "1Gi"
		}, nil, func(s corev1.PodSpec) bool {
			return slices.ContainsFunc(one(s).VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" && m.Name == "volume" })
		}},
		{"GPUs by the usual name", func(a *app, _ *workload) { a.Manifest.Runtime.GPUCount = 1 }, nil,
			func(s corev1.PodSpec) bool {
				gpus := one(s).Resources.Limits[objects.DefaultGPU]
				return gpus.Value() == 1
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := container(c.change)
			start.Image = c.image
			set, err := objects.Make(start, objects.Settings{Namespace: "apps"})
			if err != nil {
				t.Fatal(err)
			}
			restricted(t, &set.Deployment.Spec.Template)
			if spec := set.Deployment.Spec.Template.Spec; !c.want(spec) {
				t.Errorf("the pod is %+v", spec)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name  string
		image *objects.Image
		gpu   string
		want  []string
	}{
		{"the workload's own", nil, "", []string{"of before"}},
		{"a user that is not allowed", known(objects.Image{User: "nginx"}), "", []string{"of before", "the image runs as nginx"}},
		{"GPUs of a type that means nothing here", nil, "h100", []string{"of before", "GPUType h100"}},
		{"GPUs of a type that does", nil, "a100", []string{"of before"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := container(func(a *controlplane.App, w *launcher.Workload) {
				w.Warnings = []string{"of before"}
				if c.gpu != "" {
					a.Manifest.Runtime.GPUCount, a.Manifest.Runtime.GPUType = 1, c.gpu
				}
			})
			start.Image = c.image
			set, err := objects.Make(start, elaborate)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(set.Warnings, c.want, strings.HasPrefix) {
				t.Errorf("warnings %q, want %q", set.Warnings, c.want)
			}
		})
	}
}

// TestWhoReads has the launcher find its objects again.
func TestWhoReads(t *testing.T) {
	start := container(whole)
	start.Image = known(objects.Image{})
	set, err := objects.Make(start, elaborate)
	if err != nil {
		t.Fatal(err)
	}
	pod := set.Deployment.Spec.Template.Labels
	if g, e := objects.Generation(pod), objects.Epoch(pod); g != 7 || e != 3 {
		t.Errorf("generation %d, epoch %d", g, e)
	}
	if objects.Generation(nil) != 0 || objects.Generation(map[string]string{objects.LabelGeneration: "-1"}) != 0 {
		t.Error("labels that are none have a generation")
	}
	for _, of := range []map[string]string{set.Owner.Labels, set.Secret.Labels, set.Deployment.Labels, set.Service.Labels, set.Claims[0].Labels, pod} {
		if !objects.Selector().Matches(labels.Set(of)) || !objects.InstanceSelector(instance).Matches(labels.Set(of)) {
			t.Errorf("labels %v are not selected", of)
		}
	}
	for _, of := range []labels.Set{{objects.LabelInstance: "another"}, {objects.LabelManagedBy: objects.Manager}} {
		if objects.InstanceSelector(instance).Matches(of) || objects.Selector().Matches(of) {
			t.Errorf("labels %v are selected", of)
		}
	}
}
