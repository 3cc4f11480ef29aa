package controlplane

// Offers is what an installation offers to apps, by its settings (package
// offer). Every method is a look-up in memory.
type Offers interface {
	// Runtimes are the runtime versions, Profiles the launch profiles, in the
	// order of their settings.
	Runtimes() []RuntimeVersion
	Profiles() []LaunchProfile
	// Runtime is what a new instance of the app runs on: what app.toml names, else
	// what was resolved at the import, while that is offered, else the default;
	// false for apps that run on none.
	Runtime(app *App) (RuntimeVersion, bool)
	// Resources are those of a new instance of the app, started with this launch
	// profile; empty is the app's own.
	Resources(app *App, profile string) Resources
	// Unmet says what the app needs and is not offered.
	Unmet(app *App) []Reason
	// Categories are those tags that the setting category_tags makes categories;
	// Service.Categories knows of the others.
	Categories(tags []string) []string
}

// RuntimeVersion is a name that Runtime.RuntimeVersion may have (setting
// runtime_version).
type RuntimeVersion struct {
	Name       string `json:"name"`
	Default    bool   `json:"default,omitempty"`    // for apps that name none
	Deprecated bool   `json:"deprecated,omitempty"` // takes no new import, and starts no new instance
	Image      string `json:"image,omitempty"`      // of launchers that run containers
	// Python is the version that process looks for, as "3.10"; empty: whichever
	// is there.
	Python string `json:"python,omitempty"`
}

// AppStoreRuntimes are the runtime versions of the App Store's developer guide,
// with their Pythons: those of an installation that configures none.
func AppStoreRuntimes() []RuntimeVersion {
	return []RuntimeVersion{
		{Name: "deb11_py38_wlatest", Python: "3.8"},
		{Name: "deb11_py39_wlatest", Python: "3.9"},
		{Name: "deb11_py310_wlatest", Python: "3.10", Default: true},
		{Name: "ub2004_cuda114_cudnn8_py38_wlatest", Python: "3.8"},
		{Name: "ub2204_cuda121_cudnn8_py310_wlatest", Python: "3.10"},
	}
}

// Resources are what an instance may use and what it needs: Kubernetes
// quantities as they were written. Empty is none.
type Resources struct {
	MemoryLimit       string `json:"memory_limit,omitempty"`
	MemoryReservation string `json:"memory_reservation,omitempty"`
	CPULimit          string `json:"cpu_limit,omitempty"`
	CPUReservation    string `json:"cpu_reservation,omitempty"`
	GPUCount          int    `json:"gpu_count,omitempty"`
	GPUType           string `json:"gpu_type,omitempty"`
}

// LaunchProfile is a set of resources with a name, which an app has or an
// instance is started with (setting launch_profile).
type LaunchProfile struct {
	Name string `json:"name"`
	Resources
}

// Resources are those that the runtime table has.
func (rt *Runtime) Resources() Resources {
	return Resources{
		MemoryLimit: rt.MemoryLimit, MemoryReservation: rt.MemoryReservation,
		CPULimit: rt.CPULimit, CPUReservation: rt.CPUReservation, GPUCount: rt.GPUCount, GPUType: rt.GPUType,
	}
}

func (rt *Runtime) setResources(r Resources) {
	rt.MemoryLimit, rt.MemoryReservation = r.MemoryLimit, r.MemoryReservation
	rt.CPULimit, rt.CPUReservation = r.CPULimit, r.CPUReservation
	rt.GPUCount, rt.GPUType = r.GPUCount, r.GPUType
}

// As is the app as this instance runs it: with the resources that were settled
// when the instance was made or redeployed, whatever the settings say by now.
func (in *Instance) As(app *App) *App {
	if in.Resources == nil {
		return app
	}
	as := *app
	as.Manifest.Runtime.setResources(*in.Resources)
	return &as
}

// nothingOffered is the Offers of a service without any.
type nothingOffered struct{}

func (nothingOffered) Runtimes() []RuntimeVersion          { return nil }
func (nothingOffered) Profiles() []LaunchProfile           { return nil }
func (nothingOffered) Runtime(*App) (RuntimeVersion, bool) { return RuntimeVersion{}, false }
func (nothingOffered) Resources(app *App, _ string) Resources {
	return app.Manifest.Runtime.Resources()
}
func (nothingOffered) Unmet(*App) []Reason          { return nil }
func (nothingOffered) Categories([]string) []string { return nil }
