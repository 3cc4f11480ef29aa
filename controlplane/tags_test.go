package controlplane_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// told is what edges are told of the visitor roles of each app.
func (in *installation) told() map[string]string {
	in.Helper()
	prefix := etcdtest.Prefix(in) + "routes/policy/"
	resp, err := in.client.Get(in.Context(), prefix, clientv3.WithPrefix())
	if err != nil {
		in.Fatal(err)
	}
	out := map[string]string{}
	for _, kv := range resp.Kvs {
		var policy struct {
			VisitorRoles []string `json:"visitor_roles"`
		}
		if err := json.Unmarshal(kv.Value, &policy); err != nil {
			in.Fatal(err)
		}
		out[strings.TrimPrefix(string(kv.Key), prefix)] = strings.Join(policy.VisitorRoles, " ")
	}
	return out
}

func (in *installation) allTold(want string, n int) {
	in.Helper()
	told := in.told()
	if len(told) != n {
		in.Errorf("edges know of %d apps, want %d", len(told), n)
	}
	for id, roles := range told {
		if roles != want {
			in.Errorf("edges are told roles %q of %s, want %q", roles, id, want)
			return
		}
	}
}

// manyApps writes apps of ada that have the tags.
func (in *installation) manyApps(n int, tags ...string) (ids []string) {
	in.Helper()
	for i := range n {
		app := &controlplane.App{ID: uuid.NewString(), Name: fmt.Sprint("app", i), Version: "1", Owner: "ada", Visibility: controlplane.AllUsers, Tags: tags}
		if _, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error { return tx.Put(app) }); err != nil {
			in.Fatal(err)
		}
		ids = append(ids, app.ID)
	}
	return ids
}

func roles(list ...string) controlplane.TagChange { return controlplane.TagChange{VisitorRoles: &list} }

func (in *installation) tag(name string, c controlplane.TagChange) {
	in.Helper()
	if _, err := in.CreateTag(in.Context(), admin, name, c); err != nil {
		in.Fatal(err)
	}
}

// dying is a store that is killed after some transactions.
type dying struct {
	controlplane.Store
	left int
}

func (d *dying) Update(ctx context.Context, f func(controlplane.Tx) error) (int64, error) {
	if d.left--; d.left < 0 {
		return 0, errBroken
	}
	return d.Store.Update(ctx, f)
}

func TestAChangeOfATagReachesAllItsApps(t *testing.T) {
	const n = 130
	in := install(t)
	in.tag("red", roles("team"))
	in.tag("blue", roles())
	ids := in.manyApps(n, "blue", "red")
	in.allTold("team", n)
	_, revision, err := in.UpdateTag(t.Context(), admin, "red", roles("crew", "team"))
	wantCode(t, err, "")
	in.allTold("crew team", n)
	same(t, "revision that is told", revision, in.revision())
	_, err = in.App(t.Context(), controlplane.Actor{User: "c", Roles: []string{"crew"}}, ids[n-1])
	wantCode(t, err, "")

	before := in.revision()
	_, _, err = in.UpdateTag(t.Context(), admin, "red", roles("team", "crew", "team"))
	wantCode(t, err, "")
	same(t, "revision after what changes nothing", in.revision(), before)

	_, err = in.DeleteTag(t.Context(), admin, "red")
	wantCode(t, err, "")
	in.allTold("", n)
	app, err := in.App(t.Context(), admin, ids[3])
	wantCode(t, err, "")
	same(t, "tags", app.Tags, []string{"blue"})
	in.tag("red", roles("others"))
	in.allTold("", n)
}

