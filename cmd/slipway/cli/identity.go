package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"
)

func (p *program) whoami() *cobra.Command {
	c := &cobra.Command{Use: "whoami", Short: "Show who you are to the server", Args: takes(0, 0)}
	p.outputFlag(c, "json", "yaml", "name")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		me, err := api.Me(c.Context())
		if err != nil {
			return err
		}
		return p.print(view{value: me, names: []string{"user/" + me.User}, text: func(w io.Writer, _ bool) error {
			return block(w, 0, []field{{"User", me.User}, {"Admin", strconv.FormatBool(me.Admin)}, {"Endpoint", api.Endpoint()}})
		}})
	}
	return c
}

// build is what -o json says of this binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) version() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Show the version of this program", Args: takes(0, 0)}
	p.outputFlag(c, "json", "yaml")
	c.RunE = func(*cobra.Command, []string) error {
		b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
		if info, ok := debug.ReadBuildInfo(); ok {
			if info.Main.Version != "" {
				b.Version = info.Main.Version
			}
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					b.Revision = s.Value
				}
			}
		}
		return p.print(view{value: b, text: func(w io.Writer, _ bool) error {
			_, err := fmt.Fprintln(w, "slipway", b.Version)
			return err
		}})
	}
	return c
}
