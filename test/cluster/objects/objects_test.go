// Package objects_test has a real cluster take the objects of starts, and an app
// say what it finds in its pod.
package objects_test

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// start has all that an app can ask for but GPUs.
func start(image string) objects.Start {
	return objects.Start{
		Epoch: 1,
		Image: &objects.Image{Known: true, Dir: "/srv", Volumes: []string{"/var/cache/app"}},
		Workload: launcher.Workload{
			InstanceID: uuid.NewString(), Generation: 1, Token: "the-token", Profile: "here",
			App: &controlplane.App{
				ID: uuid.NewString(), Name: "hello", Version: "1.0.0+build.5", AppMode: controlplane.Container,
				Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{
					CustomImage: image, Port: 80, MemoryLimit: "256Mi", MemoryReservation: "16Mi", CPULimit: "1", CPUReservation: "10m",
					EnableSHM: true, VolumeMount: "/data", VolumeSize: "1Mi", ResourceVolumeSize: "1Mi",
					AppEntryPoint: []string{"/app", "serve"}, AppArgs: []string{"$(GREETING)", "$$(GREETING)"},
				}},
			},
			Env: []string{
				"GREETING=Good day, $(PORT)", "EMPTY=", "PORT=99",
				envRead + "=/etc/hello/config.toml:/srv/conf/key.pem:/var/run/secrets/slipway/token:/var/run/secrets/kubernetes.io/serviceaccount/token",
				envWrite + "=/data:/resources:/tmp:/dev/shm:/var/cache/app:/srv:/etc/hello",
			},
			Files: []controlplane.File{{Path: "/etc/hello/config.toml", Value: "a = 1\n"}, {Path: "conf/key.pem", Value: "the key", Secret: "keys"}},
		},
	}
}

func settings(namespace string) objects.Settings {
	return objects.Settings{
		Namespace: namespace, ReadOnlyRoot: true, SharedMemory: resource.MustParse("8Mi"), Scratch: resource.MustParse("64Mi"),
		Profiles: map[string]objects.Placement{"here": {
			NodeSelector: map[string]string{"kubernetes.io/os": "linux"},
			Tolerations:  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		}},
		Network: &objects.Network{},
	}
}

