package caddymodule

import "github.com/seed-dbc68772/slipway/controlplane"

// AppSettings are what the installation offers to apps. All are the control
// plane's: edges read none of them, and a change needs a restart. What is made
// of them, and what is wrong with them, package controlplane/offer knows.
type AppSettings struct {
	// The names that Runtime.RuntimeVersion may have. Default: the App Store's
	// five.
	RuntimeVersions []controlplane.RuntimeVersion `json:"runtime_version,omitempty"`
	// Sets of resources with a name. Default: none.
	LaunchProfiles []controlplane.LaunchProfile `json:"launch_profile,omitempty"`
	// Resources of apps that ask for none. Default: 2Gi of memory, 512Mi of them
	// reserved, and no limit of the CPU.
	DefaultResources controlplane.Resources `json:"default_resources,omitzero"`
	// The most that an instance gets: memory_limit, cpu_limit and gpu_count.
	// Default: no bound.
	MaxResources controlplane.Resources `json:"max_resources,omitzero"`
	// Expressions (RE2), each matched whole: images that container apps may have,
	// as they are resolved (docker.io/library/nginx:latest). Default: none, and no
	// container app is runnable.
	AllowedImages []string `json:"allowed_images,omitempty"`
	// Expressions of names that begin with H2O_WAVE and are allowed in [[Env]]
	// all the same. Default: none; H2O_WAVE_APP_MODE always is.
	AllowedEnv []string `json:"allowed_env,omitempty"`
	// What Runtime.GPUType may be; the first is for apps that name none. Default:
	// none, and apps that ask for GPUs are not runnable.
	GPUTypes []string `json:"gpu_types,omitempty"`
	// Expressions of names of tags that are categories, as those are that were
	// made categories themselves. Default: none.
	CategoryTags []string `json:"category_tags,omitempty"`
}
