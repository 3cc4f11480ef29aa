package cli

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// tagCommands are the commands below tag, and below admin tag: there with
// those that only admins may use.
func (p *program) tagCommands(admin bool) *cobra.Command {
	c := p.group("tag", "Group apps by tags, and show them to visitors",
		p.tagList(), p.tagGet(), p.tagUpdate(),
		p.tagMove("assign", "Give an app a tag", func(tags []string, tag string) []string { return append(tags, tag) }),
		p.tagMove("remove", "Take a tag from an app", func(tags []string, tag string) []string {
			return slices.DeleteFunc(tags, func(t string) bool { return t == tag })
		}))
	if admin {
		c.AddCommand(p.tagCreate(), p.tagDelete())
	}
	return c
}

func (p *program) tagList() *cobra.Command {
	return lists(p, "List the tags", p.tagTable, (*client.Client).AllTags)
}

func (p *program) tagGet() *cobra.Command {
	c := &cobra.Command{Use: "get NAME", Short: "Show a tag", Args: takes(1, 1, "the tag's name")}
	return gets(p, c, tagView, (*client.Client).Tag)
}

// tagFlags are what a tag has beside its name.
type tagFlags struct {
	title, description, color string
	category                  bool
	visitors, assigners       []string
}

func addTagFlags(c *cobra.Command) *tagFlags {
	var f tagFlags
	c.Flags().StringVarP(&f.title, "title", "t", "", "what people read")
	c.Flags().VarP((*tagColor)(&f.color), "color", "c", "its colour: `#RRGGBB`")
	c.Flags().StringSliceVarP(&f.visitors, "visitor-roles", "v", nil, "the `ROLES` of visitors who see and run the ALL_USERS apps that have the tag")
	c.Flags().StringSliceVarP(&f.assigners, "admin-roles", "a", nil, "the `ROLES` of which one is needed to assign, remove and update the tag (none: every full user); the admins' to set")
	c.Flags().StringVarP(&f.description, "description", "d", "", "one line about it")
	c.Flags().BoolVar(&f.category, "category", false, "make it a category, by which apps are found (app list --category)")
	return &f
}

// tagColor is the value of --color: #RRGGBB, or empty for none.
type tagColor string

var rrggbb = regexp.MustCompile(`^(#[0-9A-Fa-f]{6})?$`)

func (v *tagColor) Set(s string) error {
	if !rrggbb.MatchString(s) {
		return errors.New("it is #RRGGBB, like #c00000")
	}
	*v = tagColor(s)
	return nil
}

func (v *tagColor) String() string { return string(*v) }
func (v *tagColor) Type() string   { return "color" }

func (p *program) tagCreate() *cobra.Command {
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a tag",
		Example: `  slipway admin tag create partners --title Partners --visitor-roles partner
  slipway admin tag create FINSERV --title 'Financial services' --category`,
		Args: takes(0, 1),
	}
	name := c.Flags().StringP("name", "n", "", "the tag's name, instead of as an argument")
	f := addTagFlags(c)
	return changes(p, c, tagView, func(ctx context.Context, api *client.Client, args []string) (*v1.Tag, error) {
		switch {
		case len(args) > 0 && *name != "":
			return nil, usageError(c, "the name is given twice")
		case len(args) > 0:
			*name = args[0]
		case *name == "":
			return nil, usageError(c, "the tag's name is missing")
		}
		return api.CreateTag(ctx, v1.TagRequest{
			Name: *name, Title: f.title, Description: f.description, Color: f.color, IsCategory: f.category,
			VisitorRoles: f.visitors, AdminRoles: f.assigners,
		})
	})
}

