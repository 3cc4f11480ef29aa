package controlmodule

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
)

func readKubernetes(text string) (k Kubernetes, err error) {
	if err = k.UnmarshalCaddyfile(caddyfile.NewTestDispenser("kubernetes {\n" + text + "\n}")); err == nil {
		err = k.Validate()
	}
	return k, err
}

func TestBundlesOfACaddyfile(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := readKubernetes("image registry.example.com/slipway:1.2.3\ncontrol_plane https://slipway-control:8443\ncontrol_ca " + ca)
	if err != nil {
		t.Fatal(err)
	}
	var settings caddymodule.Settings
	settings.MaxUpload, settings.RuntimeVersions = 7, []controlplane.RuntimeVersion{{Name: "one", Image: "python:3.12", Default: true}}
	c := kubernetes.Config{ScheduleTimeout: time.Minute, StartTimeout: 2 * time.Minute}
	if err := k.knowing(settings); err != nil {
		t.Fatal(err)
	}
	if err := k.run(&c); err != nil {
		t.Fatal(err)
	}
	b := c.Bundles
	if b.Image != "registry.example.com/slipway:1.2.3" || b.ControlPlane != "https://slipway-control:8443" || string(b.CA) != "a certificate" || b.Archive != 7 || b.Validity != 3*time.Minute {
		t.Errorf("%+v", b)
	}
	if r, ok := c.Runtime(&controlplane.App{Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{AppMode: controlplane.Python, RuntimeVersion: "one"}}}); !ok || r.Image != "python:3.12" {
		t.Errorf("%+v %t", r, ok)
	}
	if !slices.Contains(k.Modes(), controlplane.Wave) {
		t.Errorf("modes %v", k.Modes())
	}
	c.ScheduleTimeout = 10 * time.Hour
	if err := k.run(&c); err != nil || c.Bundles.Validity != controlplane.MaxBundleLink {
		t.Errorf("a link is good for %s, %v", c.Bundles.Validity, err)
	}
	plain, err := readKubernetes("namespace apps")
	if err != nil || !slices.Equal(plain.Modes(), []controlplane.AppMode{controlplane.Container}) {
		t.Errorf("without settings: %v, %v", plain.Modes(), err)
	}
	k.ControlCA = ca + "x"
	if err := k.run(&c); err == nil || !strings.Contains(err.Error(), "read control_ca") {
		t.Errorf("no such file: %v", err)
	}
}

func TestBundlesThatAreWrong(t *testing.T) {
	for text, want := range map[string]string{
		"image example.com/slipway:1":                             "image and control_plane go together",
		"control_plane http://slipway":                            "image and control_plane go together",
		"image a:b:c\ncontrol_plane http://slipway":               "is not the name of an image",
		"image a:1\nbinary_image A\ncontrol_plane http://slipway": `binary_image "a" is not`,
		"image a:1\ncontrol_plane slipway:8080":                   "is not a scheme, a host and a port",
		"image a:1\ncontrol_plane http://slipway/api":             "is not a scheme, a host and a port",
		"image a:1\ncontrol_plane http://slipway:8080#a":          "is not a scheme, a host and a port",
		"image a:1\ncontrol_plane http://slipway:8080?":           "is not a scheme, a host and a port",
		"image a:1\ncontrol_plane http://:8080":                   "is not a scheme, a host and a port",
		"image a:1\ncontrol_plane http://slipway\ncontrol_ca /x":  "control_ca needs",
		"image":      "wrong argument count",
		"registry x": "there are namespace, kubeconfig, data, schedule_timeout, start_timeout, stop_on_exit, image, binary_image, control_plane, control_ca, service_account",
	} {
		if _, err := readKubernetes(text); err == nil || !strings.Contains(strings.ToLower(err.Error()), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestTwoLaunchersForOneMode(t *testing.T) {
	bundles := &Kubernetes{KubernetesBundles: KubernetesBundles{Image: "a:1"}}
	for name, c := range map[string]struct {
		launchers map[string]LauncherModule
		want      string
	}{
		"containers and processes": {map[string]LauncherModule{"kubernetes": &Kubernetes{}, "process": &Process{}}, ""},
		"bundles and processes":    {map[string]LauncherModule{"kubernetes": bundles, "process": &Process{}}, "launchers kubernetes and process both run apps of mode "},
	} {
		err := (&ControlPlane{launchers: c.launchers}).checkModes()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
