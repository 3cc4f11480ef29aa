package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// preconditionCommands are below admin app.
func (p *program) preconditionCommands() *cobra.Command {
	c := &cobra.Command{
		Use:   "refresh [ID]",
		Short: "Check at once whether an app can be run, or every app",
		Long: `Check at once whether an app can be run, or every app. The server does so every
ten minutes, and whenever an app changes; what has changed is in the audit.`,
		Args: takes(0, 1),
	}
	p.outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		if len(args) > 0 {
			app, err := api.RefreshApp(c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.print(p.appView(app))
		}
		done, err := api.RefreshApps(c.Context())
		if err != nil {
			return err
		}
		return p.print(view{value: done, text: func(w io.Writer, _ bool) error {
			_, err := fmt.Fprintf(w, "apps checked: %d, changed: %d\n", done.Checked, done.Changed)
			return err
		}})
	}
	return p.group("preconditions", "What apps need to run", c)
}

func (p *program) appSetProfile() *cobra.Command {
	c := &cobra.Command{
		Use:   "set-default-profile ID [PROFILE]",
		Short: "Give an app a launch profile of its own; without PROFILE, none",
		Args:  takes(1, 2, "the app's ID", "the launch profile"),
	}
	return changes(p, c, p.appView, func(ctx context.Context, api *client.Client, args []string) (*v1.App, error) {
		profile := ""
		if len(args) > 1 {
			profile = args[1]
		}
		return api.UpdateApp(ctx, args[0], v1.AppPatch{LaunchProfile: &profile})
	})
}
