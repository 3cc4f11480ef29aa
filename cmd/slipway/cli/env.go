package cli

import (
	"context"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// envCommands show what an installation offers to apps.
func (p *program) envCommands() *cobra.Command {
	return p.group("env", "Show what apps can ask for here",
		p.group("runtime-version", "Runtime versions, which app.toml names", p.runtimeVersions()),
		p.group("launch-profiles", "Launch profiles: sets of resources with a name", p.launchProfiles()))
}

func (p *program) runtimeVersions() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the runtime versions", Args: takes(0, 0)}
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		list, err := api.RuntimeVersions(ctx)
		if err != nil {
			return view{}, err
		}
		v := view{value: items[v1.RuntimeVersion]{list}}
		for _, r := range list {
			v.names = append(v.names, "runtime-version/"+r.Name)
		}
		v.text = func(w io.Writer, wide bool) error {
			header := []string{"NAME", "STATUS"}
			if wide {
				header = append(header, "PYTHON", "IMAGE")
			}
			var rows [][]cell
			for _, r := range list {
				row := cells(r.Name, map[string]string{"default": "Default", "deprecated": "Deprecated"}[r.Status])
				if wide {
					row = append(row, cells(text(r.Python), text(r.Image))...)
				}
				rows = append(rows, row)
			}
			return p.table(w, header, rows)
		}
		return v, nil
	})
}

func (p *program) launchProfiles() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the launch profiles", Args: takes(0, 0)}
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		list, err := api.LaunchProfiles(ctx)
		if err != nil {
			return view{}, err
		}
		v := view{value: items[v1.LaunchProfile]{list}}
		for _, l := range list {
			v.names = append(v.names, "launch-profile/"+l.Name)
		}
		v.text = func(w io.Writer, _ bool) error {
			var rows [][]cell
			for _, l := range list {
				rows = append(rows, cells(l.Name, l.MemoryLimit, l.MemoryReservation, l.CPULimit, l.CPUReservation, gpus(l.Resources)))
			}
			return p.table(w, []string{"NAME", "MEMORY LIMIT", "MEMORY RESERVATION", "CPU LIMIT", "CPU RESERVATION", "GPUS"}, rows)
		}
		return v, nil
	})
}

func gpus(r v1.Resources) string {
	if r.GPUCount == 0 {
		return ""
	}
	out := strconv.Itoa(r.GPUCount)
	if r.GPUType != "" {
		out += " " + r.GPUType
	}
	return out
}
