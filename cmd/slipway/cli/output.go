package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// view is what a command shows, in every form that it can be shown in.
type view struct {
	value any                                // what -o json and -o yaml print
	names []string                           // what -o name prints
	text  func(w io.Writer, wide bool) error // a table or a block
}

// items is a list in -o json and -o yaml.
type items[T any] struct {
	Items []T `json:"items"`
}

// rawItems is one of which the JSON of each item is here already.
type rawItems []string

// listView is a list as the server sent it, without its text.
func listView[T any](list []client.Row[T], name func(*T) string) view {
	raw, names := make(rawItems, len(list)), make([]string, len(list))
	for i := range list {
		raw[i], names[i] = list[i].JSON, name(&list[i].Item)
	}
	return view{value: raw, names: names}
}

// outputFlag adds -o to a command.
func (p *program) outputFlag(c *cobra.Command, formats ...string) {
	if len(formats) == 0 {
		formats = []string{"json", "yaml", "wide", "name"}
	}
	c.Flags().VarP(&choice{to: &p.output, from: formats}, "output", "o", "print `FORMAT`: "+strings.Join(formats, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

// choice is a flag with a few values.
type choice struct {
	to   *string
	from []string
}

func (c *choice) String() string {
	if c.to == nil {
		return ""
	}
	return *c.to
}
func (c *choice) Type() string { return "string" }

func (c *choice) Set(s string) error {
	if !slices.Contains(c.from, s) {
		return fmt.Errorf("it is one of %s", strings.Join(c.from, ", "))
	}
	*c.to = s
	return nil
}

// print writes a view to stdout.
func (p *program) print(v view) error {
	data, err := p.render(v)
	if err != nil {
		return err
	}
	return p.write(data)
}

func (p *program) write(data []byte) error {
	if _, err := p.Out.Write(data); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func (p *program) render(v view) ([]byte, error) {
	switch p.output {
	case "json":
		return encodeJSON(v.value)
	case "yaml":
		// By way of the escaped JSON: YAML refuses raw control characters.
		data, err := encodeJSON(v.value)
		if err == nil {
			data, err = yaml.JSONToYAML(data)
		}
		if err != nil {
			return nil, fmt.Errorf("encode output: %w", err)
		}
		return []byte(clean(string(data))), nil
	case "name":
		var out bytes.Buffer
		for _, name := range v.names {
			fmt.Fprintln(&out, oneLine(name))
		}
		return out.Bytes(), nil
	}
	var out bytes.Buffer
	err := v.text(&out, p.output == "wide")
	return out.Bytes(), err
}

// writeLine writes a value as JSON on a line of its own.
func (p *program) writeLine(v any) error {
	data, err := encodeJSON(v)
	if err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	return p.write(append(compact.Bytes(), '\n'))
}

// showing makes c a command that shows what fetch returns, with -o and --watch.
func (p *program) showing(c *cobra.Command, fetch func(context.Context, *client.Client, []string) (view, error)) *cobra.Command {
	p.outputFlag(c)
	watch := c.Flags().BoolP("watch", "w", false, "print again whenever it changes, until Ctrl-C")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		return p.show(c.Context(), *watch, func(ctx context.Context) (view, error) { return fetch(ctx, api, args) })
	}
	return c
}

// lists is a command that lists all that there is.
func lists[T any](p *program, short string, table func([]T) view, all func(*client.Client, context.Context) iter.Seq2[T, error]) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: short, Args: takes(0, 0)}
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		list, err := collect(all(api, ctx))
		return table(list), err
	})
}

// gets makes c a command that shows the one thing that its argument names.
func gets[T any](p *program, c *cobra.Command, of func(*T) view, get func(*client.Client, context.Context, string) (*T, error)) *cobra.Command {
	return p.showing(c, func(ctx context.Context, api *client.Client, args []string) (view, error) {
		one, err := get(api, ctx, args[0])
		if err != nil {
			return view{}, err
		}
		return of(one), nil
	})
}

// changes makes c a command that changes something, shows what has become of it,
// and waits for the edges.
func changes[T any](p *program, c *cobra.Command, of func(*T) view, change func(context.Context, *client.Client, []string) (*T, error)) *cobra.Command {
	p.outputFlag(c)
	wait := p.edgeWaitFlags(c, onEdges)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		begin := p.now()
		changed, err := change(c.Context(), api, args)
		if err != nil {
			return err
		}
		return p.changed(c.Context(), api, changing{of(changed), wait, begin})
	}
	return c
}

// collect reads a listing to its end. What it returns is never nil: an empty
// list is one in JSON, too.
func collect[T any](all iter.Seq2[T, error]) ([]T, error) {
	list := []T{}
	for item, err := range all {
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// quickGC is how much garbage, in percent of what is in use, a command leaves
// that ends at once.
const quickGC = 400

// show prints what fetch returns; with watch again and again, as often as it
// changes.
func (p *program) show(ctx context.Context, watch bool, fetch func(context.Context) (view, error)) error {
	if !watch {
		// It ends in a moment, and all memory with it.
		defer debug.SetGCPercent(debug.SetGCPercent(quickGC))
	}
	var last []byte
	for {
		v, err := fetch(ctx)
		if err != nil {
			return err
		}
		data, err := p.render(v)
		if err != nil {
			return err
		}
		if !watch {
			return p.write(data)
		}
		if last == nil || !bytes.Equal(data, last) {
			if err := p.reprint(data, last == nil); err != nil {
				return err
			}
			last = data
		}
		if err := sleep(ctx, p.watch); err != nil {
			return err
		}
	}
}

// reprint replaces what a terminal shows. Elsewhere it appends: tables after
// an empty line, JSON as one document after another, YAML after "---".
func (p *program) reprint(data []byte, first bool) error {
	switch {
	case p.OutTTY && p.Env("TERM") != "dumb":
		data = append([]byte("\x1b[H\x1b[2J"), data...)
	case !first && p.output == "yaml":
		data = append([]byte("---\n"), data...)
	case !first && p.output != "json":
		data = append([]byte("\n"), data...)
	}
	return p.write(data)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
