package controlplane_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/offer"
)

func TestAppsAreFound(t *testing.T) {
	in := offering(t, offer.Config{Categories: []string{"[A-Z_]+"}})
	for _, tag := range []string{"FINSERV", "beta"} {
		if _, err := in.CreateTag(t.Context(), admin, tag, controlplane.TagChange{}); err != nil {
			t.Fatal(err)
		}
	}
	in.mustImport(ada, demo("ai.peak", "1.0.0", "Title = \"Peak\"\nDescription = \"Forecast of spread\"\nTags = [\"FINSERV\"]", ""))
	in.mustImport(ada, demo("ai.tour", "2.0.0", "Title = \"Tour\"\nTags = [\"beta\"]\nKeywords = [\"Awesome\"]", ""))
	in.show(in.mustImport(bob, demo("ai.other", "1.0.0", "Title = \"Other\"\nCategory = \"Healthcare\"", "GPUCount = 1")))
	yes, no := true, false
	for name, c := range map[string]struct {
		actor controlplane.Actor
		f     controlplane.AppFilter
		want  string
	}{
		"all of them":                {admin, controlplane.AppFilter{}, "ai.other ai.peak ai.tour"},
		"that one may see":           {ada, controlplane.AppFilter{}, "ai.other ai.peak ai.tour"},
		"that somebody else may see": {bob, controlplane.AppFilter{}, "ai.other"},
		"one's own":                  {ada, controlplane.AppFilter{Mine: true}, "ai.peak ai.tour"},
		"an admin's own":             {admin, controlplane.AppFilter{Mine: true}, ""},
		"by name":                    {admin, controlplane.AppFilter{Name: "AI.Peak"}, "ai.peak"},
		"by owner":                   {admin, controlplane.AppFilter{Owner: "bob"}, "ai.other"},
		"by tag":                     {admin, controlplane.AppFilter{Tag: "Beta"}, "ai.tour"},
		"by category":                {admin, controlplane.AppFilter{Category: "finserv"}, "ai.peak"},
		"by an older category":       {admin, controlplane.AppFilter{Category: "healthcare"}, "ai.other"},
		"a badge is no category":     {admin, controlplane.AppFilter{Category: "beta"}, ""},
		"by visibility":              {admin, controlplane.AppFilter{Visibility: controlplane.AllUsers}, "ai.other"},
		"by title":                   {admin, controlplane.AppFilter{Search: "PEAK"}, "ai.peak"},
		"by description":             {admin, controlplane.AppFilter{Search: "spread forecast"}, "ai.peak"},
		"by keyword":                 {admin, controlplane.AppFilter{Search: "awesome"}, "ai.tour"},
		"by a tag's name":            {admin, controlplane.AppFilter{Search: "finserv"}, "ai.peak"},
		"every word counts":          {admin, controlplane.AppFilter{Search: "peak tour"}, ""},
		"hidden ones stay so":        {bob, controlplane.AppFilter{Search: "peak"}, ""},
		"runnable":                   {admin, controlplane.AppFilter{Runnable: &yes}, "ai.peak ai.tour"},
		"not runnable":               {admin, controlplane.AppFilter{Runnable: &no}, "ai.other"},
		"two at once":                {admin, controlplane.AppFilter{Owner: "ada", Tag: "beta"}, "ai.tour"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := in.FindApps(t.Context(), c.actor, c.f, controlplane.Page{})
			wantCode(t, err, "")
			var names []string
			for _, a := range list.Items {
				names = append(names, a.Name)
			}
			slices.Sort(names)
			same(t, "apps", strings.Join(names, " "), c.want)
		})
	}
	_, err := in.FindApps(t.Context(), admin, controlplane.AppFilter{Visibility: "SECRET"}, controlplane.Page{})
	wantCode(t, err, controlplane.CodeInvalid)
}

func TestInstancesAreFound(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("ai.peak", "1.0.0", "", ""))
	in.show(app)
	one, two := in.mustRun(ada, app), in.mustRun(bob, app)
	in.set(two.ID, func(r *controlplane.Instance) { r.Status, r.Visibility = controlplane.Suspended, controlplane.Public })
	for name, c := range map[string]struct {
		f    controlplane.InstanceFilter
		want []string
	}{
		"all of them":           {controlplane.InstanceFilter{}, []string{one.ID, two.ID}},
		"of an app":             {controlplane.InstanceFilter{App: app.ID}, []string{one.ID, two.ID}},
		"of an app's beginning": {controlplane.InstanceFilter{App: strings.ToUpper(app.ID[:6])}, []string{one.ID, two.ID}},
		"too little of one":     {controlplane.InstanceFilter{App: app.ID[:5]}, nil},
		"of an app's name":      {controlplane.InstanceFilter{App: "AI.peak"}, []string{one.ID, two.ID}},
		"of an owner":           {controlplane.InstanceFilter{Owner: "bob"}, []string{two.ID}},
		"of a status":           {controlplane.InstanceFilter{Status: controlplane.Suspended}, []string{two.ID}},
		"of a visibility":       {controlplane.InstanceFilter{Visibility: controlplane.Private}, []string{one.ID}},
		"one's own":             {controlplane.InstanceFilter{Mine: true}, []string{one.ID}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := in.FindInstances(t.Context(), ada, c.f, controlplane.Page{})
			wantCode(t, err, "")
			var ids []string
			for _, r := range list.Items {
				ids = append(ids, r.ID)
			}
			slices.Sort(ids)
			slices.Sort(c.want)
			if !slices.Equal(ids, c.want) {
				t.Errorf("instances %v, want %v", ids, c.want)
			}
		})
	}
	_, err := in.FindInstances(t.Context(), ada, controlplane.InstanceFilter{Status: "ASLEEP"}, controlplane.Page{})
	wantCode(t, err, controlplane.CodeInvalid, "ASLEEP")
}

func TestVisits(t *testing.T) {
	in := install(t)
	web := in.mustImport(ada, link)
	at, run, err := in.Visit(t.Context(), ada, web.ID)
	if at != web.Link || run != nil || err != nil {
		t.Errorf("a link leads to %q, %v, %v", at, run, err)
	}
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	in.show(app)
	_, _, err = in.Visit(t.Context(), ada, app.ID)
	wantCode(t, err, controlplane.CodeConflict, "has no instance that you may open")
	_, _, err = in.Visit(t.Context(), bob, web.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	mine := in.mustRun(ada, app)
	theirs := in.mustRun(bob, app)
	in.set(theirs.ID, func(r *controlplane.Instance) {
		r.Visibility = controlplane.AllUsers
		r.CreatedAt = r.CreatedAt.Add(1e9)
	})
	for name, c := range map[string]struct {
		actor controlplane.Actor
		want  string
	}{
		"one's own before a newer one": {ada, mine.ID}, "one's own": {bob, theirs.ID}, "what one may open": {admin, theirs.ID},
	} {
		if _, run, err := in.Visit(t.Context(), c.actor, app.ID); err != nil || run.ID != c.want {
			t.Errorf("%s: %v, %v", name, run, err)
		}
	}
	in.set(theirs.ID, func(r *controlplane.Instance) { r.Status = controlplane.Terminating })
	_, _, err = in.Visit(t.Context(), admin, app.ID)
	wantCode(t, err, controlplane.CodeConflict)
}
