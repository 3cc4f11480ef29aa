package objects_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	rt.AppEntryPoint, rt.AppArgs = []string{"/serve"}, []string{"--greeting", "$(GREETING)"}
	w.Profile = "large"
	w.Files = []controlplane.File{
		{Path: "/etc/hello/config.toml", Value: "greeting = 'Good day'"},
		{Path: "conf/key.pem", Value: "the-key-of-the-file", Secret: "keys", SecretKey: "key"},
	}
}

func TestObjectsOfAStart(t *testing.T) {
	for _, c := range []struct {
		name     string
		start    objects.Start
		settings objects.Settings
	}{
		{"container", container(nil), objects.Settings{Namespace: "apps"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := objects.Make(c.start, c.settings)
			if err != nil {
				t.Fatal(err)
			}
			set.OwnedBy("0a1b2c3d")
			golden(t, c.name, document(t, set))
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
