package controlplane

import (
	"time"
)

// Visibility says who may see an app or open an instance. It is stored from
// the beginning and enforced by package access.
type Visibility string

// The visibilities of apps and instances (spec access.md §2, §3).
const (
	Private  Visibility = "PRIVATE"   // its owner
	AllUsers Visibility = "ALL_USERS" // everybody signed in with full access
	Public   Visibility = "PUBLIC"    // everybody
)

// Valid reports whether v is one of the three visibilities.
func (v Visibility) Valid() bool { return v == Private || v == AllUsers || v == Public }

// Lifecycle says who starts instances of an app (spec apps.md §2,
// App.InstanceLifecycle).
type Lifecycle string

// The instance life cycles.
const (
	OnDemand Lifecycle = "ON_DEMAND" // users start their own
	Managed  Lifecycle = "MANAGED"   // the app's owner or an admin starts them
	Link     Lifecycle = "LINK"      // no instances: the app is a link to a web site
)

// RoutingMode says where instances of an app are reached (spec routing.md §2).
type RoutingMode string

// The routing modes.
const (
	Domain  RoutingMode = "DOMAIN"   // <ID>.<base>/
	BaseURL RoutingMode = "BASE_URL" // <base>/instance/<ID>/
)

// AppMode says what runs an app (spec apps.md §2, Runtime.AppMode).
type AppMode string

// The app modes.
const (
	Wave      AppMode = "wave"      // H2O Wave: a Wave server and a Python module
	Python    AppMode = "python"    // python3 -m Module
	Container AppMode = "container" // an image
	Binary    AppMode = "binary"    // AppEntryPoint from the bundle
	Manual    AppMode = "manual"    // something that already runs, at Address
)

// App is one imported bundle.
type App struct {
	ID          string      `json:"id"` // lower-case UUID
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Owner       string      `json:"owner"` // who imported it
	Visibility  Visibility  `json:"visibility"`
	Tags        []string    `json:"tags"`
	Lifecycle   Lifecycle   `json:"lifecycle"`
	RoutingMode RoutingMode `json:"routing_mode"` // resolved at import, frozen
	AppMode     AppMode     `json:"app_mode"`
	Link        string      `json:"link,omitempty"`        // LINK apps: where to
	Bundle      string      `json:"bundle"`                // SHA-256 of the archive, hexadecimal: its key in Blobs
	Icon        string      `json:"icon,omitempty"`        // that of its icon, likewise; empty: it has none
	Screenshots []Picture   `json:"screenshots,omitempty"` // in their order
	// LongDescription is the SHA-256 of it as sanitised HTML, likewise.
	LongDescription string `json:"long_description,omitempty"`
	// LaunchProfile is for instances that are started without one; empty: none.
	LaunchProfile string `json:"launch_profile,omitempty"`
	// RuntimeVersion is what it runs on, resolved at import, and for as long as
	// that is offered; empty: on none.
	RuntimeVersion string `json:"runtime_version,omitempty"`
	// Unmet is why it could not be run when that was checked last, see
	// Service.RefreshApps.
	Unmet     []ReasonCode `json:"unmet,omitempty"`
	Manifest  Manifest     `json:"manifest"`
	CreatedAt time.Time    `json:"created_at"`
	UpdatedAt time.Time    `json:"updated_at"`

	// Revision is the store revision that this record was read at; 0 before
	// it is stored. It is not part of the record.
	Revision int64 `json:"-"`
}

// Label is how an app is called in tables and messages: "Title Version".
func (a *App) Label() string { return a.Title + " " + a.Version }

// Manifest is app.toml as read, with defaults applied (spec apps.md §2). Its
// strings have been checked by package bundle.
type Manifest struct {
	Name            string        `json:"name"`
	Version         string        `json:"version"`
	Title           string        `json:"title"` // Name where the manifest has none
	Description     string        `json:"description"`
	LongDescription string        `json:"long_description,omitempty"` // path in the bundle
	Tags            []string      `json:"tags,omitempty"`
	Category        string        `json:"category,omitempty"`
	Keywords        []string      `json:"keywords,omitempty"`
	Lifecycle       Lifecycle     `json:"lifecycle"`
	InstanceTimeout time.Duration `json:"instance_timeout,omitempty"` // 0 is the server's default, -1 never
	Runtime         Runtime       `json:"runtime"`
	Env             []EnvVar      `json:"env,omitempty"`
	Files           []File        `json:"files,omitempty"`
	LinkAddress     string        `json:"link_address,omitempty"`

	// NoWave is set of an app of mode wave whose requirements.txt names no package
	// that brings H2O Wave's server.
	NoWave bool `json:"no_wave,omitempty"`
}

// Runtime is the [Runtime] table of app.toml. Quantities are kept as written.
type Runtime struct {
	AppMode            AppMode     `json:"app_mode"`
	RoutingMode        RoutingMode `json:"routing_mode,omitempty"` // empty is the server's default
	Module             string      `json:"module,omitempty"`
	RuntimeVersion     string      `json:"runtime_version,omitempty"`
	Port               int         `json:"port,omitempty"` // 0: the app listens on $PORT
	VolumeMount        string      `json:"volume_mount,omitempty"`
	VolumeSize         string      `json:"volume_size,omitempty"`
	ResourceVolumeSize string      `json:"resource_volume_size,omitempty"`
	MemoryLimit        string      `json:"memory_limit,omitempty"`
	MemoryReservation  string      `json:"memory_reservation,omitempty"`
	CPULimit           string      `json:"cpu_limit,omitempty"`
	CPUReservation     string      `json:"cpu_reservation,omitempty"`
	// Asked is what app.toml itself asks for, without the server's defaults; nil
	// in apps of which that was not noted.
	Asked         *Resources `json:"asked,omitempty"`
	GPUCount      int        `json:"gpu_count,omitempty"`
	GPUType       string     `json:"gpu_type,omitempty"`
	EnableOIDC    bool       `json:"enable_oidc,omitempty"`
	EnableSHM     bool       `json:"enable_shm,omitempty"`
	CustomImage   string     `json:"custom_image,omitempty"`
	AppArgs       []string   `json:"app_args,omitempty"`
	AppEntryPoint []string   `json:"app_entry_point,omitempty"`
	HealthPath    string     `json:"health_path,omitempty"` // begins with "/", empty: the port is enough
	Address       string     `json:"address,omitempty"`     // manual: http://host:port
}

// EnvVar is one [[Env]] entry: a literal Value, or a Secret and its SecretKey.
type EnvVar struct {
	Name      string `json:"name"`
	Value     string `json:"value,omitempty"`
	Secret    string `json:"secret,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	Optional  bool   `json:"optional,omitempty"`
}

// File is one [[File]] entry. A relative Path is below the app's root.
type File struct {
	Path      string `json:"path"`
	Value     string `json:"value,omitempty"`
	Secret    string `json:"secret,omitempty"`
	SecretKey string `json:"secret_key,omitempty"`
	Optional  bool   `json:"optional,omitempty"`
}
