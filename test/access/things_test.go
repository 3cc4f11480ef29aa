package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

var visibilities = []string{"PRIVATE", "ALL_USERS", "PUBLIC"}

// things are what is asked about. Apps are otto's, instances olga's.
type things struct {
	// apps by visibility and, for MANAGED ones, that: they are never opened.
	apps map[string]*v1.App
	// spares are to be deleted, one by each cell of the table that does.
	spares map[string]*v1.App
	// images are container apps, by visibility.
	images map[string]*v1.App
	// links are link apps, by visibility.
	links map[string]*v1.App
	// served are what instances are opened of, by routing mode and lifecycle;
	// ALL_USERS, and with the tag.
	served map[string]*v1.App
	// instances by visibility, routing mode and lifecycle.
	instances map[string]*v1.Instance
	// asleep and awake are changed; doomed are terminated, one by each cell.
	changed map[string]*v1.Instance
	doomed  map[string]*v1.Instance
}

// populate makes people, tags, apps and instances.
func (w *world) populate(t *testing.T) {
	t.Helper()
	w.person("")
	for name, roles := range map[string][]string{
		"ann": {"admin"}, "fiona": {"full"}, "vera": {"team"}, "victor": {"other"}, "tara": {"curators"}, "tom": {"full", "curators"},
		"otto": {"admin"}, "olga": {"admin"}, "rita": {"full"},
	} {
		w.person(name, roles...).takeToken(t)
	}
	ann := w.people["ann"]
	ann.must(t, "POST", "/tags", `{"name":"shared","visitor_roles":["team"]}`, nil)
	ann.must(t, "POST", "/tags", `{"name":"open"}`, nil)
	ann.must(t, "POST", "/tags", `{"name":"curated","admin_roles":["curators"]}`, nil)
	w.makeApps(t)
	w.makeInstances(t)
	// Now they are nobody's admins.
	w.people["otto"].become(t)
	w.people["olga"].become(t)
	for _, e := range w.edges {
		slipwaytest.Eventually(t, "the instances answer at "+e.name, func() bool {
			for _, in := range w.things.instances {
				if strings.Contains(in.URL, "/instance/") || in.Visibility != "PUBLIC" {
					continue
				}
				if w.people[""].call(t, e, in) != "✓" {
					return false
				}
			}
			return true
		})
	}
	for key, in := range w.things.instances {
		slipwaytest.Eventually(t, key+" runs", func() bool {
			var now v1.Instance
			ann.must(t, "GET", "/instances/"+in.ID, "", &now)
			return now.Status == "DEPLOYED"
		})
	}
}

// small is an app that runs and answers nothing.
func small(name, lifecycle string) slipwaytest.App {
	a := slipwaytest.App{Name: name, Runtime: "AppMode = \"binary\"\nAppEntryPoint = [\"./run\"]", Files: map[string]string{"run*": "#!/bin/sh\nexec sleep 600\n"}}
	a.Files["app.toml"] = strings.Replace(a.Manifest(), "[Runtime]", fmt.Sprintf("InstanceLifecycle = %q\n[Runtime]", lifecycle), 1)
	return a
}

// serving is the app for tests.
func serving(name, mode, lifecycle, more string) slipwaytest.App {
	a := slipwaytest.App{Name: name, Mode: mode}
	text := strings.Replace(a.Manifest(), "[Runtime]", fmt.Sprintf("InstanceLifecycle = %q\n[Runtime]%s", lifecycle, more), 1)
	a.Files = map[string]string{"app.toml": text}
	return a
}

// container is one that brings its own image.
func container(name string) slipwaytest.App {
	return slipwaytest.App{Name: name, Runtime: "AppMode = \"container\"\nCustomImage = \"registry.example.com/app:1\""}
}

// linked is one that is somewhere else.
func linked(name string) slipwaytest.App {
	return slipwaytest.App{Name: name, Files: map[string]string{
		"app.toml": fmt.Sprintf("[App]\nName = %q\nVersion = \"1.0.0\"\nInstanceLifecycle = \"LINK\"\n[Link]\nAddress = \"https://elsewhere.example/\"\n", name),
	}}
}

// importApp imports an app.
func (p *person) importApp(t *testing.T, a slipwaytest.App, visibility string) *v1.App {
	t.Helper()
	answer := p.api(t, p.world.control(), "POST /bundles?visibility="+visibility, string(a.Bundle(t)), "Content-Type: application/zip")
	var made v1.App
	if answer.StatusCode/100 != 2 {
		t.Fatalf("import %s: %s", a.Name, answer)
	}
	decode(t, answer, &made)
	return &made
}

func (p *person) run(t *testing.T, app *v1.App, visibility string) *v1.Instance {
	t.Helper()
	var made v1.Instance
	p.must(t, "POST", "/instances", fmt.Sprintf(`{"app_id":%q,"visibility":%q}`, app.ID, visibility), &made)
	return &made
}

func (w *world) makeApps(t *testing.T) {
	t.Helper()
	otto := w.people["otto"]
	w.things.apps, w.things.spares, w.things.served = map[string]*v1.App{}, map[string]*v1.App{}, map[string]*v1.App{}
	w.things.images, w.things.links = map[string]*v1.App{}, map[string]*v1.App{}
	tag := func(app *v1.App) { otto.must(t, "PATCH", "/apps/"+app.ID, `{"tags":["shared"]}`, app) }
	for _, visibility := range visibilities {
		name := strings.ToLower(strings.ReplaceAll(visibility, "_", "-"))
		for _, lifecycle := range []string{"ON_DEMAND", "MANAGED"} {
			app := otto.importApp(t, small(name+"."+strings.ToLower(lifecycle), lifecycle), visibility)
			tag(app)
			w.things.apps[visibility+" "+lifecycle] = app
		}
		for _, key := range []string{"owner control", "admin control", "owner pure", "admin pure"} {
			w.things.spares[visibility+" "+key] = otto.importApp(t, small("spare-"+name+"-"+strings.ReplaceAll(key, " ", "-"), "ON_DEMAND"), visibility)
		}
		image, link := otto.importApp(t, container("image-"+name), visibility), otto.importApp(t, linked("link-"+name), visibility)
		tag(image)
		tag(link)
		w.things.images[visibility], w.things.links[visibility] = image, link
	}
	for _, mode := range []string{"DOMAIN", "BASE_URL"} {
		for _, lifecycle := range []string{"ON_DEMAND", "MANAGED"} {
			app := otto.importApp(t, serving("served-"+strings.ToLower(mode)+"."+strings.ToLower(lifecycle), mode, lifecycle, ""), "ALL_USERS")
			tag(app)
			w.things.served[mode+" "+lifecycle] = app
		}
	}
}

func (w *world) makeInstances(t *testing.T) {
	t.Helper()
	olga := w.people["olga"]
	w.things.instances, w.things.changed, w.things.doomed = map[string]*v1.Instance{}, map[string]*v1.Instance{}, map[string]*v1.Instance{}
	for _, visibility := range visibilities {
		for _, kind := range slices.Sorted(maps.Keys(w.things.served)) {
			w.things.instances[visibility+" "+kind] = olga.run(t, w.things.served[kind], visibility)
		}
		app := w.things.apps["ALL_USERS ON_DEMAND"]
		w.things.changed[visibility] = olga.run(t, w.things.served["DOMAIN ON_DEMAND"], visibility)
		for _, key := range []string{"olga control", "ann control", "olga pure", "ann pure"} {
			w.things.doomed[visibility+" "+key] = olga.run(t, app, visibility)
		}
	}
}
