package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// parts are what a bundle says of itself, by the names of the App Store.
var parts = []string{"APP", "REQUIREMENTS", "PACKAGES", "FILES"}

func partFlag(c *cobra.Command, otherwise string) *string {
	part := otherwise
	usage := "print this `PART` alone: " + strings.Join(parts, ", ")
	c.Flags().VarP(&foldedChoice{choice{to: &part, from: parts}}, "type", "t", usage)
	return &part
}

// foldedChoice takes its values in any case.
type foldedChoice struct{ choice }

func (c *foldedChoice) Set(s string) error { return c.choice.Set(strings.ToUpper(s)) }

func (p *program) appMeta() *cobra.Command {
	c := &cobra.Command{
		Use:   "meta ID",
		Short: "Print what the bundle of an app says of itself",
		Long:  "Print what the bundle of an app says of itself: its requirements.txt, or what -t\nnames.",
		Args:  takes(1, 1, "the app's ID"),
	}
	p.outputFlag(c, "json", "yaml")
	part := partFlag(c, "REQUIREMENTS")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		meta, err := api.AppMeta(c.Context(), args[0])
		if err != nil {
			return err
		}
		return p.print(metaView(meta, *part))
	}
	return c
}

func (p *program) appInspect() *cobra.Command {
	c := &cobra.Command{
		Use:   "inspect [FILE|DIR]",
		Short: "Print what a bundle, or the folder that would be one, says of itself",
		Args:  takes(0, 1),
	}
	p.outputFlag(c, "json", "yaml")
	part := partFlag(c, "")
	c.RunE = func(c *cobra.Command, args []string) error {
		name := "."
		if len(args) > 0 {
			name = args[0]
		}
		meta, err := p.inspect(c.Context(), p.path(name))
		if err != nil {
			return err
		}
		return p.print(metaView(meta, *part))
	}
	return c
}

func (p *program) inspect(ctx context.Context, path string) (*v1.AppMeta, error) {
	archive, err := p.archive(ctx, path, "")
	if err != nil {
		return nil, err
	}
	defer archive.discard()
	b, err := bundle.Open(archive.file, archive.size, bundle.Options{AnyServer: true})
	if err != nil {
		return nil, err
	}
	meta, err := b.Meta()
	if err != nil {
		return nil, err
	}
	out := &v1.AppMeta{App: meta.App, Requirements: meta.Requirements, Packages: meta.Packages, Files: make([]v1.BundleFile, len(meta.Files))}
	for i, f := range meta.Files {
		out.Files[i] = v1.BundleFile(f)
	}
	return out, nil
}

// metaView is one part as it is, or all of them below their names.
func metaView(m *v1.AppMeta, part string) view {
	var files bytes.Buffer
	for _, f := range m.Files {
		fmt.Fprintf(&files, "%d\t%s\n", f.Size, oneLine(f.Path))
	}
	texts := map[string]string{"APP": m.App, "REQUIREMENTS": text(m.Requirements), "PACKAGES": text(m.Packages), "FILES": files.String()}
	return view{value: m, text: func(w io.Writer, _ bool) error {
		for i, name := range parts {
			body := harmless(texts[name])
			if body != "" && !strings.HasSuffix(body, "\n") {
				body += "\n"
			}
			if part == "" {
				body = "# " + name + "\n" + body
				if i > 0 {
					body = "\n" + body
				}
			}
			if part != "" && part != name {
				continue
			}
			if _, err := io.WriteString(w, body); err != nil {
				return err
			}
		}
		return nil
	}}
}

// harmless is a text as it is, with its tabs, but for what a terminal obeys.
func harmless(s string) string {
	columns := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\t")
	for i, column := range columns {
		columns[i] = clean(column)
	}
	return strings.Join(columns, "\t")
}