func (p *program) tagUpdate() *cobra.Command {
	c := &cobra.Command{
		Use:   "update NAME",
		Short: "Change a tag",
		Long: `Change a tag: what is given replaces what was there, and an empty value takes
it away. Its name stays, since apps name it.`,
		Example: `  slipway tag update partners --visitor-roles partner,supplier
  slipway tag update partners --visitor-roles ''
  slipway tag update FINSERV --category=false`,
		Args: takes(1, 1, "the tag's name"),
	}
	f := addTagFlags(c)
	return changes(p, c, tagView, func(ctx context.Context, api *client.Client, args []string) (*v1.Tag, error) {
		var patch v1.TagPatch
		given := func(name string) bool { return c.Flags().Changed(name) }
		if given("title") {
			patch.Title = &f.title
		}
		if given("description") {
			patch.Description = &f.description
		}
		if given("category") {
			patch.IsCategory = &f.category
		}
		if given("color") {
			patch.Color = &f.color
		}
		if given("visitor-roles") {
			patch.VisitorRoles = &f.visitors
		}
		if given("admin-roles") {
			patch.AdminRoles = &f.assigners
		}
		if patch == (v1.TagPatch{}) {
			return nil, usageError(c, "there is nothing to change")
		}
		return api.UpdateTag(ctx, args[0], patch)
	})
}

func (p *program) tagDelete() *cobra.Command {
	c := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a tag, and take it from its apps",
		Args:  takes(1, 1, "the tag's name"),
	}
	yes := yesFlag(c)
	return changes(p, c, tagView, func(ctx context.Context, api *client.Client, args []string) (*v1.Tag, error) {
		t, err := api.Tag(ctx, args[0])
		if err == nil {
			err = p.confirm(ctx, *yes, "delete tag "+t.Name)
		}
		if err == nil {
			err = api.DeleteTag(ctx, t.Name)
		}
		return t, err
	})
}

// tagMove is assign or remove.
func (p *program) tagMove(use, short string, move func(tags []string, tag string) []string) *cobra.Command {
	c := &cobra.Command{Use: use + " TAG APP", Short: short, Args: takes(2, 2, "the tag's name", "the app's ID")}
	p.outputFlag(c)
	wait := p.edgeWaitFlags(c, onEdges)
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx := c.Context()
		api, err := p.client()
		if err != nil {
			return err
		}
		// Without it a slip of the pen would look like a tag that is not there.
		tag, err := api.Tag(ctx, args[0])
		if err != nil {
			return err
		}
		app, err := api.App(ctx, args[1])
		if err != nil {
			return err
		}
		begin := p.now()
		if has := slices.Contains(app.Tags, tag.Name); has == (use == "assign") {
			p.say("unchanged")
			return p.print(p.appView(app))
		}
		tags := move(slices.Clone(app.Tags), tag.Name)
		if app, err = api.UpdateApp(ctx, app.ID, v1.AppPatch{Tags: &tags}); err != nil {
			return err
		}
		return p.changed(ctx, api, changing{p.appView(app), wait, begin})
	}
	return c
}

func (p *program) tagTable(list []v1.Tag) view {
	v := view{value: items[v1.Tag]{list}}
	for _, t := range list {
		v.names = append(v.names, "tag/"+t.Name)
	}
	v.text = func(w io.Writer, wide bool) error {
		header := []string{"NAME", "TITLE", "COLOR", "KIND", "VISITOR ROLES", "ADMIN ROLES"}
		if wide {
			header = append(header, "DESCRIPTION", "CREATED", "UPDATED")
		}
		var rows [][]cell
		for _, t := range list {
			row := cells(t.Name, t.Title, t.Color, strings.Join(t.Kinds, ", "), strings.Join(t.VisitorRoles, ", "), strings.Join(t.AdminRoles, ", "))
			if wide {
				row = append(row, cells(t.Description, p.age(t.CreatedAt), p.age(t.UpdatedAt))...)
			}
			rows = append(rows, row)
		}
		return p.table(w, header, rows)
	}
	return v
}

func tagView(t *v1.Tag) view {
	return view{value: t, names: []string{"tag/" + t.Name}, text: func(w io.Writer, _ bool) error {
		return block(w, 0, []field{
			{"Name", t.Name},
			{"Title", t.Title},
			{"Description", t.Description},
			{"Color", t.Color},
			{"Kind", strings.Join(t.Kinds, ", ")},
			{"Visitor Roles", strings.Join(t.VisitorRoles, ", ")},
			{"Admin Roles", strings.Join(t.AdminRoles, ", ")},
			{"Created At", t.CreatedAt.UTC().String()},
			{"Updated At", t.UpdatedAt.UTC().String()},
		})
	}}
}
