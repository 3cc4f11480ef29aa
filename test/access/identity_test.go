package access

import (
	"net/http"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// askIdentity asks what apps are told of their visitors (spec routing.md §5).
func (w *world) askIdentity(t *testing.T) {
	ann := w.people["ann"]
	told := ann.importApp(t, serving("told", "DOMAIN", "ON_DEMAND", "\nEnableOIDC = true"), "ALL_USERS")
	instances := map[string]*v1.Instance{}
	for _, visibility := range []string{"ALL_USERS", "PUBLIC"} {
		in := ann.run(t, told, visibility)
		w.await(t, in, "DEPLOYED")
		defer ann.must(t, "DELETE", "/instances/"+in.ID, "", nil)
		instances[visibility] = in
	}
	names := []string{"X-Slipway-User", "X-Slipway-Email", "X-Slipway-Roles", "X-Slipway-Instance"}
	lies := []string{
		"X-Slipway-User: mallory", "x-slipway-email: m@example.com", "X_Slipway_Roles: admin", "X-SLIPWAY-ROLES: admin", "X-Slipway-Instance: x",
		"Connection: X-Slipway-User, X-Slipway-Roles",
	}
	for _, e := range w.edges {
		for name, c := range map[string]struct {
			visit func(in *v1.Instance) *answer
			want  [3]string
			of    []string
		}{
			"browser": {func(in *v1.Instance) *answer {
				return w.people["tom"].browser(t, e).page(t, in.URL, lies...)
			}, [3]string{"tom", "tom@example.com", "curators,full"}, []string{"ALL_USERS"}},
			"program": {func(in *v1.Instance) *answer {
				return ask(t, &http.Client{Transport: e.transport}, "GET "+in.URL, "", append(lies, bearerOf(t, w.people["tom"].ticket(t, e, in)))...)
			}, [3]string{"tom", "tom@example.com", "curators,full"}, []string{"ALL_USERS", "PUBLIC"}},
			"nobody": {func(in *v1.Instance) *answer {
				return ask(t, &http.Client{Transport: e.transport}, "GET "+in.URL, "", lies...)
			}, [3]string{}, []string{"PUBLIC"}},
		} {
			for _, visibility := range c.of {
				t.Run(e.name+"/"+name+"/"+visibility, func(t *testing.T) {
					in := instances[visibility]
					// A second visit is one that came with all lies to the app.
					c.visit(in)
					a := c.visit(in)
					if a.echo().Instance != in.ID {
						t.Fatalf("%s", a)
					}
					got := a.echo().Header
					for i, want := range append(c.want[:], in.ID) {
						if values := got[names[i]]; strings.Join(values, "|") != want {
							t.Errorf("%s: %q, want %q", names[i], values, want)
						}
					}
					if strings.Contains(string(a.echo().Raw), "mallory") || strings.Contains(string(a.echo().Raw), "X_Slipway") {
						t.Errorf("the app got a lie:\n%s", a.echo().Raw)
					}
				})
			}
		}
		t.Run(e.name+"/an app that did not ask", func(t *testing.T) {
			for _, key := range []string{"ALL_USERS DOMAIN ON_DEMAND", "PUBLIC DOMAIN ON_DEMAND"} {
				in := w.things.instances[key]
				b := w.people["tom"].browser(t, e)
				b.enter(t, in)
				a := ask(t, b.Client, "GET "+in.URL, "", lies...)
				if a.echo().Instance != in.ID || strings.Contains(strings.ToLower(string(a.echo().Raw)), "slipway-") {
					t.Errorf("%s", a.echo().Raw)
				}
			}
		})
	}
}
