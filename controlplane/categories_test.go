package controlplane_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/offer"
)

// tagged is an installation with a setting category_tags, and with a tag of
// each kind.
func tagged(t *testing.T) *installation {
	t.Helper()
	in := offering(t, offer.Config{Categories: []string{"[A-Z]+"}})
	in.tag("FINSERV", controlplane.TagChange{})
	in.tag("health", controlplane.TagChange{IsCategory: new(true)})
	in.tag("partners", controlplane.TagChange{IsCategory: new(true), VisitorRoles: &[]string{"team"}})
	in.tag("crew", roles("crew"))
	in.tag("beta", controlplane.TagChange{})
	return in
}

func TestTheKindsOfATag(t *testing.T) {
	in := tagged(t)
	for name, want := range map[string][]controlplane.TagKind{
		"FINSERV":  {controlplane.CategoryTag},
		"health":   {controlplane.CategoryTag},
		"partners": {controlplane.CategoryTag, controlplane.AuthorizationTag},
		"crew":     {controlplane.AuthorizationTag},
		"beta":     {controlplane.BadgeTag},
	} {
		tag, err := in.Tag(t.Context(), visitor, name)
		wantCode(t, err, "")
		same(t, name, in.TagKinds(tag), want)
	}
}

func TestTheCategoriesOfApps(t *testing.T) {
	in := tagged(t)
	store := &counting{Store: in.store}
	in.Store = store
	apps := []*controlplane.App{
		{Tags: []string{"FINSERV", "beta", "health"}}, {Tags: []string{}}, {Tags: []string{"crew"}}, {Tags: []string{"GONE", "gone", "partners"}},
	}
	got, err := in.Categories(t.Context(), apps...)
	wantCode(t, err, "")
	same(t, "categories", got, [][]string{{"FINSERV", "health"}, {}, {}, {"GONE", "partners"}})
	same(t, "what the store is asked", store.asked, []string{"tags"})

	store.asked = nil
	got, err = in.Categories(t.Context(), apps[1])
	wantCode(t, err, "")
	same(t, "categories without tags", got, [][]string{{}})
	same(t, "what the store is asked without tags", len(store.asked), 0)
}

func TestAppsAreFoundByATagThatIsACategory(t *testing.T) {
	in := tagged(t)
	for _, tag := range []string{"FINSERV", "health", "partners", "crew", "beta"} {
		in.show(in.mustImport(ada, demo("ai."+strings.ToLower(tag), "1", `Tags = ["`+tag+`"]`, "")))
	}
	find := func(actor controlplane.Actor, category string) string {
		t.Helper()
		list, err := in.FindApps(t.Context(), actor, controlplane.AppFilter{Category: category}, controlplane.Page{})
		wantCode(t, err, "")
		var names []string
		for _, a := range list.Items {
			names = append(names, a.Name)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	for name, c := range map[string]struct {
		actor    controlplane.Actor
		category string
		want     string
	}{
		"by the setting":            {ada, "finserv", "ai.finserv"},
		"by its record":             {bob, "Health", "ai.health"},
		"that visitors see apps by": {admin, "partners", "ai.partners"},
		"one of its visitors":       {controlplane.Actor{User: "tom", Roles: []string{"team"}}, "partners", "ai.partners"},
		"another visitor":           {visitor, "health", ""},
		"an authorization tag":      {admin, "crew", ""},
		"a badge":                   {admin, "beta", ""},
	} {
		t.Run(name, func(t *testing.T) { same(t, "apps", find(c.actor, c.category), c.want) })
	}
	for _, tag := range []string{"health", "FINSERV"} {
		_, _, err := in.UpdateTag(t.Context(), admin, tag, controlplane.TagChange{IsCategory: new(false)})
		wantCode(t, err, "")
	}
	same(t, "apps of what is no category any more", find(admin, "health"), "")
	same(t, "apps of what the setting makes one", find(admin, "finserv"), "ai.finserv")
}
