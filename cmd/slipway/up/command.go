package up

import (
	"io"

	"github.com/spf13/cobra"
)

// Options are the flags of `slipway up`.
type Options struct {
	Data     string // folder; made if missing
	Listen   string // address and port
	BaseURL  string // empty: http://localhost:PORT
	Config   string // file with a slipway { … } block; empty: none
	NoSample bool
	Quiet    bool // print nothing but the last line
	Out      io.Writer
}

// Command is `slipway up`.
func Command(out io.Writer) *cobra.Command {
	o := Options{Out: out}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine",
		Long: `Run everything on this machine: embedded etcd, control plane, edge, process
launcher and a sample app, with all data in one folder. When everything answers
it prints the URLs and a last line "ready". The console's URL signs you in, once
and within a minute; "slipway login --link" gives another.

TERM or Ctrl-C stops it and its instances; the next "slipway up" starts them
again as they were. After a kill -9 instances go on, and the next "slipway up"
adopts them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return Run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Data, "data", ".slipway", "folder of all data")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8080", "address to listen on")
	f.StringVar(&o.BaseURL, "base-url", "", "public origin (default http://localhost:PORT)")
	f.StringVar(&o.Config, "config", "", "file with a block slipway { … } of settings")
	f.BoolVar(&o.NoSample, "no-sample", false, "do not import and start the sample app")
	f.BoolVar(&o.Quiet, "quiet", false, `print nothing but "ready"`)
	return cmd
}
