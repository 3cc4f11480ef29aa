package cli

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// filters are flags whose names are parameters of a list.
type filters struct {
	c     *cobra.Command
	names map[string]string // of the parameters, by flag
	all   *bool             // nil: it lists everybody's anyhow
}

func addFilters(c *cobra.Command, own bool, things string) *filters {
	f := &filters{c: c, names: map[string]string{}}
	if own {
		f.all = c.Flags().BoolP("all", "a", false, "all "+things+" that you may see, not only your own")
	} else {
		c.Flags().BoolP("all", "a", true, "all "+things+", as without it")
	}
	return f
}

func (f *filters) text(flag, parameter, usage string) {
	f.names[flag] = parameter
	f.c.Flags().String(flag, "", usage)
}

// picked is what the flags ask for. Whose they are the flag says that names an
// owner; without one and without -a they are the caller's own.
// One that is given empty, as a variable of a script that is not set makes it,
// is a usage error: it would pick everything.
func (f *filters) picked() (client.Filter, error) {
	out := client.Filter{}
	for _, flag := range slices.Sorted(maps.Keys(f.names)) {
		v := f.c.Flags().Lookup(flag)
		if !v.Changed {
			continue
		}
		if strings.TrimSpace(v.Value.String()) == "" {
			return nil, usageError(f.c, "--%s is empty: give a value, or leave the flag out", flag)
		}
		out[f.names[flag]] = v.Value.String()
	}
	if f.all != nil && !*f.all && out["owner"] == "" {
		out["mine"] = "true"
	}
	return out, nil
}

func (p *program) appList(own bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the apps",
		Long:  `List the apps: your own, or with -a all that you may see.`,
		Example: `  slipway app list -a --category DATA_SCIENCE
  slipway app list -a --search "forecast sales"
  slipway app list --name ai.h2o.demo --latest -o name`,
		Args: takes(0, 0),
	}
	if !own {
		c.Long = "List the apps of everybody."
		c.Example = strings.ReplaceAll(strings.ReplaceAll(c.Example, "slipway app", "slipway admin app"), " -a", "")
	}
	f := addFilters(c, own, "apps")
	f.text("name", "name", "with this App.`NAME`")
	f.text("owner", "owner", "imported by this `USER`")
	f.text("tag", "tag", "with this `TAG`")
	f.text("category", "category", "in this `CATEGORY`")
	f.text("visibility", "visibility", "of this `VISIBILITY`: PRIVATE, ALL_USERS or PUBLIC")
	f.text("runnable", "runnable", "that can be run now: `true`, or false for those that cannot")
	f.text("search", "q", "with each of these `WORDS` in name, title, description, keywords or tags")
	latest := c.Flags().BoolP("latest", "l", false, "only the newest version of each name")
	var by string
	c.Flags().Var(&choice{to: &by, from: []string{"title", "name", "owner", "created", "updated"}}, "sort", "the order: `title` (default), name, owner, created or updated (newest first)")
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		picked, err := f.picked()
		if err != nil {
			return view{}, err
		}
		if v := picked["visibility"]; v != "" {
			picked["visibility"] = strings.ToUpper(v)
		}
		list, err := api.AppRows(ctx, picked)
		if err != nil {
			return view{}, err
		}
		list = sortApps(list, by)
		if *latest {
			list = latestOf(list)
		}
		return p.appTable(list), nil
	})
}

// appRow is an app of a list.
type appRow = client.Row[v1.App]

// sortable is an app with what it is sorted by: what is asked for, then the
// name, each without regard to case first, and the version.
type sortable struct {
	row     *appRow
	folded  [2]string
	text    [2]string
	at      time.Time // the newest first
	version *semver.Version
}

func (a *sortable) compare(b *sortable) int {
	for i := range a.folded {
		if order := cmp.Compare(a.folded[i], b.folded[i]); order != 0 {
			return order
		}
		if order := cmp.Compare(a.text[i], b.text[i]); order != 0 {
			return order
		}
		if order := b.at.Compare(a.at); order != 0 {
			return order
		}
	}
	if a.version != nil && b.version != nil {
		if order := b.version.Compare(a.version); order != 0 {
			return order
		}
	}
	return cmp.Compare(b.row.Item.Version, a.row.Item.Version)
}

// sortApps sorts by what is asked for, then the versions of an app with the
// newest first.
func sortApps(list []appRow, by string) []appRow {
	versions := map[string]*semver.Version{}
	keys := make([]sortable, len(list))
	for i := range list {
		a := &list[i].Item
		version, known := versions[a.Version]
		if !known {
			version, _ = semver.NewVersion(a.Version)
			versions[a.Version] = version
		}
		key := sortable{row: &list[i], version: version}
		switch cmp.Or(by, "title") {
		case "title":
			key.folded[0], key.text[0] = strings.ToLower(a.Title), a.Title
		case "owner":
			key.text[0] = a.Owner
		case "created":
			key.at = a.CreatedAt
		case "updated":
			key.at = a.UpdatedAt
		}
		key.folded[1], key.text[1] = strings.ToLower(a.Name), a.Name
		keys[i] = key
	}
	order := make([]*sortable, len(keys))
	for i := range keys {
		order[i] = &keys[i]
	}
	slices.SortStableFunc(order, (*sortable).compare)
	sorted := make([]appRow, len(list))
	for i, key := range order {
		sorted[i] = *key.row
	}
	return sorted
}

// latestOf keeps the newest version of each name, in the order of the list.
func latestOf(list []appRow) []appRow {
	newest := map[string]string{}
	for _, a := range sortApps(list, "name") {
		if _, seen := newest[strings.ToLower(a.Item.Name)]; !seen {
			newest[strings.ToLower(a.Item.Name)] = a.Item.ID
		}
	}
	return slices.DeleteFunc(list, func(a appRow) bool { return newest[strings.ToLower(a.Item.Name)] != a.Item.ID })
}

func (p *program) instanceList(own bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "list [APP]",
		Short: "List the instances",
		Long:  "List the instances: your own, or with -a all that you may see; with APP, an ID\nor a name, those of one app.",
		Args:  takes(0, 1),
	}
	if !own {
		c.Long = "List the instances of everybody; with APP, an ID or a name, those of one app."
	}
	f := addFilters(c, own, "instances")
	f.text("owner", "owner", "started by this `USER`")
	f.text("status", "status", "in this `STATUS`, such as DEPLOYED")
	f.text("visibility", "visibility", "of this `VISIBILITY`: PRIVATE, ALL_USERS or PUBLIC")
	return p.showing(c, func(ctx context.Context, api *client.Client, args []string) (view, error) {
		picked, err := f.picked()
		if err != nil {
			return view{}, err
		}
		for _, name := range []string{"status", "visibility"} {
			if v := picked[name]; v != "" {
				picked[name] = strings.ToUpper(v)
			}
		}
		if len(args) > 0 {
			picked["app"] = strings.TrimPrefix(args[0], "app/")
		}
		list, err := api.InstanceRows(ctx, picked)
		return p.instanceTable(list), err
	})
}
