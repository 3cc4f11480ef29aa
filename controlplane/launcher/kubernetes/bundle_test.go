package kubernetes

import (
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

func TestCheckOfAppsThatComeAsBundles(t *testing.T) {
	type rt = controlplane.Runtime
	image := func(image string) func(*controlplane.App) (controlplane.RuntimeVersion, bool) {
		return func(*controlplane.App) (controlplane.RuntimeVersion, bool) {
			return controlplane.RuntimeVersion{Name: "py312", Image: image}, true
		}
	}
	set := objects.Bundles{Image: "slipway:1", ControlPlane: "http://slipway"}
	for name, c := range map[string]struct {
		bundles objects.Bundles
		runtime func(*controlplane.App) (controlplane.RuntimeVersion, bool)
		mode    controlplane.AppMode
		rt      rt
		want    []string // of each reason
	}{
		"fine":            {set, image("python:3"), controlplane.Python, rt{Module: "m"}, nil},
		"no settings":     {objects.Bundles{}, image("python:3"), controlplane.Python, rt{}, []string{"launcher_down: the launcher kubernetes runs no bundles"}},
		"all that is bad": {set, image(""), controlplane.Wave, rt{}, []string{"bad_bundle: app.toml names no Runtime.Module", "image_invalid: the runtime version py312 has no image"}},
		"no runtimes":     {set, nil, controlplane.Python, rt{Module: "m"}, []string{"image_invalid: the app has no runtime version"}},
		"its pod":         {set, image("python:3"), controlplane.Python, rt{Module: "m", CPULimit: "many"}, []string{`bad_bundle: Runtime.CPULimit "many"`}},
		"a program":       {set, nil, controlplane.Binary, rt{AppEntryPoint: []string{"run"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l := &Launcher{cfg: Config{Objects: objects.Settings{Namespace: "apps"}, Bundles: c.bundles, Runtime: c.runtime}}
			found := l.Check(&controlplane.App{AppMode: c.mode, Manifest: controlplane.Manifest{Runtime: c.rt}})
			if len(found) != len(c.want) {
				t.Fatalf("%v, want %q", found, c.want)
			}
			for i, r := range found {
				if !strings.HasPrefix(r.String(), c.want[i]) {
					t.Errorf("%v, want %q", r, c.want[i])
				}
			}
		})
	}
}
