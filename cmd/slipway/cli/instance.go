package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// instanceCommands are the commands below instance, and below admin instance,
// which has one more.
func (p *program) instanceCommands(admin bool) *cobra.Command {
	group := p.group("instance", "List, suspend, resume and terminate instances",
		p.instanceList(!admin), p.instanceGet(), p.instanceStatus(), p.instanceLogs(), p.instanceWhy(), p.instanceEvents(), p.instanceWait(),
		p.compatWaiting(p.instanceChange("suspend", "Put an instance to sleep; a visit wakes it", asleep, (*client.Client).Suspend)),
		p.compatWaiting(p.instanceChange("resume", "Start an instance that sleeps or failed", running, (*client.Client).Resume)),
		p.instanceChange("restart", "Start an instance anew", running, (*client.Client).Restart),
		p.instanceUpdate(), p.instanceTerminate())
	if admin {
		group.AddCommand(p.disableAutosuspend(), p.instanceRedeploy())
	}
	return group
}

func (p *program) instanceGet() *cobra.Command {
	c := &cobra.Command{Use: "get ID", Short: "Show an instance", Args: takes(1, 1, "the instance's ID")}
	return gets(p, c, p.instanceView, (*client.Client).Instance)
}

// instanceChange is suspend, resume or restart: a call, and what it leads to.
func (p *program) instanceChange(use, short string, g goal, change func(*client.Client, context.Context, string) (*v1.Instance, error)) *cobra.Command {
	c := &cobra.Command{Use: use + " ID", Short: short, Args: takes(1, 1, "the instance's ID")}
	p.outputFlag(c)
	wait := p.waitFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		in, err := change(api, c.Context(), args[0])
		if err != nil {
			return err
		}
		return p.settle(c.Context(), api, settling{in: in, goal: g, wait: wait, view: p.changedView, after: true})
	}
	return c
}

func (p *program) instanceUpdate() *cobra.Command {
	c := &cobra.Command{
		Use:     "update ID",
		Short:   "Change who may open an instance, and whose visits wake it",
		Example: `  slipway instance update 2efe9e -v ALL_USERS --wake owner`,
		Args:    takes(1, 1, "the instance's ID"),
	}
	visibility := newVisibilityFlag(c, "who may open the instance")
	wake := c.Flags().String("wake", "", "whose visits wake the instance: visitors (who may open it), owner or never")
	return changes(p, c, p.instanceView, func(ctx context.Context, api *client.Client, args []string) (*v1.Instance, error) {
		var patch v1.InstancePatch
		if *visibility != "" {
			patch.Visibility = new(visibility.String())
		}
		switch {
		case *wake != "" && !controlplane.WakePolicy(*wake).Valid():
			return nil, usageError(c, "--wake is visitors, owner or never, not %q", *wake)
		case *wake != "":
			patch.Wake = wake
		case patch.Visibility == nil:
			return nil, usageError(c, "there is nothing to change: give -v or --wake")
		}
		return api.UpdateInstance(ctx, args[0], patch)
	})
}

func (p *program) instanceTerminate() *cobra.Command {
	c := &cobra.Command{
		Use:   "terminate ID",
		Short: "End an instance for good, with its data",
		Args:  takes(1, 1, "the instance's ID"),
	}
	p.outputFlag(c)
	wait := p.waitFlags(c)
	yes := yesFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx := c.Context()
		api, err := p.client()
		if err != nil {
			return err
		}
		id := args[0]
		if p.asks(*yes) {
			in, err := api.Instance(ctx, id)
			if err != nil {
				return err
			}
			what := fmt.Sprintf("terminate instance %s of %s %s, with its data", in.ID, in.AppName, in.AppVersion)
			if err := p.confirm(ctx, *yes, what); err != nil {
				return err
			}
			id = in.ID
		}
		in, err := api.Terminate(ctx, id)
		if err != nil {
			return err
		}
		return p.settle(ctx, api, settling{in: in, goal: gone, wait: wait, view: p.instanceView})
	}
	return c
}

func (p *program) instanceLogs() *cobra.Command {
	c := &cobra.Command{Use: "logs ID", Short: "Print what an instance wrote", Args: takes(1, 1, "the instance's ID")}
	var l client.Logs
	c.Flags().BoolVarP(&l.Follow, "follow", "f", false, "go on with what it writes, until Ctrl-C")
	c.Flags().BoolVarP(&l.Previous, "previous", "p", false, "of the process before the present one")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		logs, err := api.InstanceLogs(c.Context(), args[0], l)
		if err != nil {
			return err
		}
		defer logs.Close()
		if err := p.copyLogs(logs); err != nil || !l.Follow {
			return err
		}
		return stillAllowed(c.Context(), api, args[0])
	}
	return c
}

// stillAllowed is an error if a log that was followed has ended since the caller
// may not read it any more. It ends with its instance too, which is none.
func stillAllowed(ctx context.Context, api *client.Client, id string) error {
	_, err := api.Instance(ctx, id)
	if code := exitCode(ctx, err); code == ExitSignIn || code == ExitForbidden {
		return err
	}
	return nil
}

func (p *program) instanceTable(list []client.Row[v1.Instance]) view {
	v := listView(list, func(in *v1.Instance) string { return "instance/" + in.ID })
	v.text = func(w io.Writer, wide bool) error {
		header := []string{"ID", "APP", "STATUS", "OWNER", "VISIBILITY", "URL", "CREATED"}
		if wide {
			header = append(header, "LAUNCHER", "ROUTING", "PRIMARY ALIAS", "SUSPEND AFTER", "LAST ACTIVE", "RESTARTS", "REASON")
		}
		rows := make([][]cell, len(list))
		for i := range list {
			in := &list[i].Item
			row := cells(in.ID, in.AppName+" "+in.AppVersion, in.Status, in.Owner, in.Visibility, in.URL, p.age(in.CreatedAt))
			row[2].color = statusColor(in.Status)
			if wide {
				active := ""
				if in.LastActive != nil {
					active = p.age(*in.LastActive)
				}
				row = append(row, cells(in.Launcher, in.RoutingMode, text(in.PrimaryAlias), p.moment(in.SuspendAfter), active, strconv.Itoa(in.Restarts), reason(in.Reason))...)
			}
			rows[i] = row
		}
		return p.table(w, header, rows)
	}
	return v
}

func statusColor(status string) string {
	switch controlplane.Status(status) {
	case controlplane.Deployed:
		return green
	case controlplane.Failed, controlplane.Unknown:
		return red
	case controlplane.Suspended:
		return ""
	}
	return yellow
}

func (p *program) instanceView(in *v1.Instance) view {
	return view{value: in, names: []string{"instance/" + in.ID}, text: func(w io.Writer, wide bool) error {
		if p.compatible() && !wide {
			return block(w, 0, p.instanceFields(in))
		}
		return block(w, 0, append(p.instanceFields(in), []field{
			{"Awake Because", text(in.AwakeBecause)},
			{"Wake", in.Wake},
			{"Launcher", in.Launcher},
			{"Routing Mode", in.RoutingMode},
			{"Primary Alias", text(in.PrimaryAlias)},
			{"Profile", text(in.LaunchProfile)},
			{"Last Active", stamp(in.LastActive)},
			{"Restarts", strconv.Itoa(in.Restarts)},
			{"Stage", text(in.Stage)},
			{"Reason", reason(in.Reason)},
		}...))
	}}
}

func reason(r *v1.Reason) string {
	if r == nil {
		return ""
	}
	return r.Code + ": " + r.Text
}
