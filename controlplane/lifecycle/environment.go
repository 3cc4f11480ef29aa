package lifecycle

import (
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// environment is what an instance finds in its environment (spec apps.md §4),
// the manifest's variables first: none of them can replace one of ours.
func environment(site *routing.Site, in *controlplane.Instance, app *controlplane.App) []string {
	var env []string
	for _, e := range app.Manifest.Env {
		// A secret that is not there is Optional, or the app would not run.
		if e.Secret == "" {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	env = append(env,
		"H2O_CLOUD_ENVIRONMENT="+site.Origin(),
		"H2O_CLOUD_INSTANCE_ID="+in.ID,
		"H2O_CLOUD_APP_NAME="+app.Name,
		"H2O_CLOUD_APP_VERSION="+app.Version,
		"H2O_CLOUD_APP_ID="+app.ID,
		"SLIPWAY_URL="+CanonicalURL(site, in),
	)
	if in.RoutingMode == controlplane.BaseURL {
		env = append(env, "H2O_WAVE_BASE_URL=/instance/"+in.ID+"/")
	}
	return env
}

// literalFiles are the manifest's files; see environment for secrets.
func literalFiles(app *controlplane.App) (files []controlplane.File) {
	for _, f := range app.Manifest.Files {
		if f.Secret == "" {
			files = append(files, f)
		}
	}
	return files
}

// CanonicalURL is the one URL of an instance that is never redirected.
func CanonicalURL(site *routing.Site, in *controlplane.Instance) string {
	id, _ := routing.ParseID(in.ID) // the store holds only such IDs
	mode := routing.Domain
	if in.RoutingMode == controlplane.BaseURL {
		mode = routing.BaseURL
	}
	return site.CanonicalURL(&routing.Instance{ID: id, Mode: mode, Primary: in.PrimaryAlias})
}
