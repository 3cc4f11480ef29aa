package cli

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// leaderCommands are the commands below admin leader.
func (p *program) leaderCommands() *cobra.Command {
	return p.group("leader", "See which control plane leads", p.leaderGet())
}

func (p *program) leaderGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get", Short: "Show which control plane leads, and since when", Args: takes(0, 0),
		Long: `Show which control plane leads: of several it alone starts, stops and removes
instances. The epoch grows from each leader to the next.`,
	}
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		l, err := api.Leader(ctx)
		if err != nil {
			return view{}, err
		}
		return leaderView(l), nil
	})
}

func leaderView(l *v1.Leader) view {
	return view{value: l, names: []string{"edge/" + l.Name}, text: func(w io.Writer, _ bool) error {
		return block(w, 0, []field{
			{"Name", l.Name},
			{"Since", stamp(&l.Since)},
			{"Epoch", strconv.FormatInt(l.Epoch, 10)},
			{"Address", text(l.Address)},
		})
	}}
}
