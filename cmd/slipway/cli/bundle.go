package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// bundleCommands are bundle, which packs the current folder, and the commands
// below it. app bundle is the same.
func (p *program) bundleCommands() *cobra.Command {
	c := p.group("bundle", "Pack the current folder into an app bundle",
		p.bundleInit(), p.bundleValidate(), p.bundleImport(), p.bundleDeploy(), p.bundleTest())
	c.Long = `Pack the current folder into an app bundle, NAME.VERSION` + p.suffix() + `.

What .appignore names is left out (gitignore's rules), and so are .git, caches
and virtual environments of Python, and earlier bundles. Equal folders give
equal bytes. The path of the bundle is printed. It needs no server. What --file
names is written over only where it is a bundle, too.`
	file := c.Flags().String("file", "", "write the bundle to `PATH`; \"-\" is stdout")
	p.outputFlag(c, "json", "yaml")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return p.notPacked(c, args[0])
		}
		if err := p.checkFile(c, *file); err != nil {
			return err
		}
		return killable(c.Context(), func(ctx context.Context) error { return p.packInto(ctx, *file) })
	}
	return c
}

// packInto packs the current folder into a file, or into one with the app's name.
func (p *program) packInto(ctx context.Context, name string) error {
	dir := p.path(".")
	packed, err := p.pack(ctx, dir, bundle.PackOptions{Output: p.within(dir, name)})
	if err != nil {
		return err
	}
	defer packed.discard()
	p.faultWarnings(packed.Warnings)
	if name == "" {
		name = packed.Manifest.Name + "." + packed.Manifest.Version + p.suffix()
	} else if name != stdout {
		if err := p.overBundle(name, packed.Manifest.Name); err != nil {
			return err
		}
	}
	if err := p.writeBundle(ctx, "write bundle", name, packed.file); err != nil {
		return err
	}
	p.say("packed %s, %s", counted(packed.Files, "file"), size(packed.Bytes))
	if name == stdout {
		return nil
	}
	return p.print(bundleView(checked{name, packed.Manifest.Name, packed.Manifest.Version, v1Faults(packed.Warnings)}, name))
}

// checked is what -o json says of a bundle.
type checked struct {
	File     string     `json:"file"`
	Name     string     `json:"name"`
	Version  string     `json:"version"`
	Warnings []v1.Fault `json:"warnings"`
}

func bundleView(c checked, line string) view {
	return view{value: c, text: func(w io.Writer, _ bool) error {
		_, err := fmt.Fprintln(w, oneLine(line))
		return err
	}}
}

func v1Faults(list []controlplane.Fault) []v1.Fault {
	out := make([]v1.Fault, len(list))
	for i, f := range list {
		out[i] = v1.Fault(f)
	}
	return out
}

func (p *program) faultWarnings(list []controlplane.Fault) {
	for _, f := range list {
		p.warn("%s", oneLine(f.String()))
	}
}

func (p *program) bundleValidate() *cobra.Command {
	c := &cobra.Command{
		Use:   "validate [FILE|DIR]",
		Short: "Check a bundle, or the folder that would be one",
		Args:  takes(0, 1),
	}
	p.outputFlag(c, "json", "yaml")
	c.RunE = func(c *cobra.Command, args []string) error {
		name := "."
		if len(args) > 0 {
			name = args[0]
		}
		m, warnings, err := validate(c.Context(), p.path(name))
		if err != nil {
			return err
		}
		p.faultWarnings(warnings)
		return p.print(bundleView(checked{name, m.Name, m.Version, v1Faults(warnings)}, m.Name+" "+m.Version+" is valid"))
	}
	return c
}

// validate checks a bundle or a folder, its pictures too: what an import would
// say by the standard settings.
func validate(ctx context.Context, path string) (controlplane.Manifest, []controlplane.Fault, error) {
	info, err := statBundle(path)
	if err != nil {
		return controlplane.Manifest{}, nil, err
	}
	if info.IsDir() {
		m, warnings, err := bundle.ValidateFolder(ctx, path, bundle.Options{AnyServer: true})
		return m, warnings, inFolder(err, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return controlplane.Manifest{}, nil, fmt.Errorf("read bundle: %w", err)
	}
	defer file.Close()
	b, err := bundle.Open(file, info.Size(), bundle.Options{AnyServer: true})
	if err != nil {
		return controlplane.Manifest{}, nil, err
	}
	warnings, err := b.Show(ctx, func(controlplane.Part) error { return nil })
	return b.Manifest, append(b.Warnings, warnings...), err
}

func (p *program) bundleImport() *cobra.Command {
	c := &cobra.Command{
		Use:   "import [FILE|DIR]",
		Short: "Import a bundle; without a file, the current folder",
		Args:  takes(0, 1),
	}
	return p.importCommand(c)
}

// appImport is bundle import of a file that is named.
func (p *program) appImport() *cobra.Command {
	c := &cobra.Command{Use: "import FILE", Short: "Import a bundle", Args: takes(1, 1, "the bundle's file")}
	return p.importCommand(c)
}

func (p *program) importCommand(c *cobra.Command) *cobra.Command {
	p.outputFlag(c)
	v := visibilityFlag(c, "who may see and run the app")
	in := client.Import{}
	c.Flags().StringVar(&in.Image, "set-image", "", "run the container app from `IMAGE`, not from the one of its manifest (admins)")
	c.Flags().StringVar(&in.Profile, "profile", "", "the launch `PROFILE` that its instances get unless another is named")
	wait := p.edgeWaitFlags(c, onEdges)
	c.RunE = func(c *cobra.Command, args []string) error {
		name := "."
		if len(args) > 0 {
			name = args[0]
		}
		api, err := p.client()
		if err != nil {
			return err
		}
		archive, err := p.archive(c.Context(), p.path(name), "")
		if err != nil {
			return err
		}
		defer archive.discard()
		p.noteIcon(archive)
		begin := p.now()
		in.Visibility = v.String()
		app, unknown, err := p.upload(c.Context(), api, archive, in)
		if unknown {
			p.sayUnknown()
		}
		if app == nil {
			return err
		}
		p.importWarnings(app)
		p.compatNotRunnable(app)
		if printed := p.print(p.appView(app)); err == nil {
			err = printed
		} else {
			p.say("it was imported all the same; to take it away: slipway app delete %s", oneLine(app.ID))
		}
		if err != nil {
			return err
		}
		return p.onEveryEdge(c.Context(), api, wait, begin)
	}
	return c
}

// inFolder adds the hint that somebody needs who is in the wrong folder.
func inFolder(err error, dir string) error {
	e, ok := errors.AsType[*controlplane.Error](err)
	if !ok || e.Hint != "" || len(e.Faults) != 1 || e.Faults[0].Code != bundle.CodeNoManifest {
		return err
	}
	if abs, absErr := filepath.Abs(dir); absErr == nil {
		dir = abs
	}
	with := *e
	return with.WithHint("run it in the folder of an app; this is %s. slipway bundle init begins one", dir)
}
