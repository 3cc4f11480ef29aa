package cli

import (
	"path"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// suffix is the one of bundles that are packed.
func (p *program) suffix() string {
	if p.dialect() == q8sDialect {
		return ".qz"
	}
	return ".wave"
}

// noteIcon notes the name of the icon of a bundle that is about to be
// imported, which q8s-cli prints. What is wrong with the bundle is the server's
// to say.
func (p *program) noteIcon(a *archive) {
	if p.dialect() != q8sDialect {
		return
	}
	if b, err := bundle.Open(a.file, a.size, bundle.Options{}); err == nil && b.Icon != "" {
		p.compat.icon = path.Base(b.Icon)
	}
}

// compatNotRunnable says of a new app what the App Store's block has no place
// for.
func (p *program) compatNotRunnable(app *v1.App) {
	if !p.compatible() {
		return
	}
	for i := range app.Reasons {
		p.warn("it cannot be run: %s", oneLine(reason(&app.Reasons[i])))
	}
}

// compatDownload is app download, where --extract has no value: the path is
// that of the folder then, which is NAME.VERSION without one.
func (p *program) compatDownload(c *cobra.Command) *cobra.Command {
	c.Use = "download ID [PATH]"
	c.Long = `Download the bundle of an app, to NAME.VERSION.wave in the current folder, or to
PATH; "-" is stdout. With --extract its files are written into the folder PATH,
or NAME.VERSION, which is new or empty. Its path is printed.`
	c.Args = takes(1, 2, "the app's ID", "the path")
	extract := c.Flags().Bool("extract", false, "unpack it")
	c.RunE = func(c *cobra.Command, args []string) error {
		name := ""
		if len(args) > 1 {
			name = args[1]
		}
		if !*extract {
			return p.download(c.Context(), args[0], name)
		}
		if name == "" {
			api, err := p.client()
			if err != nil {
				return err
			}
			app, err := api.App(c.Context(), args[0])
			if err != nil {
				return err
			}
			if name, err = p.freeName(app, ""); err != nil {
				return err
			}
		}
		return p.extract(c.Context(), args[0], name)
	}
	return c
}
