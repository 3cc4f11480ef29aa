package v1

// Resources are what an instance may use and what it needs: Kubernetes
// quantities. Absent is none.
type Resources struct {
	MemoryLimit       string `json:"memory_limit,omitempty"`
	MemoryReservation string `json:"memory_reservation,omitempty"`
	CPULimit          string `json:"cpu_limit,omitempty"`
	CPUReservation    string `json:"cpu_reservation,omitempty"`
	GPUCount          int    `json:"gpu_count,omitempty"`
	GPUType           string `json:"gpu_type,omitempty"`
}

// RuntimeVersion is a name that Runtime.RuntimeVersion may have.
type RuntimeVersion struct {
	Name   string  `json:"name"`
	Status string  `json:"status" doc:"default: of apps that name none; deprecated: nothing new is imported or started with it" enum:"default,available,deprecated"`
	Python *string `json:"python" doc:"its version, as 3.10; null: whichever is there"`
	Image  *string `json:"image" doc:"of launchers that run containers"`
}

// LaunchProfile is a set of resources with a name.
type LaunchProfile struct {
	Name string `json:"name"`
	Resources
}

// Items is a list of settings: all of it, and of no revision.
type Items[T any] struct {
	Items []T `json:"items"`
}

// AppMeta is what the bundle of an app says of itself.
type AppMeta struct {
	App          string       `json:"app" doc:"app.toml as it is written"`
	Requirements *string      `json:"requirements" doc:"requirements.txt; null: there is none"`
	Packages     *string      `json:"packages" doc:"packages.txt; null: there is none"`
	Files        []BundleFile `json:"files"`
}

// BundleFile is a file of a bundle.
type BundleFile struct {
	Path string `json:"path"`
	Size int64  `json:"size" doc:"bytes, unpacked"`
}

// Refreshed is what a check of all apps found.
type Refreshed struct {
	Checked int `json:"checked" doc:"apps"`
	Changed int `json:"changed" doc:"those that came to be runnable, or not, or for other reasons not"`
}
