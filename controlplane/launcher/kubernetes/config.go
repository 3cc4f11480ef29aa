package kubernetes

import (
	"errors"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// Config is what a Kubernetes launcher needs. REST, Objects.Namespace and
// DataDir are required.
type Config struct {
	// REST says how the API server is reached. Its rate limits are not used: the
	// API server has its own (priority and fairness).
	REST *rest.Config
	// Objects are what the operator says of instances' objects, their namespace
	// first.
	Objects objects.Settings

	// Bundles are what the operator says of apps that come as bundles; the zero
	// value: none of them run here. Runtime is what an app's RuntimeVersion stands
	// for (controlplane.Offers); nil: nothing.
	Bundles objects.Bundles
	Runtime func(*controlplane.App) (controlplane.RuntimeVersion, bool)

	// DataDir is the folder of the logs of pods that are no more, made with its
	// parents if missing. Control planes that share it all have those logs; one
	// that does not has the logs of pods that are there alone.
	DataDir string
	// LogLimit bounds the log of each run in DataDir, in bytes; 0 is 4 MiB. Its end
	// is kept.
	LogLimit int64

	// ScheduleTimeout is how long an instance may wait for a node, from its start
	// on; 0 is 2 min. Where a cluster autoscaler makes room, it is StartTimeout.
	ScheduleTimeout time.Duration
	// StartTimeout is how long a pod may take from its node to its running
	// container, the image and volumes included; 0 is 15 min.
	StartTimeout time.Duration

	Log *zap.Logger // nil logs nothing
}

// The defaults of Config.
const (
	DefaultLogLimit        = 4 << 20
	DefaultScheduleTimeout = 2 * time.Minute
	DefaultStartTimeout    = 15 * time.Minute
)

func (c Config) complete() (Config, error) {
	switch {
	case c.REST == nil:
		return c, errors.New("the way to the API server is not set")
	case c.Objects.Namespace == "":
		return c, errors.New("no namespace is set")
	case c.DataDir == "":
		return c, errors.New("no data folder is set")
	}
	if c.LogLimit == 0 {
		c.LogLimit = DefaultLogLimit
	}
	if c.ScheduleTimeout == 0 {
		c.ScheduleTimeout = DefaultScheduleTimeout
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = DefaultStartTimeout
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c, nil
}
