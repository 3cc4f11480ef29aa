package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/starter"
	"github.com/seed-dbc68772/slipway/controlplane"
)

func (p *program) bundleInit() *cobra.Command {
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write app.toml, and a small app to begin with",
		Long: `Write app.toml into a folder, the current one by default, and with it a small app
of its mode that runs. What is there already stays as it is; where there is an
app.toml, nothing is written. The name is made of the folder's.`,
		Example: `  slipway bundle init hello
  slipway bundle init --mode wave`,
		Args: takes(0, 1),
	}
	mode := starter.Python
	c.Flags().Var(&choice{to: &mode, from: starter.Modes()}, "mode", "what runs it: "+strings.Join(starter.Modes(), ", "))
	_ = c.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(starter.Modes(), cobra.ShellCompDirectiveNoFileComp))
	name := c.Flags().String("name", "", "the app's `NAME` (default: the folder's, as far as it may be one)")
	p.outputFlag(c, "json", "yaml", "name")
	c.RunE = func(c *cobra.Command, args []string) error {
		dir := p.path(".")
		if len(args) > 0 {
			dir = p.path(args[0])
		}
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("make app: %w", err)
		}
		app := starter.App{Mode: mode, Name: *name, Title: filepath.Base(abs)}
		if app.Name == "" {
			app.Name = starter.Name(app.Title)
		} else if !starter.ValidName(app.Name) {
			return usageError(c, "--name %q is no name: up to %d letters, digits, '-', '_' and '.', a letter or digit at both ends", app.Name, starter.MaxName)
		}
		written, err := p.writeStarter(abs, app)
		if err != nil {
			return err
		}
		return p.print(view{value: initialized{abs, app.Name, written}, names: written, text: func(w io.Writer, _ bool) error {
			for _, name := range written {
				if _, err := fmt.Fprintln(w, oneLine(name)); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return c
}

// initialized is what -o json says.
type initialized struct {
	Folder string   `json:"folder"`
	Name   string   `json:"name"`
	Files  []string `json:"files"` // that were written
}

// writeStarter writes the files that are not there, the manifest last: an
// interrupted init can be done again.
func (p *program) writeStarter(dir string, app starter.App) (written []string, err error) {
	if err := noManifestIn(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // sources are nobody's secret; the umask counts
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "make app: the folder %s cannot be made: %v", dir, systemCause(err)).
			WithHint("name another folder")
	}
	written = []string{}
	for _, f := range app.Files() {
		err := writeNew(filepath.Join(dir, f.Name), f)
		if errors.Is(err, fs.ErrExist) {
			p.say("%s is there already, and stays as it is", f.Name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("make app: %w", err)
		}
		written = append(written, f.Name)
	}
	slices.Sort(written)
	return written, nil
}

// noManifestIn is why an app cannot begin in a folder: it has a manifest, or is
// none. Bundles tell no capitals apart, so neither does this.
func noManifestIn(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return controlplane.Errorf(controlplane.CodeInvalid, "make app: %s is %s, not a folder", dir, kindOf(info.Mode())).
			WithHint("name a folder; without a name it is the current one")
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return controlplane.Errorf(controlplane.CodeInvalid, "make app: the folder %s cannot be read: %v", dir, systemCause(err)).
			WithHint("name another folder")
	}
	for _, e := range entries {
		manifest := strings.ToLower(e.Name())
		if manifest != "app.toml" && manifest != "q-app.toml" {
			continue
		}
		hint := "slipway bundle validate checks it"
		if e.Name() != manifest {
			hint = "rename it to " + manifest + "; then " + hint
		}
		return controlplane.Errorf(controlplane.CodeConflict, "make app: %s has %s already", dir, e.Name()).WithHint("%s", hint)
	}
	return nil
}

func writeNew(path string, f starter.File) (err error) {
	mode := fs.FileMode(0o644)
	if f.Executable {
		mode = 0o755
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, f.Text)
	return errors.Join(err, file.Close())
}
