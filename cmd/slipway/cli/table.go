package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cli/go-gh/v2/pkg/tableprinter"
	"golang.org/x/term"
)

// defaultWidth is a terminal's that does not say, in columns.
const defaultWidth = 120

// terminalWidth is the width to cut tables to: $COLUMNS, or what the terminal
// says.
func terminalWidth(world IO) int {
	if n, err := strconv.Atoi(world.Env("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := world.Out.(*os.File); ok && world.OutTTY {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return defaultWidth
}

// table prints rows below a header. The first column is an ID to copy, and
// never cut.
func (p *program) table(w io.Writer, header []string, rows [][]cell) error {
	if p.compatible() {
		return compatTable(w, header, nil, rows)
	}
	if !p.OutTTY {
		return tabbed(w, header, rows)
	}
	const delimiter, least = 2, 6
	width := max(p.width, 36+(len(header)-1)*(delimiter+least))
	t := tableprinter.New(w, true, width)
	t.AddHeader(header)
	for _, row := range rows {
		for i, c := range row {
			text := oneLine(c.text)
			switch {
			case i == 0:
				t.AddField(text, tableprinter.WithTruncate(nil))
			case c.color != "" && p.color():
				t.AddField(text, tableprinter.WithColor(func(s string) string { return c.color + s + colorOff }))
			default:
				t.AddField(text)
			}
		}
		t.EndRow()
	}
	return t.Render()
}

// tabbed prints a table for programs: fields that are not cut, with tabs between
// them.
func tabbed(w io.Writer, header []string, rows [][]cell) error {
	out := append([]byte(strings.Join(header, "\t")), '\n')
	for _, row := range rows {
		for i, c := range row {
			if i > 0 {
				out = append(out, '\t')
			}
			out = append(out, oneLine(c.text)...)
		}
		out = append(out, '\n')
	}
	_, err := w.Write(out)
	return err
}

// cell is one field of a table.
type cell struct {
	text  string
	color string // an escape sequence, or empty
}

// cells are fields without colour.
func cells(texts ...string) []cell {
	out := make([]cell, len(texts))
	for i, s := range texts {
		out[i].text = s
	}
	return out
}

const (
	red      = "\x1b[31m"
	green    = "\x1b[32m"
	yellow   = "\x1b[33m"
	colorOff = "\x1b[0m"
)

// color reports whether stdout takes colours (no-color.org).
func (p *program) color() bool {
	return p.OutTTY && p.Env("NO_COLOR") == "" && p.Env("TERM") != "dumb"
}

// age is how long ago t was on a terminal, as "18d", and t elsewhere.
func (p *program) age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if !p.OutTTY && !p.compatible() {
		return t.UTC().Format(time.RFC3339)
	}
	switch d := p.now().Sub(t); {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// moment is a time that may lie ahead: on a terminal as blocks print it, and
// in RFC 3339 elsewhere.
func (p *program) moment(t *time.Time) string {
	switch {
	case t == nil:
		return ""
	case p.OutTTY, p.compatible():
		return stamp(t)
	}
	return t.UTC().Format(time.RFC3339)
}

// field is one line of a block.
type field struct {
	name, value string
}

// block prints fields below one another, the values in one column after the
// longest name, or at width where that is more. Further lines of a value are
// indented to that column, so that none looks like a field.
func block(w io.Writer, width int, fields []field) error {
	for _, f := range fields {
		width = max(width, len(f.name)+1)
	}
	for _, f := range fields {
		value := strings.TrimSpace(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", " ").Replace(f.value))
		value = strings.ReplaceAll(clean(value), "\n", "\n"+strings.Repeat(" ", width))
		line := strings.TrimRight(fmt.Sprintf("%-*s%s", width, f.name, value), " ")
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// stamp is a time as an instance's block prints it.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// text is what s points to, or nothing.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
