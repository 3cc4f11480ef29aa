package objects_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

var update = flag.Bool("update", false, "write the golden files")

const instance = "2efe9e01-6f0e-4c4c-9f0e-0d6a3b1a7c55"

// container is the start of a container app.
func container(change func(*controlplane.App, *launcher.Workload)) objects.Start {
	app := &controlplane.App{
		ID: "7f0b0f0e-1d3b-4a55-8d3e-0a3f5a1f2b11", Name: "hello", Version: "1.0.0+build.5", AppMode: controlplane.Container,
		Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{
			AppMode: controlplane.Container, CustomImage: "registry.example.com/team/hello:1",
			MemoryLimit: "2Gi", MemoryReservation: "512Mi",
		}},
	}
	w := launcher.Workload{
		InstanceID: instance, Generation: 7, App: app, Token: "the-token-of-the-instance",
		Env: []string{"GREETING=Good day", "PASSWORD=hunter2-hunter2", "H2O_CLOUD_INSTANCE_ID=" + instance},
	}
	if change != nil {
		change(app, &w)
	}
	return objects.Start{Workload: w, Epoch: 3}
}

// whole has all that an app can ask for.
func whole(app *controlplane.App, w *launcher.Workload) {
	rt := &app.Manifest.Runtime
	rt.Port, rt.CPULimit, rt.CPUReservation = 80, "2", "250m"
	rt.GPUCount, rt.GPUType, rt.EnableSHM = 2, "a100", true
	rt.VolumeMount, rt.VolumeSize, rt.ResourceVolumeSize = "/data", "5Gi", "3Gi"
	rt.AppEntryPoint, rt.AppArgs = []string{"/serve"}, []string{"--greeting", "$(GREETING)", "$$(GREETING) $5"}
	w.Profile = "large"
	w.Files = []controlplane.File{
		{Path: "/etc/hello/config.toml", Value: "greeting = 'Good day'"},
		{Path: "conf/key.pem", Value: "the-key-of-the-file", Secret: "keys", SecretKey: "key"},
	}
}

// bundled is the start of an app that comes as a bundle.
func bundled(t fataler, change func(*controlplane.App, *launcher.Workload)) objects.Start {
	start := container(change)
	w := &start.Workload
	if w.App.AppMode == controlplane.Container {
		w.App.AppMode, w.App.Manifest.Runtime.Module = controlplane.Python, "hello.main"
	}
	w.App.Manifest.Runtime.AppMode = w.App.AppMode
	w.Runtime = &controlplane.RuntimeVersion{Name: "py312", Image: "registry.example.com/python:3.12"}
	if w.BundleLink == nil {
		w.BundleLink = func(time.Duration) launcher.BundleLink {
			return launcher.BundleLink{Target: "/api/v1/bundles/abc?signature=slw_b_sig", Host: "apps.example.com", Digest: "abc"}
		}
	}
	var err error
	if start.Bundle, err = objects.NewBundle(w, bundles); err != nil {
		t.Fatal(err)
	}
	return start
}

// fataler is what tests of all kinds are.
type fataler interface{ Fatal(...any) }

// bundles are an operator's settings.
var bundles = objects.Bundles{Image: "registry.example.com/slipway:1", ControlPlane: "https://slipway-control.slipway.svc:8443/", CA: []byte("a certificate")}

// known is what registries say of an image.
func known(image objects.Image) *objects.Image {
	image.Known = true
	return &image
}

// elaborate has every setting.
var elaborate = objects.Settings{
	Namespace: "apps", ServiceAccount: "instances", PullSecrets: []string{"registry"},
	User: 1000, Group: 2000, ReadOnlyRoot: true, StorageClass: "fast", AccessMode: corev1.ReadWriteOncePod,
	SharedMemory: resource.MustParse("1Gi"), Scratch: resource.MustParse("4Gi"),
	Every: objects.Placement{NodeSelector: map[string]string{"kubernetes.io/arch": "amd64", "pool": "apps"}, RuntimeClass: "gvisor"},
	GPUs: map[string]objects.Placement{"a100": {
		NodeSelector: map[string]string{"gpu": "a100"}, GPU: "example.com/a100",
		Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}},
	}},
	Profiles: map[string]objects.Placement{"large": {
		NodeSelector: map[string]string{"pool": "large"},
		Tolerations:  []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "apps", Effect: corev1.TaintEffectNoSchedule}},
	}},
}

// starts are one of each kind.
func starts(t fataler) map[string]struct {
	objects.Start
	objects.Settings
} {
	type start = struct {
		objects.Start
		objects.Settings
	}
	plain := objects.Settings{Namespace: "apps"}
	digested, rooted := container(whole), container(nil)
	digested.Image = known(objects.Image{
		Reference: "registry.example.com/team/hello:1@sha256:1d74054eb919a29cd1cb573c262e730fb9405524487050ef67ade22a24028b86",
		User:      "1000:1000", Dir: "/srv", Ports: []int{9000}, Volumes: []string{"/var/cache/hello", "/data"},
	})
	rooted.Image = known(objects.Image{Ports: []int{9000}})
	return map[string]start{
		"container":       {container(nil), plain},
		"container-root":  {rooted, plain},
		"container-whole": {digested, elaborate},
		"bundle":          {bundled(t, nil), plain},
		"bundle-whole":    {bundled(t, whole), elaborate},
		"bundle-binary": {bundled(t, func(app *controlplane.App, _ *launcher.Workload) {
			app.AppMode, app.Manifest.Runtime.AppEntryPoint = controlplane.Binary, []string{"bin/hello"}
		}), plain},
	}
}

func TestObjectsOfAStart(t *testing.T) {
	for name, c := range starts(t) {
		t.Run(name, func(t *testing.T) {
			set, err := objects.Make(c.Start, c.Settings)
			if err != nil {
				t.Fatal(err)
			}
			set.OwnedBy("0a1b2c3d")
			golden(t, name, document(t, set))
		})
	}
}

// document is a set as YAML.
func document(t *testing.T, set *objects.Set) []byte {
	t.Helper()
	var out bytes.Buffer
	all := []any{set.Owner, set.Secret, set.Deployment, set.Service}
	for _, claim := range set.Claims {
		all = append(all, claim)
	}
	for _, o := range append(all, map[string]any{"port": set.Port, "warnings": set.Warnings}) {
		text, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("other than %s (-update writes it):\n%s", file, diff)
	}
}
