package lifecycle

import (
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// environment is what an instance finds in its environment (spec apps.md §4),
// the manifest's variables first: none of them can replace one of ours.
func environment(site *routing.Site, in *controlplane.Instance, app *controlplane.App, secrets controlplane.ResolvedSecrets) []string {
	var env []string
	for _, e := range app.Manifest.Env {
		if e.Secret == "" {
			env = append(env, e.Name+"="+e.Value)
		}
	}
	for _, e := range secrets.Env { // a manifest has each name once
		env = append(env, e.Name+"="+e.Value)
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

// files are the manifest's files, with those of secrets that are there.
func files(app *controlplane.App, secrets controlplane.ResolvedSecrets) (files []controlplane.File) {
	for _, f := range app.Manifest.Files {
		if f.Secret == "" {
			files = append(files, f)
		}
	}
	return append(files, secrets.Files...)
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
