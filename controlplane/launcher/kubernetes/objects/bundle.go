package objects

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// Bundle is what brings the app of a pod, where that is not its image.
type Bundle struct {
	// Image is the one that the app runs in, and Command, Args, Dir and Env what
	// runs there. PORT, SLIPWAY_TOKEN_FILE and the start's own variables are added
	// to Env.
	Image         string
	Command, Args []string
	Dir           string
	Env           []corev1.EnvVar
	// Init are the init containers, which have none of the start's variables and
	// files, and the resources of the app.
	Init []corev1.Container
	// Volumes are those that they and the app share, Mounts where the app has them.
	Volumes []corev1.Volume
	Mounts  []corev1.VolumeMount
	// Secret is added to the data of the instance's Secret. The [[File]]s with
	// relative paths are the bundle's to bring.
	Secret map[string][]byte
}

// Bundles is what an operator says of apps that come as bundles. Image and
// ControlPlane are required.
type Bundles struct {
	// Image is Slipway's own, which has the program slipway-pod on its PATH.
	Image string
	// Binary is the image that apps of mode binary run in, which have no runtime
	// version; empty is Image, in which programs run that need no library.
	Binary string
	// ControlPlane is where pods reach the API: scheme, host and port, such as
	// http://slipway-control.slipway.svc:8080. Whatever address it is, requests and
	// certificates name the installation's own host.
	ControlPlane string
	// CA is who signed the certificates of an https address, in PEM; empty: whom
	// Image trusts.
	CA []byte
	// Validity is how long the link to a bundle is good for, from the start on: as
	// long as a pod may wait for a node and its images; 0 is
	// controlplane.DefaultBundleLink.
	Validity time.Duration
	// Archive bounds a bundle, in bytes; 0 is 1 GiB.
	Archive int64
	// App and Environment bound the folders of the unpacked app and of its Python
	// packages; zero is 4Gi and 10Gi. Past it the pod is evicted.
	App, Environment resource.Quantity
}

// The defaults of Bundles.
const (
	DefaultArchive     = 1 << 30
	DefaultApp         = "4Gi"
	DefaultEnvironment = "10Gi"
)

// BundleModes are the modes whose apps come as bundles.
var BundleModes = []controlplane.AppMode{controlplane.Python, controlplane.Wave, controlplane.Binary}

// sampleApp is the entry point that stands for the sample app of slipway up.
var sampleApp = []string{"slipway", "sample-app"}

// CheckBundle says why an app that comes as a bundle could not run, or nothing.
func CheckBundle(app *controlplane.App, runtime *controlplane.RuntimeVersion) []controlplane.Reason {
	var found []controlplane.Reason
	rt := app.Manifest.Runtime
	bad := func(format string, args ...any) {
		found = append(found, controlplane.Reason{Code: controlplane.BadBundle, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case app.AppMode == controlplane.Binary && len(rt.AppEntryPoint) == 0:
		bad("app.toml names no Runtime.AppEntryPoint to run")
	case app.AppMode == controlplane.Binary && slices.Equal(rt.AppEntryPoint, sampleApp):
		bad("the sample app is a part of slipway up, and runs as a process alone")
	case app.AppMode == controlplane.Binary && !inpod.InApp(rt.AppEntryPoint[0]):
		bad("Runtime.AppEntryPoint %q is not a file of the bundle", rt.AppEntryPoint[0])
	case app.AppMode != controlplane.Binary && rt.Module == "":
		bad("app.toml names no Runtime.Module to run")
	}
	invalid := func(format string, args ...any) {
		found = append(found, controlplane.Reason{Code: controlplane.ImageInvalid, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case app.AppMode == controlplane.Binary:
	case runtime == nil:
		invalid("the app has no runtime version, whose image it would run in; an admin sets a default one (setting runtime_version NAME { image … })")
	case runtime.Image == "":
		invalid("the runtime version %s has no image that the app could run in; an admin sets it (setting runtime_version %s { image … })", runtime.Name, runtime.Name)
	}
	return found
}

// NewBundle is what brings the app of a start that comes as a bundle, by the
// steps of package inpod. The error is a *launcher.StartError where the app is to
// blame.
func NewBundle(w *launcher.Workload, b Bundles) (*Bundle, error) {
	if b.Image == "" || b.ControlPlane == "" {
		return nil, refuse(controlplane.LauncherDown, "the launcher kubernetes runs no bundles: an admin sets the image of slipway-pod and the control plane's address for pods (settings image and control_plane of launcher kubernetes)")
	}
	if found := CheckBundle(w.App, w.Runtime); found != nil {
		return nil, &launcher.StartError{Reason: found[0]}
	}
	if w.BundleLink == nil {
		return nil, refuse(controlplane.BadBundle, "the app has no bundle")
	}
	p := bundlePod{w: w, Bundles: b, image: cmp.Or(b.Binary, b.Image)}
	if w.App.AppMode != controlplane.Binary {
		p.image = w.Runtime.Image
	}
	if p.App.IsZero() {
		p.App = resource.MustParse(DefaultApp)
	}
	if p.Environment.IsZero() {
		p.Environment = resource.MustParse(DefaultEnvironment)
	}
	if p.Archive == 0 {
		p.Archive = DefaultArchive
	}
	return p.make()
}
