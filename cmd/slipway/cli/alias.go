package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// aliasCommands are the commands below admin alias, and below alias, for the
// user's own instances. What a caller may change is the server's to say.
func (p *program) aliasCommands(path string) *cobra.Command {
	c := p.group("alias", "Give instances names of their own",
		p.aliasList(), p.aliasGet(), p.aliasCreate(path), p.aliasAssign(path), p.aliasPromote(), p.aliasDelete())
	if path == "alias" {
		c.Long = `Give your own instances names.

It needs an installation that lets users do so (setting user_aliases).
Admins name any instance, with: slipway admin alias`
	}
	return c
}

func (p *program) aliasList() *cobra.Command {
	return lists(p, "List the aliases", p.aliasTable, (*client.Client).AllAliases)
}

func (p *program) aliasGet() *cobra.Command {
	c := &cobra.Command{Use: "get NAME|ID", Short: "Show an alias", Args: takes(1, 1, "the alias's name or ID")}
	return gets(p, c, p.aliasView, (*client.Client).Alias)
}

func (p *program) aliasCreate(path string) *cobra.Command {
	c := &cobra.Command{
		Use:     "create NAME [INSTANCE [PRIMARY]]",
		Short:   "Create an alias, and assign it",
		Example: "  slipway " + path + " create sales\n  slipway " + path + " create sales 2efe9ed7-2bdd-4d02-9be6-f73a196d663d True",
	}
	return p.aliasChange(c, func(ctx context.Context, api *client.Client, name string, target v1.AssignRequest) (*v1.Alias, error) {
		return api.CreateAlias(ctx, v1.AliasRequest{Name: name, InstanceID: target.InstanceID, Primary: target.Primary})
	})
}

func (p *program) aliasAssign(path string) *cobra.Command {
	c := &cobra.Command{
		Use:   "assign NAME|ID [INSTANCE [PRIMARY]]",
		Short: "Move an alias to an instance, or away from all",
		Long: `Move an alias to an instance, or without one away from all.

With True the alias becomes the instance's primary one: the address that its
other addresses redirect to. Without, it is not primary any more.`,
		Example: "  slipway " + path + " assign sales 2efe9ed7-2bdd-4d02-9be6-f73a196d663d True\n  slipway " + path + " assign sales",
	}
	return p.aliasChange(c, func(ctx context.Context, api *client.Client, name string, target v1.AssignRequest) (*v1.Alias, error) {
		return api.AssignAlias(ctx, name, target)
	})
}

// aliasChange completes a command whose arguments are an alias and its target.
func (p *program) aliasChange(c *cobra.Command, change func(context.Context, *client.Client, string, v1.AssignRequest) (*v1.Alias, error)) *cobra.Command {
	c.Args = takes(1, 3, "the alias's name")
	of := p.aliasView
	if c.Name() == "assign" {
		of = p.assignedView
	}
	return changes(p, c, of, func(ctx context.Context, api *client.Client, args []string) (*v1.Alias, error) {
		target, err := aliasTarget(c, args[0], args[1:])
		if err != nil {
			return nil, err
		}
		return p.warned(change(ctx, api, args[0], target))
	})
}

// aliasTarget reads [INSTANCE [PRIMARY]]. An empty INSTANCE is none, but for an
// alias that is there: a variable that is not set would take it away from its
// instance.
func aliasTarget(c *cobra.Command, name string, args []string) (v1.AssignRequest, error) {
	var r v1.AssignRequest
	empty := len(args) > 0 && args[0] == ""
	if empty && c.Name() == "assign" {
		return r, controlplane.Errorf(controlplane.CodeInvalid, "INSTANCE is empty").
			WithHint("name an instance; for none leave it out: %s %s", c.CommandPath(), name)
	}
	if len(args) > 0 && !empty {
		r.InstanceID = &args[0]
	}
	if len(args) > 1 {
		primary, err := strconv.ParseBool(args[1])
		if err != nil {
			return r, usageError(c, "PRIMARY is True or False, not %q", args[1])
		}
		r.Primary = &primary
	}
	return r, nil
}

// warned says what a change of an alias did beside.
func (p *program) warned(a *v1.Alias, err error) (*v1.Alias, error) {
	if err == nil {
		for _, text := range a.Warnings {
			p.warn("%s", oneLine(text))
		}
	}
	return a, err
}

func (p *program) aliasPromote() *cobra.Command {
	c := &cobra.Command{
		Use:   "promote NAME|ID",
		Short: "Make an alias the primary one of its instance",
		Args:  takes(1, 1, "the alias's name or ID"),
	}
	return changes(p, c, p.aliasView, func(ctx context.Context, api *client.Client, args []string) (*v1.Alias, error) {
		return p.warned(api.PromoteAlias(ctx, args[0]))
	})
}

func (p *program) aliasDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete NAME|ID", Short: "Delete an alias", Args: takes(1, 1, "the alias's name or ID")}
	return changes(p, c, p.aliasView, func(ctx context.Context, api *client.Client, args []string) (*v1.Alias, error) {
		a, err := api.Alias(ctx, args[0])
		if err == nil {
			err = api.DeleteAlias(ctx, a.ID)
		}
		return a, err
	})
}

// instanceOf is the alias's instance; unassigned it is the nil UUID, as in
// the App Store.
func instanceOf(a *v1.Alias) string {
	if a.InstanceID == nil {
		return uuid.Nil.String()
	}
	return *a.InstanceID
}

func (p *program) aliasTable(list []v1.Alias) view {
	v := view{value: items[v1.Alias]{list}}
	for _, a := range list {
		v.names = append(v.names, "alias/"+a.Name)
	}
	v.text = func(w io.Writer, wide bool) error {
		header := []string{"ID", "ALIAS", "INSTANCE ID", "PRIMARY", "STATE", "URL", "CREATED"}
		if wide {
			header = append(header, "UPDATED")
		}
		var rows [][]cell
		for _, a := range list {
			row := cells(a.ID, a.Name, instanceOf(&a), fmt.Sprint(a.Primary), a.State, a.URL, p.age(a.CreatedAt))
			if wide {
				row = append(row, cells(p.age(a.UpdatedAt))...)
			}
			rows = append(rows, row)
		}
		return p.table(w, header, rows)
	}
	return v
}

func (p *program) aliasView(a *v1.Alias) view {
	return view{value: a, names: []string{"alias/" + a.Name}, text: func(w io.Writer, wide bool) error {
		if p.compatible() && !wide {
			return block(w, 0, aliasFields(a))
		}
		return block(w, 0, append(aliasFields(a), field{"URL", a.URL}, field{"State", a.State}))
	}}
}
