package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func (p *program) appDownload() *cobra.Command {
	c := &cobra.Command{
		Use:   "download ID [FILE]",
		Short: "Download the bundle of an app",
		Long: `Download the bundle of an app, to NAME.VERSION.wave in the current folder, or to
FILE; "-" is stdout. The file appears whole or not at all, and its path is
printed. Only a FILE that is named is written over. With --extract its files
are written into a new or empty folder instead.`,
		Args: takes(1, 2, "the app's ID", "the file"),
	}
	if p.compatible() {
		return p.compatDownload(c)
	}
	output := c.Flags().StringP("output", "o", "", "write it to `FILE`")
	extract := c.Flags().String("extract", "", "unpack it into the folder `DIR`")
	c.RunE = func(c *cobra.Command, args []string) error {
		file := *output
		if c.Flags().Changed("extract") {
			if *extract == "" {
				return usageError(c, "--extract is empty: name a folder")
			}
			if file != "" || len(args) > 1 {
				return usageError(c, "--extract writes no file: leave the file out")
			}
			return killable(c.Context(), func(ctx context.Context) error { return p.extract(ctx, args[0], *extract) })
		}
		if len(args) > 1 {
			if file != "" {
				return usageError(c, "the file is given twice")
			}
			file = args[1]
		}
		return killable(c.Context(), func(ctx context.Context) error { return p.download(ctx, args[0], file) })
	}
	return c
}

func (p *program) download(ctx context.Context, id, file string) error {
	api, err := p.client()
	if err != nil {
		return err
	}
	if file != "" && file != stdout {
		if err := p.target(file); err != nil {
			return err
		}
	}
	app, err := api.App(ctx, id)
	if err != nil {
		return err
	}
	if file == "" {
		if file, err = p.freeName(app, ".wave"); err != nil {
			return err
		}
	}
	archive, length, err := api.DownloadBundle(ctx, app.ID)
	if err != nil {
		return err
	}
	defer archive.Close()
	body, finish := p.transferring("downloading", archive, length)
	defer finish()
	if err := p.writeBundle(ctx, "download bundle", file, body); err != nil {
		return err
	}
	if file == stdout {
		return nil
	}
	finish()
	return p.write([]byte(oneLine(file) + "\n"))
}

// freeName is the name of an app's bundle, in which the server has a say: it
// may name a file that is not there yet, in this folder alone.
func (p *program) freeName(app *v1.App, suffix string) (string, error) {
	name := app.Name + "." + app.Version + suffix
	if !filepath.IsLocal(name) || filepath.Base(name) != name || name[0] == '.' || name != oneLine(name) {
		return "", controlplane.Errorf(controlplane.CodeInvalid, "download bundle: %q is no name for a file", name).
			WithHint("name one: slipway app download %s FILE", app.ID)
	}
	if _, err := os.Lstat(p.path(name)); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return "", fmt.Errorf("download bundle: %w", err)
		}
		return "", controlplane.Errorf(controlplane.CodeConflict, "download bundle: %s exists already", name).
			WithHint("to write over it, name it: slipway app download %s %s", app.ID, name)
	}
	return name, nil
}
