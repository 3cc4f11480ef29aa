package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// appCommands are the commands below app, and below admin app: there without
// those that are for a user's own work.
func (p *program) appCommands(own bool) *cobra.Command {
	c := p.group("app", "List, import, run and delete apps", p.appList(own), p.appGet(), p.appImport(),
		p.appUpdate(), p.appSetImage(), p.appDelete())
	if own {
		c.AddCommand(p.appRun(), p.appDownload(), p.bundleCommands(), p.appMeta(), p.appInspect(), p.appSetProfile())
	} else {
		c.AddCommand(p.preconditionCommands())
	}
	return c
}

func (p *program) appGet() *cobra.Command {
	c := &cobra.Command{Use: "get ID", Short: "Show an app", Args: takes(1, 1, "the app's ID")}
	return gets(p, c, p.appView, (*client.Client).App)
}

func (p *program) appRun() *cobra.Command {
	c := &cobra.Command{
		Use:   "run ID",
		Short: "Start an instance of an app",
		Example: `  slipway app run 3f2a9c
  slipway app run 3f2a9c -v PUBLIC --wait
  slipway app run 3f2a9c --profile large`,
		Args: takes(1, 1, "the app's ID"),
	}
	p.outputFlag(c)
	visibility := visibilityFlag(c, "who may open the instance")
	profile := c.Flags().String("profile", "", "start it with this launch `PROFILE`, not with the app's own")
	wait := p.waitFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		run := v1.RunRequest{AppID: args[0], Visibility: new(visibility.String())}
		if *profile != "" {
			run.LaunchProfile = profile
		}
		in, err := api.Run(c.Context(), run)
		if err != nil {
			return err
		}
		return p.settle(c.Context(), api, settling{in: in, goal: running, wait: wait, view: p.startedView})
	}
	return c
}

func (p *program) appUpdate() *cobra.Command {
	c := &cobra.Command{
		Use:   "update ID",
		Short: "Change who sees an app, or its tags",
		Long: `Change who sees an app, or its tags. Nothing else of an app can change: a new
version of it is a new app.`,
		Example: `  slipway app update 3f2a9c -v ALL_USERS
  slipway app update 3f2a9c --tags partners,beta`,
		Args: takes(1, 1, "the app's ID"),
	}
	visibility := newVisibilityFlag(c, "who may see and run the app")
	tags := c.Flags().StringSlice("tags", nil, "all `TAGS` that it is to have; an empty value takes them all away")
	return changes(p, c, p.appView, func(ctx context.Context, api *client.Client, args []string) (*v1.App, error) {
		var patch v1.AppPatch
		if *visibility != "" {
			patch.Visibility = new(visibility.String())
		}
		if c.Flags().Changed("tags") {
			patch.Tags = tags
		}
		if patch == (v1.AppPatch{}) {
			return nil, usageError(c, "there is nothing to change: give -v or --tags")
		}
		return api.UpdateApp(ctx, args[0], patch)
	})
}

func (p *program) appSetImage() *cobra.Command {
	c := &cobra.Command{
		Use:   "set-image ID IMAGE",
		Short: "Set the image of a container app (admins)",
		Args:  takes(2, 2, "the app's ID", "the image"),
	}
	return changes(p, c, p.appView, func(ctx context.Context, api *client.Client, args []string) (*v1.App, error) {
		return api.UpdateApp(ctx, args[0], v1.AppPatch{Image: &args[1]})
	})
}

// startedView is what app run prints: where the instance will be.
func (p *program) startedView(in *v1.Instance) view {
	v := p.instanceView(in)
	v.text = func(w io.Writer, wide bool) error {
		return block(w, 0, []field{{"ID", in.ID}, {"URL", p.shownURL(in.URL)}})
	}
	return v
}

