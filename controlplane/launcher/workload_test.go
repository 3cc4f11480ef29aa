package launcher_test

import (
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func TestHealthPathIsWhereTheAppServes(t *testing.T) {
	for _, c := range []struct {
		name string
		mode controlplane.RoutingMode
		path string
		want string
	}{
		{"DOMAIN", controlplane.Domain, "/healthz", "/healthz"},
		{"BASE_URL", controlplane.BaseURL, "/healthz?full", "/instance/2efe9e01/healthz?full"},
		{"the root of BASE_URL", controlplane.BaseURL, "/", "/instance/2efe9e01/"},
		{"none", controlplane.BaseURL, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			app := &controlplane.App{RoutingMode: c.mode}
			app.Manifest.Runtime.HealthPath = c.path
			w := launcher.Workload{InstanceID: "2efe9e01", App: app}
			if got := w.HealthPath(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
