package bundle

import "github.com/seed-dbc68772/slipway/controlplane"

// Limits bound what is read (spec interfaces.md §6, bundle_limits). A zero is
// the default.
type Limits struct {
	Upload   int64 // bytes of the archive, 1 GiB
	Unpacked int64 // bytes of all entries together, 2 GiB
	Entries  int   // files and folders, implied ones too, 100000
	Ratio    int   // unpacked bytes per archive byte, once over 1 MiB is unpacked, 200
}

// DefaultLimits are the limits of an installation that configures none.
func DefaultLimits() Limits {
	return Limits{Upload: 1 << 30, Unpacked: 2 << 30, Entries: 100_000, Ratio: 200}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	if l.Upload > 0 {
		d.Upload = l.Upload
	}
	if l.Unpacked > 0 {
		d.Unpacked = l.Unpacked
	}
	if l.Entries > 0 {
		d.Entries = l.Entries
	}
	if l.Ratio > 0 {
		d.Ratio = l.Ratio
	}
	return d
}

// Options are what the server's configuration says about bundles. The zero
// value is an installation that configures nothing.
type Options struct {
	Limits Limits
	// AnyServer is for who does not know the server that the bundle goes to: what
	// RuntimeVersions and AllowedEnv would have to let in is a warning.
	AnyServer bool
	// AllowedEnv are RE2 expressions, each matched whole, of names that begin
	// with H2O_WAVE and are allowed in [[Env]] all the same. One that does not
	// compile allows the name that it spells.
	AllowedEnv []string
	// MaxMemory is the most that Runtime.MemoryLimit may ask for, a Kubernetes
	// quantity; empty or unreadable is no cap. Defaults give way to it.
	MaxMemory string
	// RuntimeVersions are the runtimes on offer; empty is the App Store's five.
	RuntimeVersions []controlplane.RuntimeVersion
	// DefaultMemoryLimit and DefaultMemoryReservation are for apps that name
	// neither; empty is 2Gi and 512Mi.
	DefaultMemoryLimit, DefaultMemoryReservation string
	// DefaultCPULimit and DefaultCPUReservation: empty is none.
	DefaultCPULimit, DefaultCPUReservation string
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.orDefault()
	if len(o.RuntimeVersions) == 0 {
		o.RuntimeVersions = controlplane.AppStoreRuntimes()
	}
	if o.DefaultMemoryLimit == "" {
		o.DefaultMemoryLimit = "2Gi"
	}
	if o.DefaultMemoryReservation == "" {
		o.DefaultMemoryReservation = "512Mi"
	}
	return o
}
