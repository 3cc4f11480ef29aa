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
func (l *Launcher) comesAsBundle(app *controlplane.App) bool {
	return l.cfg.Bundles != nil && slices.Contains(objects.BundleModes, app.AppMode)
}

// checkBundle says why the app of a bundle could not run: what its manifest
// lacks, or, else, what its pod would be refused for.
func (l *Launcher) checkBundle(app *controlplane.App) []controlplane.Reason {
	runtime, known := l.cfg.Runtime(app)
	w := launcher.Workload{
		InstanceID: "check", Generation: 1, App: app, BundleLink: func(time.Duration) launcher.BundleLink { return launcher.BundleLink{} },
	}
	if known {
		w.Runtime = &runtime
	}
	if found := objects.CheckBundle(app, w.Runtime); found != nil {
		return found
	}
	_, err := l.make(w, 1)
	if typed, ok := errors.AsType[*launcher.StartError](err); ok {
		return []controlplane.Reason{typed.Reason}
	}
	return nil
}
