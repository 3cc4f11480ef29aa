package controlmodule

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// KubernetesBundles has the launcher kubernetes run apps that come as bundles, in
// the images of their runtime versions. Image and ControlPlane go together; without
// them it runs apps of mode container alone. A change of any of it needs a restart.
type KubernetesBundles struct {
	// Slipway's own image, in which slipway-pod is. Default: none.
	Image string `json:"image,omitempty"`
	// The image that apps of mode binary run in. Default: that of image, in which
	// programs run that are linked statically.
	BinaryImage string `json:"binary_image,omitempty"`
	// Where pods reach a control plane, or an edge: http or https, host and port,
	// and no path. Whatever host that is, requests and the certificate are for that
	// of base_url. Default: none.
	ControlPlane string `json:"control_plane,omitempty"`
	// PEM file of the authority of that certificate. Default: those that Mozilla
	// trusts.
	ControlCA string `json:"control_ca,omitempty"`

	runtime func(*controlplane.App) (controlplane.RuntimeVersion, bool)
	archive int64 // of bundles, at most
}

const kubernetesBundlesSettings = "image, binary_image, control_plane, control_ca"

// bundleSetting reads the one whose name was read last, if it is one of these:
//
//	image REFERENCE
//	binary_image REFERENCE
//	control_plane URL
//	control_ca PATH
func (k *KubernetesBundles) bundleSetting(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "image":
		return true, word(d, &k.Image)
	case "binary_image":
		return true, word(d, &k.BinaryImage)
	case "control_plane":
		return true, word(d, &k.ControlPlane)
	case "control_ca":
		return true, word(d, &k.ControlCA)
	}
	return false, nil
}

// validateBundles names every fault.
func (k *KubernetesBundles) validateBundles() error {
	var errs []error
	if (k.Image == "") != (k.ControlPlane == "") {
		errs = append(errs, errors.New("launcher kubernetes: image and control_plane go together: slipway-pod of that image fetches bundles there"))
	}
	for setting, image := range map[string]string{"image": k.Image, "binary_image": k.BinaryImage} {
		if _, err := name.ParseReference(image); image != "" && err != nil {
			errs = append(errs, fmt.Errorf("launcher kubernetes: %s %q is not the name of an image, such as registry.example.com/slipway:1.2.3", setting, image))
		}
	}
	at, err := url.Parse(k.ControlPlane)
	if k.ControlPlane != "" && (err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" || at.User != nil || at.Path != "" && at.Path != "/" || at.RawQuery != "" || strings.ContainsAny(k.ControlPlane, "?#")) {
		errs = append(errs, fmt.Errorf("launcher kubernetes: control_plane %q is not a scheme, a host and a port, such as http://slipway-control.slipway.svc:8080", k.ControlPlane))
	} else if k.ControlCA != "" && (err != nil || at.Scheme != "https") {
		errs = append(errs, errors.New("launcher kubernetes: control_ca needs a control_plane that begins with https://"))
	}
	return errors.Join(errs...)
}

// knowing takes what the other settings say of bundles.
func (k *KubernetesBundles) knowing(s caddymodule.Settings) error {
	offered, err := offers(s)
	if err != nil {
		return err
	}
	k.runtime, k.archive = offered.Runtime, s.MaxUpload
	return nil
}

// run adds to what a launcher is opened with.
func (k *KubernetesBundles) run(c *kubernetes.Config) error {
	c.Bundles = objects.Bundles{
		Image: k.Image, Binary: k.BinaryImage, ControlPlane: k.ControlPlane, Archive: k.archive,
		// A link outlives no start that is within its limits.
		Validity: min(c.ScheduleTimeout+c.StartTimeout, controlplane.MaxBundleLink),
	}
	c.Runtime = k.runtime
	if k.ControlCA == "" {
		return nil
	}
	var err error
	if c.Bundles.CA, err = os.ReadFile(k.ControlCA); err != nil {
		return fmt.Errorf("read control_ca: %w", err)
	}
	return nil
}

// bundleModes are the modes that it runs with these settings.
func (k *KubernetesBundles) bundleModes() []controlplane.AppMode {
	if k.Image == "" {
		return nil
	}
	return objects.BundleModes
}
