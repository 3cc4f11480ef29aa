//go:build linux

package process

import (
	"path/filepath"
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// sampleApp is the entry point that stands for this program's own sample app.
var sampleApp = []string{"slipway", "sample-app"}

// Check says why an app could not run here, or nothing.
func (l *Launcher) Check(app *controlplane.App) []controlplane.Reason {
	var found []controlplane.Reason
	add := func(code controlplane.ReasonCode, format string, args ...any) {
		found = append(found, *reason(code, format, args...))
	}
	rt := app.Manifest.Runtime
	switch app.AppMode {
	case controlplane.Python, controlplane.Wave:
		if rt.Module == "" {
			add(controlplane.BadBundle, "app.toml names no Runtime.Module to run")
		}
		if _, err := l.python.any(); err != nil {
			add(controlplane.Dependencies, "%v; install it with `apt-get install python3 python3-venv`", err)
		}
		if why := l.waveReason(app); why != nil {
			found = append(found, *why)
		}
	case controlplane.Binary:
		switch {
		case len(rt.AppEntryPoint) == 0:
			add(controlplane.BadBundle, "app.toml names no Runtime.AppEntryPoint to run")
		case !slices.Equal(rt.AppEntryPoint, sampleApp) && !filepath.IsLocal(rt.AppEntryPoint[0]):
			add(controlplane.BadBundle, "Runtime.AppEntryPoint %q is not a file of the bundle", rt.AppEntryPoint[0])
		}
	case controlplane.Container:
		add(controlplane.LauncherDown, "no launcher that runs containers is configured")
	case controlplane.Manual:
		add(controlplane.LauncherDown, "apps of mode manual need the launcher manual, which is not configured")
	default:
		add(controlplane.BadBundle, "Runtime.AppMode %q is not known", app.AppMode)
	}
	if why := l.able.Mounts; why != nil {
		for _, what := range namespaced(app.Manifest) {
			add(controlplane.NeedsMountNamespace, "%s needs a mount namespace, which cannot be made here: %v", what, why)
		}
	}
	return found
}