// TestTheAPIServerTakesThem makes nothing: the API server only says what it
// would do.
func TestTheAPIServerTakesThem(t *testing.T) {
	s := newSpace(t)
	bundled := start("registry.example.com/python:3.12")
	bundled.Bundle = &objects.Bundle{
		Image: "registry.example.com/python:3.12", Command: []string{"/slipway/pod", "run"}, Dir: "/slipway",
		Init: []corev1.Container{{
			Name: objects.ContainerBundle, Image: "registry.example.com/slipway:1", SecurityContext: objects.Restricted(true),
			VolumeMounts: []corev1.VolumeMount{{Name: "bundle", MountPath: "/slipway"}},
		}},
		Volumes: []corev1.Volume{{Name: "bundle", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		Mounts:  []corev1.VolumeMount{{Name: "bundle", MountPath: "/slipway"}},
	}
	gpus := start("registry.example.com/app@sha256:1d74054eb919a29cd1cb573c262e730fb9405524487050ef67ade22a24028b86")
	gpus.Workload.App.Manifest.Runtime.GPUCount, gpus.Workload.App.Manifest.Runtime.GPUType = 2, "a100"
	least := start("app")
	least.Workload.App.Manifest.Runtime = controlplane.Runtime{CustomImage: "app"}
	least.Workload.Env, least.Workload.Files = nil, nil
	for name, c := range map[string]struct {
		objects.Start
		objects.Settings
	}{
		"all that an app can ask for": {start("registry.example.com/app:1"), settings(s.name)},
		"the least":                   {least, objects.Settings{Namespace: s.name}},
		"GPUs":                        {gpus, settings(s.name)},
		"a bundle":                    {bundled, settings(s.name)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &space{T: t, name: s.name, client: s.client}
			set, err := objects.Make(c.Start, c.Settings)
			if err != nil {
				t.Fatal(err)
			}
			set.OwnedBy("0a1b2c3d")
			for _, o := range all(set) {
				s.apply(o, metav1.DryRunAll)
			}
			if err := s.pod(set.Deployment.Spec.Template); err != nil {
				t.Error(err)
			}
			policy, err := objects.Policy(c.Settings)
			if err != nil {
				t.Fatal(err)
			}
			if policy != nil {
				s.apply(policy, metav1.DryRunAll)
			}
			loose := set.Deployment.Spec.Template
			loose.Spec.SecurityContext.RunAsNonRoot, loose.Spec.Containers[0].SecurityContext = nil, nil
			if err := s.pod(loose); !apierrors.IsForbidden(err) {
				t.Errorf("the namespace takes any pod, and so proves nothing: error %v", err)
			}
		})
	}
}

func TestWhatAnAppFinds(t *testing.T) {
	s := newSpace(t)
	image, err := selfImage()
	if err != nil {
		t.Fatal(err)
	}
	st := start(image)
	set, err := objects.Make(st, settings(s.name))
	if err != nil {
		t.Fatal(err)
	}
	owner := s.apply(set.Owner)
	set.OwnedBy(owner.GetUID())
	for _, o := range all(set)[1:] {
		s.apply(o)
	}
	got := s.ask(st, set.Port)

	if got.UID != objects.DefaultUser || !slices.Contains(got.Groups, objects.DefaultUser) {
		t.Errorf("it runs as %d:%d, groups %v", got.UID, got.GID, got.Groups)
	}
	for name, want := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000", "CapBnd": "0000000000000000"} {
		if got.Status[name] != want {
			t.Errorf("%s is %s, want %s", name, got.Status[name], want)
		}
	}
	if want := []string{"serve", "$(GREETING)", "$$(GREETING)"}; !slices.Equal(got.Args, want) {
		t.Errorf("it is started with %q, want %q", got.Args, want)
	}
	for name, want := range map[string]string{
		"GREETING": "Good day, $(PORT)", "EMPTY": "", "PORT": "80", "SLIPWAY_TOKEN_FILE": "/var/run/secrets/slipway/token",
	} {
		if value, given := got.Env[name]; !given || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	for name := range got.Env {
		if strings.HasPrefix(name, "I_") { // as I_<ID>_SERVICE_HOST
			t.Errorf("it has the address of a Service: %s", name)
		}
	}
	for file, want := range map[string]string{
		"/etc/hello/config.toml": "a = 1\n", "/srv/conf/key.pem": "the key", "/var/run/secrets/slipway/token": "the-token",
	} {
		if got.Files[file] != want || got.Modes[file] != "-r--r-----" {
			t.Errorf("%s, %s, is %q, want %q", file, got.Modes[file], got.Files[file], want)
		}
	}
	if text := got.Files["/var/run/secrets/kubernetes.io/serviceaccount/token"]; !strings.Contains(text, "no such file") {
		t.Errorf("it has a token of its service account: %q", text)
	}
	for folder, want := range map[string]string{
		"/data": "", "/resources": "", "/tmp": "", "/dev/shm": "", "/var/cache/app": "", "/srv": "read-only", "/etc/hello": "read-only",
	} {
		if problem := got.Writes[folder]; want == "" && problem != "" || !strings.Contains(problem, want) {
			t.Errorf("writing to %s: %q, want %q", folder, problem, want)
		}
	}
	if got.SHM != 8<<20 {
		t.Errorf("/dev/shm has %d bytes", got.SHM)
	}
	s.removed(owner)
}

// ask takes the gate off the pod, and asks the app.
func (s *space) ask(st objects.Start, port int) (f found) {
	s.Helper()
	address := ""
	s.eventually("a pod that answers", func() bool {
		pods, err := s.of("Pod").List(s.Context(), metav1.ListOptions{LabelSelector: objects.InstanceSelector(st.Workload.InstanceID).String()})
		if err != nil || len(pods.Items) == 0 {
			return false
		}
		pod := pods.Items[0]
		if gates, _, _ := unstructured.NestedSlice(pod.Object, "spec", "schedulingGates"); len(gates) > 0 {
			patch := []byte(`{"spec":{"schedulingGates":[]}}`)
			_, err := s.of("Pod").Patch(s.Context(), pod.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
			if err != nil {
				s.Log(err)
			}
			return false
		}
		if address, _, _ = unstructured.NestedString(pod.Object, "status", "podIP"); address == "" {
			return false
		}
		answer, err := http.Get("http://" + net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return json.NewDecoder(answer.Body).Decode(&f) == nil
	})
	return f
}

// removed deletes the owner, and waits until nothing is left in the namespace
// but what Kubernetes itself puts there.
func (s *space) removed(owner *unstructured.Unstructured) {
	s.Helper()
	err := s.of("ConfigMap").Delete(s.Context(), owner.GetName(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)})
	if err != nil {
		s.Fatal(err)
	}
	var left []string
	s.eventually("an empty namespace", func() bool {
		left = nil
		for kind := range kinds {
			list, err := s.of(kind).List(s.Context(), metav1.ListOptions{})
			if err != nil {
				s.Fatal(err)
			}
			for _, o := range list.Items {
				if o.GetName() != "kube-root-ca.crt" {
					left = append(left, kind+" "+o.GetName())
				}
			}
		}
		return len(left) == 0
	})
}

func (s *space) eventually(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("there is not %s in time", what)
		}
	}
}
