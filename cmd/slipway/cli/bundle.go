package cli

import (
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
	c := p.group("bundle", "Pack the current folder into an app bundle", p.bundleImport(), p.bundleValidate())
	c.Long = `Pack the current folder into an app bundle, NAME.VERSION.wave.

What .appignore names is left out (gitignore's rules). The path of the bundle
is printed. It needs no server.`
	file := c.Flags().String("file", "", "write the bundle to `PATH`")
	p.outputFlag(c, "json", "yaml")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		packed, err := p.pack(p.path("."))
		if err != nil {
			return err
		}
		defer packed.discard()
		p.faultWarnings(packed.Warnings)
		name := *file
		if name == "" {
			name = packed.Manifest.Name + "." + packed.Manifest.Version + ".wave"
		}
		if err := replaceFile(p.path(name), packed.file, 0o644); err != nil {
			return fmt.Errorf("write bundle: %w", err)
		}
		p.say("packed %d files, %s", packed.Files, size(packed.Bytes))
		return p.print(bundleView(checked{name, packed.Manifest.Name, packed.Manifest.Version, v1Faults(packed.Warnings)}, name))
	}
	return c
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
	c.RunE = func(_ *cobra.Command, args []string) error {
		name := "."
		if len(args) > 0 {
			name = args[0]
		}
		m, warnings, err := validate(p.path(name))
		if err != nil {
			return err
		}
		p.faultWarnings(warnings)
		return p.print(bundleView(checked{name, m.Name, m.Version, v1Faults(warnings)}, m.Name+" "+m.Version+" is valid"))
	}
	return c
}

func validate(path string) (controlplane.Manifest, []controlplane.Fault, error) {
	info, err := os.Stat(path)
	if err != nil {
		return controlplane.Manifest{}, nil, fmt.Errorf("read bundle: %w", err)
	}
	if info.IsDir() {
		return bundle.ValidateFolder(path, bundle.Options{})
	}
	file, err := os.Open(path)
	if err != nil {
		return controlplane.Manifest{}, nil, fmt.Errorf("read bundle: %w", err)
	}
	defer file.Close()
	b, err := bundle.Open(file, info.Size(), bundle.Options{})
	if err != nil {
		return controlplane.Manifest{}, nil, err
	}
	_, warnings := b.SmallIcon()
	return b.Manifest, append(b.Warnings, warnings...), nil
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
		archive, done, err := p.archive(p.path(name))
		if err != nil {
			return err
		}
		defer done()
		info, err := archive.Stat()
		if err != nil {
			return fmt.Errorf("read bundle: %w", err)
		}
		begin := p.now()
		body, finish := p.transferring("uploading", archive, info.Size())
		app, err := api.ImportBundle(c.Context(), client.Import{Archive: body, Size: info.Size(), Visibility: v.String()})
		finish()
		if err != nil {
			return err
		}
		for _, f := range app.Warnings {
			p.warn("%s", oneLine(controlplane.Fault(f).String()))
		}
		if err := p.print(appView(app)); err != nil {
			return err
		}
		return p.onEveryEdge(c.Context(), api, wait, begin)
	}
	return c
}

// archive opens a bundle, and packs a folder first. done closes it.
func (p *program) archive(path string) (archive *os.File, done func(), err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read bundle: %w", err)
	}
	if info.IsDir() {
		packed, err := p.pack(path)
		if err != nil {
			return nil, nil, err
		}
		// The server repeats the warnings, by its own settings.
		return packed.file, packed.discard, nil
	}
	if !info.Mode().IsRegular() {
		return nil, nil, controlplane.Errorf(controlplane.CodeInvalid, "read bundle: %s is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read bundle: %w", err)
	}
	return file, func() { file.Close() }, nil
}

// packed is a bundle in a temporary file, which is read from its beginning.
type packed struct {
	bundle.PackResult
	file *os.File
}

// pack packs a folder into a file outside of it, so that the bundle does not
// become a part of itself.
func (p *program) pack(dir string) (*packed, error) {
	file, err := os.CreateTemp("", "slipway-*.wave")
	if err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	out := &packed{file: file}
	out.PackResult, err = bundle.Pack(dir, file, bundle.Options{})
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		out.discard()
		return nil, inFolder(err, dir)
	}
	return out, nil
}

func (p *packed) discard() {
	p.file.Close()
	os.Remove(p.file.Name())
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
	return with.WithHint("run it in the folder of an app; this is %s", dir)
}
