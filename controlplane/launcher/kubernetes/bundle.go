package kubernetes

import (
	"errors"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// comesAsBundle reports whether an init container brings the app.
func comesAsBundle(app *controlplane.App) bool {
	return slices.Contains(objects.BundleModes, app.AppMode)
}

// makeBundle makes the objects of a start whose app comes as a bundle. The image
// of a runtime version is the operator's: nobody asks its registry of what it is.
func (l *Launcher) makeBundle(w launcher.Workload, epoch int64) (*objects.Set, error) {
	b, err := objects.NewBundle(&w, l.cfg.Bundles)
	if err != nil {
		return nil, err
	}
	return objects.Make(objects.Start{Workload: w, Epoch: epoch, Bundle: b}, l.cfg.Objects)
}

// checkBundle says why the app of a bundle could not run here: that none can, what
// its manifest lacks, or what its pod would be refused for.
func (l *Launcher) checkBundle(app *controlplane.App) []controlplane.Reason {
	w := launcher.Workload{
		InstanceID: "check", Generation: 1, App: app, BundleLink: func(time.Duration) launcher.BundleLink { return launcher.BundleLink{} },
	}
	if l.cfg.Runtime != nil {
		if runtime, known := l.cfg.Runtime(app); known {
			w.Runtime = &runtime
		}
	}
	_, err := l.makeBundle(w, 1)
	typed, ok := errors.AsType[*launcher.StartError](err)
	if !ok {
		return nil
	}
	if found := objects.CheckBundle(app, w.Runtime); found != nil && typed.Reason.Code != controlplane.LauncherDown {
		return found // all that is wrong with it
	}
	return []controlplane.Reason{typed.Reason}
}
