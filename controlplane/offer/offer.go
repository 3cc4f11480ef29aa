package offer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Offers is what an installation offers. It never changes.
type Offers struct {
	config     Config
	builtIn    bool // the runtimes are the App Store's, since none are configured
	images     []*regexp.Regexp
	categories []*regexp.Regexp
}

var _ controlplane.Offers = (*Offers)(nil)

// Runtimes implements controlplane.Offers.
func (o *Offers) Runtimes() []controlplane.RuntimeVersion { return slices.Clone(o.config.Runtimes) }

// Profiles implements controlplane.Offers.
func (o *Offers) Profiles() []controlplane.LaunchProfile { return slices.Clone(o.config.Profiles) }

// Runtime implements controlplane.Offers. Of an app that names none, the
// built-in default insists on no Python: any will do that is there.
func (o *Offers) Runtime(app *controlplane.App) (r controlplane.RuntimeVersion, ok bool) {
	if !hasRuntime(&app.Manifest) {
		return r, false
	}
	if named := app.Manifest.Runtime.RuntimeVersion; named != "" {
		return o.runtime(func(r controlplane.RuntimeVersion) bool { return strings.EqualFold(r.Name, named) })
	}
	r, ok = o.runtime(func(r controlplane.RuntimeVersion) bool { return r.Name == app.RuntimeVersion && !r.Deprecated })
	if !ok {
		r, ok = o.runtime(func(r controlplane.RuntimeVersion) bool { return r.Default })
	}
	if o.builtIn {
		r.Python = ""
	}
	return r, ok
}

func (o *Offers) runtime(is func(controlplane.RuntimeVersion) bool) (r controlplane.RuntimeVersion, ok bool) {
	i := slices.IndexFunc(o.config.Runtimes, is)
	if i < 0 {
		return r, false
	}
	return o.config.Runtimes[i], true
}

// hasRuntime reports whether an app of this manifest runs on a runtime version:
// who brings an image or a program brings all of it.
func hasRuntime(m *controlplane.Manifest) bool {
	mode := m.Runtime.AppMode
	return m.Lifecycle != controlplane.Link && (mode == controlplane.Wave || mode == controlplane.Python)
}

// Unmet implements controlplane.Offers.
func (o *Offers) Unmet(app *controlplane.App) (reasons []controlplane.Reason) {
	add := func(code controlplane.ReasonCode, format string, args ...any) {
		reasons = append(reasons, controlplane.Reason{Code: code, Text: fmt.Sprintf(format, args...)})
	}
	rt := app.Manifest.Runtime
	if named := rt.RuntimeVersion; named != "" && hasRuntime(&app.Manifest) {
		switch runtime, ok := o.Runtime(app); {
		case !ok:
			add(controlplane.Dependencies, "RuntimeVersion %s is not offered here; import a version of the app with one of those that slipway env runtime-version list shows", named)
		case runtime.Deprecated:
			add(controlplane.Dependencies, "RuntimeVersion %s is deprecated; import a version of the app with one of those that slipway env runtime-version list shows", named)
		}
	}
	if app.AppMode == controlplane.Container {
		if why := o.image(rt.CustomImage); why != nil {
			reasons = append(reasons, *why)
		}
	}
	if rt.GPUCount > 0 {
		switch {
		case len(o.config.GPUTypes) == 0:
			add(controlplane.NoCapacity, "the app asks for %d GPUs, and none are offered here; take GPUCount out of app.toml, or ask an admin, whose setting gpu_types is", rt.GPUCount)
		case rt.GPUType != "" && !slices.Contains(o.config.GPUTypes, rt.GPUType):
			add(controlplane.NoCapacity, "GPUType %s is not offered here; there is %s", rt.GPUType, strings.Join(o.config.GPUTypes, ", "))
		}
	}
	return reasons
}

// image says why a container app cannot have this image, or nothing.
func (o *Offers) image(image string) *controlplane.Reason {
	if image == "" {
		return &controlplane.Reason{Code: controlplane.ImageInvalid, Text: "the app has no image; an admin sets it with slipway admin app set-image"}
	}
	resolved, err := resolve(image)
	if err != nil {
		return &controlplane.Reason{Code: controlplane.ImageInvalid, Text: fmt.Sprintf("%q is not the name of an image: %v; an admin sets it with slipway admin app set-image", image, err)}
	}
	for _, allowed := range o.images {
		if allowed.MatchString(resolved) {
			return nil
		}
	}
	return &controlplane.Reason{Code: controlplane.ImageNotAllowed, Text: fmt.Sprintf("the image %s is not allowed here; an admin sets another with slipway admin app set-image, or allows it with the setting allowed_images", resolved)}
}

// imageRule keeps out what a launcher's program could take for an option; the
// library does not.
var imageRule = regexp.MustCompile(`^[A-Za-z0-9][^\s]*$`)

// resolve is the whole name of an image: registry, repository, tag or digest.
func resolve(image string) (string, error) {
	if !imageRule.MatchString(image) {
		return "", errors.New("it begins with a letter or digit, and has no spaces")
	}
	ref, err := name.ParseReference(image)
	if err != nil {
		if bad, ok := errors.AsType[*name.ErrBadName](err); ok {
			text := strings.TrimPrefix(bad.Error(), "could not parse reference: ")
			if text == image { // all that the library says of some
				text = "its parts have lower-case letters, digits and single '.', '-' and '_' between them, and a tag or digest follows the last"
			}
			return "", errors.New(text)
		}
		return "", err
	}
	// The library calls Docker's registry by the host that it connects to.
	if rest, found := strings.CutPrefix(ref.Name(), name.DefaultRegistry+"/"); found {
		return "docker.io/" + rest, nil
	}
	return ref.Name(), nil
}

// Categories implements controlplane.Offers.
func (o *Offers) Categories(tags []string) []string {
	out := []string{}
	for _, tag := range tags {
		if slices.ContainsFunc(o.categories, func(r *regexp.Regexp) bool { return r.MatchString(tag) }) {
			out = append(out, tag)
		}
	}
	return out
}

// profile has the resources of the launch profile of that name; empty or gone: none.
func (o *Offers) profile(called string) controlplane.Resources {
	for _, p := range o.config.Profiles {
		if p.Name == called {
			return p.Resources
		}
	}
	return controlplane.Resources{}
}

// Defaults are the resources of apps that ask for none.
func (o *Offers) Defaults() controlplane.Resources {
	d := o.config.Default
	d.MemoryLimit, d.MemoryReservation = pair(defaultMemoryLimit, defaultMemoryReservation, d.MemoryLimit, d.MemoryReservation)
	if len(o.config.GPUTypes) > 0 {
		d.GPUType = o.config.GPUTypes[0]
	}
	return d
}