// Roles that take much room in JSON make few apps a transaction.
func TestAChangeOfATagFitsIntoTransactions(t *testing.T) {
	const n, tags, each = 8, 20, 50
	in := install(t)
	long := func(tag int, mark string) (list []string) {
		for i := range each {
			list = append(list, fmt.Sprintf("%02d%02d%s%s", tag, i, mark, strings.Repeat("<", 95)))
		}
		return list
	}
	var names, want []string
	for tag := range tags {
		names = append(names, fmt.Sprintf("tag%02d", tag))
		in.tag(names[tag], roles(long(tag, "a")...))
		if tag > 0 {
			want = append(want, long(tag, "a")...)
		}
	}
	in.manyApps(n, names...)
	want = append(long(0, "b"), want...)
	_, _, err := in.UpdateTag(t.Context(), admin, names[0], roles(long(0, "b")...))
	wantCode(t, err, "")
	told := in.told()
	if len(told) != n {
		t.Errorf("edges know of %d apps, want %d", len(told), n)
	}
	for id, roles := range told {
		if roles != strings.Join(want, " ") {
			t.Errorf("edges are told %d bytes of roles of %s, and not those of now", len(roles), id)
		}
	}
}

// A control plane that is killed half-way leaves it to the next one's start.
func TestAHalfChangedTagIsMended(t *testing.T) {
	const n = 130
	for name, c := range map[string]struct {
		change func(*installation) error
		want   string
	}{
		"update": {func(in *installation) error {
			_, _, err := in.UpdateTag(in.Context(), admin, "red", roles("crew"))
			return err
		}, "crew"},
		"delete": {func(in *installation) error { _, err := in.DeleteTag(in.Context(), admin, "red"); return err }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			in.tag("red", roles("team"))
			in.manyApps(n, "red")
			transactions := map[string]int{"update": 3, "delete": 2}[name] // the tag's own and one more
			in.Store = &dying{in.store, transactions}
			wantCode(t, c.change(in), controlplane.CodeUnavailable)
			in.Store = in.store
			count := map[string]int{}
			for _, roles := range in.told() {
				count[roles]++
			}
			if count["team"] == 0 || count[c.want] == 0 {
				t.Fatalf("edges are told %v: it was not killed half-way", count)
			}
			if err := in.MendTags(t.Context()); err != nil {
				t.Fatal(err)
			}
			in.allTold(c.want, n)
			stale, err := in.store.StaleApps(t.Context())
			if err != nil || len(stale) != 0 {
				t.Errorf("stale %v, %v", stale, err)
			}
			before := in.revision()
			if err := in.MendTags(t.Context()); err != nil || in.revision() != before {
				t.Errorf("mending what is whole: %v, revision %d after %d", err, in.revision(), before)
			}
		})
	}
}

func TestWhoGivesTags(t *testing.T) {
	curator := controlplane.Actor{User: "cora", Full: true, Roles: []string{"curators"}}
	own := controlplane.Actor{User: "ada", Full: true, Roles: []string{"curators"}}
	for name, c := range map[string]struct {
		actor controlplane.Actor
		tags  []string
		code  controlplane.Code
	}{
		"owner, of everybody":         {ada, []string{"red"}, ""},
		"owner, of curators":          {ada, []string{"gold"}, controlplane.CodeForbidden},
		"owner who is a curator":      {own, []string{"gold", "red"}, ""},
		"owner takes a curated one":   {ada, []string{}, controlplane.CodeForbidden},
		"curator takes theirs":        {curator, []string{}, ""},
		"curator gives another":       {curator, []string{"silver", "red"}, controlplane.CodeForbidden},
		"admin":                       {admin, []string{"gold", "red"}, ""},
		"somebody, of everybody":      {bob, []string{"silver", "red"}, controlplane.CodeForbidden},
		"somebody, nothing":           {bob, []string{"silver"}, controlplane.CodeForbidden},
		"owner, nothing":              {ada, []string{"silver"}, ""},
		"a tag that is not there":     {ada, []string{"silver", "none"}, controlplane.CodeUnprocessable},
		"no name":                     {ada, []string{"silver", "a/b"}, controlplane.CodeUnprocessable},
		"who does not see the app":    {visitor, []string{"red"}, controlplane.CodeNotFound},
		"nobody":                      {unknown, []string{"red"}, controlplane.CodeUnauthorized},
		"owner who keeps the curated": {ada, []string{"red", "silver", "red"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			curators := []string{"curators"}
			in.tag("red", controlplane.TagChange{})
			in.tag("gold", controlplane.TagChange{AdminRoles: &curators})
			in.tag("silver", controlplane.TagChange{AdminRoles: &curators})
			app := in.manyApps(1, "silver")[0]
			if strings.HasPrefix(name, "owner, of") || strings.HasPrefix(name, "owner who is") {
				c.tags = append(c.tags, "silver")
			}
			before := in.revision()
			got, err := in.UpdateApp(t.Context(), c.actor, app, controlplane.AppChange{Tags: &c.tags})
			wantCode(t, err, c.code)
			if err != nil {
				same(t, "revision", in.revision(), before)
				return
			}
			slices.Sort(c.tags)
			same(t, "tags", got.Tags, slices.Compact(c.tags))
		})
	}
}

