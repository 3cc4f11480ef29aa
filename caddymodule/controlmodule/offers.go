package controlmodule

import (
	"io"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/offer"
)

// CheckSettings implements caddymodule.ControlPlaneModule.
func (*ControlPlane) CheckSettings(s caddymodule.Settings) error {
	_, err := offers(s)
	return err
}

func offers(s caddymodule.Settings) (*offer.Offers, error) {
	return offer.New(offer.Config{
		Runtimes: s.RuntimeVersions, Profiles: s.LaunchProfiles, Default: s.DefaultResources, Max: s.MaxResources,
		Images: s.AllowedImages, Categories: s.CategoryTags, Env: s.AllowedEnv, GPUTypes: s.GPUTypes,
	})
}

func readMeta(r io.ReaderAt, size int64) (*controlplane.BundleMeta, error) {
	b, err := bundle.Reopen(r, size)
	if err != nil {
		return nil, err
	}
	return b.Meta()
}

// bundleOptions are what the settings say about bundles.
func bundleOptions(s caddymodule.Settings, o *offer.Offers) bundle.Options {
	resources := o.Defaults()
	return bundle.Options{
		Limits: bundleLimits(s), AllowedEnv: s.AllowedEnv, RuntimeVersions: o.Runtimes(), MaxMemory: s.MaxResources.MemoryLimit,
		DefaultMemoryLimit: resources.MemoryLimit, DefaultMemoryReservation: resources.MemoryReservation,
		DefaultCPULimit: resources.CPULimit, DefaultCPUReservation: resources.CPUReservation,
	}
}
