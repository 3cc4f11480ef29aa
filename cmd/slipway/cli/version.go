package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

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
		b := build{Version: buildVersion(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
		if info, ok := debug.ReadBuildInfo(); ok {
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
