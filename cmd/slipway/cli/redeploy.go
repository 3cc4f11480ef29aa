package cli

import (
	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func (p *program) instanceRedeploy() *cobra.Command {
	c := &cobra.Command{
		Use:   "redeploy ID",
		Short: "Have an instance take what the settings say now",
		Long: `Have an instance take what the settings say now: runtime version, resources,
launch profile. Otherwise they reach new instances alone. What runs is started
anew; what sleeps takes it when it wakes.`,
		Args: takes(1, 1, "the instance's ID"),
	}
	p.outputFlag(c)
	wait := p.waitFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		in, err := api.Redeploy(c.Context(), args[0])
		if err != nil {
			return err
		}
		if status := controlplane.Status(in.Status); !status.Starting() {
			return p.print(p.instanceView(in)) // there is nothing to wait for
		}
		return p.settle(c.Context(), api, settling{in: in, goal: running, wait: wait, view: p.instanceView, after: true})
	}
	return c
}
