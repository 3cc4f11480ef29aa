package objects_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// keysOf are the keys of the Secret that a container can read.
func keysOf(spec *corev1.PodSpec, c *corev1.Container) (keys []string) {
	for _, m := range c.VolumeMounts {
		for _, v := range spec.Volumes {
			if v.Name == m.Name && v.Secret != nil {
				for _, item := range v.Secret.Items {
					keys = append(keys, item.Key)
				}
			}
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil {
			keys = append(keys, e.ValueFrom.SecretKeyRef.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Packages bring code that runs while they are installed: it reads no secret.
// The link is read by who fetches alone.
func TestWhoReadsWhatOfABundlesSecret(t *testing.T) {
	set, err := objects.Make(bundled(t, whole), elaborate)
	if err != nil {
		t.Fatal(err)
	}
	spec := &set.Deployment.Spec.Template.Spec
	got := map[string][]string{}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		got[c.Name] = keysOf(spec, &c)
	}
	want := map[string][]string{
		"bundle": {"bundle.json"}, "dependencies": nil,
		"app": {"env.GREETING", "env.H2O_CLOUD_INSTANCE_ID", "env.PASSWORD", "file.0", "run.json", "token"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheStepsAreGiven(t *testing.T) {
	set, err := objects.Make(bundled(t, func(app *controlplane.App, w *launcher.Workload) {
		app.AppMode, app.Manifest.Runtime.Module, app.Manifest.Runtime.Port = controlplane.Wave, "hello.main", 5000
		w.HealthTimeout = time.Minute
		w.Files = []controlplane.File{{Path: "/etc/a", Value: "1"}, {Path: "plain", Value: "2"}, {Path: "secret", Value: "\xff", Secret: "s"}}
		w.BundleLink = func(validity time.Duration) launcher.BundleLink {
			return launcher.BundleLink{Target: "/the/path?and=" + validity.String(), Host: "apps.example.com", Digest: "abc"}
		}
	}), elaborate)
	if err != nil {
		t.Fatal(err)
	}
	var fetch inpod.Bundle
	var run inpod.Run
	for key, into := range map[string]any{"bundle.json": &fetch, "run.json": &run} {
		if err := json.Unmarshal(set.Secret.Data[key], into); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(inpod.Bundle{
		URL: "https://slipway-control.slipway.svc:8443/the/path?and=0s", Host: "apps.example.com", CA: []byte("a certificate"), Digest: "abc",
		Limit: 1 << 30, Patience: 2 * time.Minute, Program: inpod.Program, App: "/app", Scratch: "/tmp",
		Files: []inpod.File{{Path: "plain", Value: []byte("2")}},
	}, fetch); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(inpod.Run{
		Mode: controlplane.Wave, Module: "hello.main", App: "/app", Env: inpod.EnvDir, Work: inpod.WorkDir, Port: 5000, Patience: time.Minute,
		Files: []inpod.File{{Path: "secret", Value: []byte("\xff")}},
	}, run); diff != "" {
		t.Error(diff)
	}
	if set.Port != 5000 {
		t.Errorf("port %d", set.Port)
	}
}

// A pod is given the most that any of its steps asks for: devices are the app's.
func TestStepsHaveTheAppsResources(t *testing.T) {
	set, err := objects.Make(bundled(t, whole), elaborate)
	if err != nil {
		t.Fatal(err)
	}
	spec := set.Deployment.Spec.Template.Spec
	app := spec.Containers[0].Resources
	if _, ok := app.Limits["example.com/a100"]; !ok {
		t.Error("the app has no device")
	}
	for _, c := range spec.InitContainers {
		if _, ok := c.Resources.Limits["example.com/a100"]; ok || !c.Resources.Limits.Memory().Equal(*app.Limits.Memory()) || !c.Resources.Requests.Cpu().Equal(*app.Requests.Cpu()) {
			t.Errorf("%s: %+v", c.Name, c.Resources)
		}
	}
}

func TestWhatCannotComeAsABundle(t *testing.T) {
	type rt = controlplane.Runtime
	image := &controlplane.RuntimeVersion{Name: "py312", Image: "python:3.12"}
	for name, c := range map[string]struct {
		mode    controlplane.AppMode
		rt      rt
		runtime *controlplane.RuntimeVersion
		code    controlplane.ReasonCode
		words   string
	}{
		"python":                 {controlplane.Python, rt{Module: "m"}, image, "", ""},
		"binary":                 {controlplane.Binary, rt{AppEntryPoint: []string{"./run"}}, nil, "", ""},
		"the sample":             {controlplane.Binary, rt{AppEntryPoint: []string{"slipway", "sample-app"}}, nil, controlplane.BadBundle, "runs as a process alone"},
		"no module":              {controlplane.Wave, rt{}, image, controlplane.BadBundle, "Runtime.Module"},
		"no entry point":         {controlplane.Binary, rt{}, image, controlplane.BadBundle, "Runtime.AppEntryPoint"},
		"an entry point outside": {controlplane.Binary, rt{AppEntryPoint: []string{"/bin/sh"}}, image, controlplane.BadBundle, "not a file of the bundle"},
		"no runtime":             {controlplane.Python, rt{Module: "m"}, nil, controlplane.ImageInvalid, "setting runtime_version NAME"},
		"no image":               {controlplane.Python, rt{Module: "m"}, &controlplane.RuntimeVersion{Name: "py38"}, controlplane.ImageInvalid, "setting runtime_version py38 { image"},
	} {
		t.Run(name, func(t *testing.T) {
			app := &controlplane.App{AppMode: c.mode, Manifest: controlplane.Manifest{Runtime: c.rt}}
			found := objects.CheckBundle(app, c.runtime)
			if c.code == "" && found != nil || c.code != "" && (len(found) != 1 || found[0].Code != c.code || !strings.Contains(found[0].Text, c.words)) {
				t.Errorf("%v", found)
			}
		})
	}
	binary := bundled(t, func(app *controlplane.App, _ *launcher.Workload) {
		app.AppMode, app.Manifest.Runtime.AppEntryPoint = controlplane.Binary, []string{"run"}
	})
	if got := binary.Bundle.Image; got != bundles.Image {
		t.Errorf("a program runs in %s", got)
	}
	w := &launcher.Workload{InstanceID: instance, App: &controlplane.App{AppMode: controlplane.Python, Manifest: controlplane.Manifest{Runtime: rt{Module: "m"}}}, Runtime: image}
	if _, err := objects.NewBundle(w, objects.Bundles{}); err == nil || !strings.Contains(err.Error(), "settings image and control_plane") {
		t.Errorf("without settings: %v", err)
	}
	if _, err := objects.NewBundle(w, bundles); err == nil || !strings.Contains(err.Error(), "no bundle") {
		t.Errorf("without a bundle: %v", err)
	}
}