func (p *program) appDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete ID", Short: "Delete an app", Args: takes(1, 1, "the app's ID")}
	p.outputFlag(c)
	force := c.Flags().Bool("force", false, "terminate its instances first (admins)")
	timeout := new(defaultTimeout)
	waitLimitFlag(c, timeout, "timeout", "with --force, how long to wait for the end of the instances")
	yes := yesFlag(c)
	wait := p.edgeWaitFlags(c, onEdges)
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx := c.Context()
		api, err := p.client()
		if err != nil {
			return err
		}
		app, err := api.App(ctx, args[0])
		if err != nil {
			return err
		}
		what := fmt.Sprintf("delete app %s %s (%s)", app.Title, app.Version, app.ID)
		if *force {
			what += " and terminate its instances, with their data"
		}
		if err := p.confirm(ctx, *yes, what); err != nil {
			return err
		}
		begin := p.now()
		if err := p.deleteApp(ctx, api, app.ID, *force, *timeout); err != nil {
			return err
		}
		if err := p.print(p.appView(app)); err != nil {
			return err
		}
		return p.onEveryEdge(ctx, api, wait, begin)
	}
	return c
}

// deleteApp deletes an app. With force the server answers with a conflict
// until the last instance is gone.
func (p *program) deleteApp(ctx context.Context, api *client.Client, id string, force bool, timeout time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errWaited)
	defer cancel()
	told := false
	for {
		// The call itself is not cut short by the timeout: whether the app is
		// gone is what the caller wants to know.
		err := api.DeleteApp(ctx, id, force)
		if !force || client.CodeOf(err) != controlplane.CodeConflict {
			return err
		}
		if !told {
			p.say("%s; waiting for their end", oneLine(err.Error()))
			told = true
		}
		if sleep(limited, p.poll) != nil {
			if !errors.Is(context.Cause(limited), errWaited) {
				return limited.Err()
			}
			return controlplane.Errorf(controlplane.CodeTimeout, "delete app %s: its instances were still there after %s", id, timeout).
				WithHint("slipway app delete %s --force goes on", id)
		}
	}
}

func (p *program) appTable(list []appRow) view {
	v := listView(list, func(a *v1.App) string { return "app/" + a.ID })
	v.text = func(w io.Writer, wide bool) error {
		if p.compatible() {
			return p.compatAppTable(w, list, wide)
		}
		header := []string{"ID", "TITLE", "OWNER", "CREATED", "VISIBILITY", "TAGS"}
		if wide {
			header = append(header, "NAME", "LIFECYCLE", "MODE", "ROUTING", "RUNNABLE", "UPDATED")
		}
		rows := make([][]cell, len(list))
		for i := range list {
			a := &list[i].Item
			rows[i] = cells(a.ID, a.Title+" "+a.Version, a.Owner, p.age(a.CreatedAt), a.Visibility, strings.Join(a.Tags, ", "))
			if wide {
				rows[i] = append(rows[i], cells(a.Name, a.Lifecycle, a.AppMode, a.RoutingMode, strconv.FormatBool(a.Runnable), p.age(a.UpdatedAt))...)
			}
		}
		return p.table(w, header, rows)
	}
	return v
}

// appBlockWidth is where the App Store's block of an app has its values.
const appBlockWidth = 16

func (p *program) appView(a *v1.App) view {
	return view{value: a, names: []string{"app/" + a.ID}, text: func(w io.Writer, wide bool) error {
		if p.compatible() && !wide {
			return block(w, appBlockWidth, p.compatAppFields(a))
		}
		fields := []field{
			{"ID", a.ID},
			{"Title", a.Title},
			{"Version", a.Version},
			{"Created At", a.CreatedAt.UTC().String()},
			{"Updated At", a.UpdatedAt.UTC().String()},
			{"Owner", a.Owner},
			{"Visibility", a.Visibility},
			{"Description", a.Description},
			{"Tags", strings.Join(a.Tags, ", ")},
			{"Runnable", strconv.FormatBool(a.Runnable)},
		}
		for _, r := range a.Reasons {
			fields = append(fields, field{"Reason", r.Code + ": " + r.Text})
		}
		for _, f := range []struct {
			name  string
			value *string
		}{{"Link", a.Link}, {"Image", a.Image}, {"Launch Profile", a.LaunchProfile}} {
			if f.value != nil {
				fields = append(fields, field{f.name, *f.value})
			}
		}
		if wide {
			fields = append(fields, field{"Runtime Version", text(a.RuntimeVersion)}, field{"Categories", strings.Join(a.Categories, ", ")}, field{"Name", a.Name}, field{"Lifecycle", a.Lifecycle}, field{"Mode", a.AppMode}, field{"Routing Mode", a.RoutingMode})
		}
		return block(w, appBlockWidth, fields)
	}}
}