func TestWhoChangesATag(t *testing.T) {
	curator := controlplane.Actor{User: "cora", Roles: []string{"curators"}}
	title, list := "x", []string{"mine"}
	for name, c := range map[string]struct {
		actor  controlplane.Actor
		tag    string
		change controlplane.TagChange
		code   controlplane.Code
	}{
		"full, of everybody":                {bob, "red", controlplane.TagChange{Title: &title, VisitorRoles: &list}, ""},
		"full takes it for themselves":      {bob, "red", controlplane.TagChange{AdminRoles: &list}, controlplane.CodeForbidden},
		"full, curated":                     {bob, "gold", controlplane.TagChange{Title: &title}, controlplane.CodeForbidden},
		"curator":                           {curator, "gold", controlplane.TagChange{Title: &title, VisitorRoles: &list}, ""},
		"curator makes it a category":       {curator, "gold", controlplane.TagChange{IsCategory: new(true)}, ""},
		"curator hands it on":               {curator, "gold", controlplane.TagChange{AdminRoles: &list}, controlplane.CodeForbidden},
		"admin":                             {admin, "gold", controlplane.TagChange{AdminRoles: &list}, ""},
		"visitor":                           {visitor, "red", controlplane.TagChange{Title: &title}, controlplane.CodeForbidden},
		"nobody":                            {unknown, "red", controlplane.TagChange{Title: &title}, controlplane.CodeUnauthorized},
		"one that is not there":             {bob, "none", controlplane.TagChange{Title: &title}, controlplane.CodeNotFound},
		"one that cannot be there":          {bob, "a/b", controlplane.TagChange{Title: &title}, controlplane.CodeNotFound},
		"a role of two lines":               {admin, "red", roles("a\nb"), controlplane.CodeInvalid},
		"a role of nothing":                 {admin, "red", roles(""), controlplane.CodeInvalid},
		"a description of two lines":        {admin, "red", controlplane.TagChange{Description: new("a\nb")}, controlplane.CodeInvalid},
		"a description that is too long":    {admin, "red", controlplane.TagChange{Description: new(strings.Repeat("x", 301))}, controlplane.CodeInvalid},
		"a color that is more than a color": {admin, "red", controlplane.TagChange{Color: new("red;x")}, controlplane.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			curators := []string{"curators"}
			in.tag("red", controlplane.TagChange{})
			in.tag("gold", controlplane.TagChange{AdminRoles: &curators})
			before := in.revision()
			_, _, err := in.UpdateTag(t.Context(), c.actor, c.tag, c.change)
			wantCode(t, err, c.code)
			if changed := in.revision() != before; changed != (err == nil) {
				t.Errorf("changed %v, error %v", changed, err)
			}
		})
	}
}

func TestTagsOfAManifest(t *testing.T) {
	in := install(t)
	curators := []string{"curators"}
	in.tag("red", roles("team"))
	in.tag("gold", controlplane.TagChange{AdminRoles: &curators})
	manifest := demo("demo", "1", `Tags = ["red", "gold", "none", "a/b", "red"]`, "")
	app, warnings, err := in.ImportApp(t.Context(), ada, strings.NewReader(string(archive(t, manifest))), "")
	wantCode(t, err, "")
	same(t, "tags", app.Tags, []string{"red"})
	var of []string
	for _, w := range warnings {
		if w.Code == "tag" {
			of = append(of, w.Value)
		}
	}
	same(t, "warnings", of, []string{"a/b", "gold", "none"})
	in.allTold("team", 1)
}
