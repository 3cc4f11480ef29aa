package process

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// Config is what a process launcher needs. DataDir and Unpack are required.
type Config struct {
	// DataDir is the folder that the launcher keeps everything in, made with its
	// parents if missing. Control planes of this machine share it, and one of
	// them leads. It has to be the machine's own: processes of another machine,
	// or of another container, cannot be seen from here.
	DataDir string

	// Unpack writes the files of a bundle below dir, an empty folder.
	Unpack func(ctx context.Context, blob controlplane.Blob, dir string) error

	// Environ is the operator's environment, "NAME=value"; nil is the
	// process's own. Workloads get PATH and LANG of it and nothing else, pip
	// also gets PIP_*, the proxy variables and the paths of certificates.
	Environ []string

	// Self is the program that runs the sample app and the hands (package
	// hand); empty is this one. It has to import this package.
	Self string

	// WaveServer is the program that serves Wave apps whose own packages bring
	// none, an absolute path; the pages that go with it are in the folder www
	// beside it. Empty: those apps are not runnable.
	WaveServer string

	// LogLimit bounds each log file, in bytes; 0 is 16 MiB. A workload can
	// exceed it by what it writes in one second.
	LogLimit int64

	// BuildTimeout bounds the installation of Python dependencies; 0 is 15 min.
	BuildTimeout time.Duration

	// Processes bounds the processes and threads of each instance; 0 is 4096.
	Processes int

	// SharedMemory is the size of the /dev/shm that Runtime.EnableSHM asks for, in
	// bytes; 0 is 2 GiB (spec apps.md §2).
	SharedMemory int64

	// Hide are folders that instances do not see where they have the control
	// plane's own user and mount namespaces can be made: what that user keeps
	// secret. DataDir is always hidden. What is not there is passed over.
	Hide []string

	// Secrets are files that are to be hidden likewise, by absolute paths: each
	// with its folder, unless apps need that. Then the log of the start says so.
	Secrets []string

	// FirstUser and LastUser are the range of users that instances get, each
	// its own, where the control plane is root; 0 is 200000 to 265535. Two
	// installations on a machine need ranges of their own.
	FirstUser, LastUser int

	// Network is what instances with a fixed port get addresses of; the zero
	// one is netns.Default. It must not be in use.
	Network netip.Prefix

	Log *zap.Logger // nil logs nothing

	reached func(step string) // of tests, which stop and kill the process there
}

func (c Config) withDefaults() Config {
	if c.Environ == nil {
		c.Environ = os.Environ()
	}
	if c.LogLimit == 0 {
		c.LogLimit = 16 << 20
	}
	if c.BuildTimeout == 0 {
		c.BuildTimeout = 15 * time.Minute
	}
	if c.Processes == 0 {
		c.Processes = 4096
	}
	if c.SharedMemory == 0 {
		c.SharedMemory = 2 << 30
	}
	if c.FirstUser == 0 && c.LastUser == 0 {
		c.FirstUser, c.LastUser = machine.FirstUser, machine.LastUser
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// environ is the value of a variable of the operator's environment.
func (c Config) environ(name, otherwise string) string {
	for _, entry := range slices.Backward(c.Environ) {
		if v, ok := strings.CutPrefix(entry, name+"="); ok && v != "" {
			return v
		}
	}
	return otherwise
}

func (c Config) path() string {
	return c.environ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}
